#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "core/context.h"
#include "core/ids.h"
#include "services/ports.h"

namespace similis {

/// Fills the span from an offset on; less only at the end.
using ReadPart = std::function<Result<std::size_t>(std::uint64_t offset, std::span<std::byte> out)>;

/// An archive that was sent, kept in limits.imports_dir until its job is done. Durable on return.
/// The same bytes for the same collection have the same path, which is returned.
Result<std::string> keep_archive(const Context& ctx, const Ports& ports, CollectionId collection,
                                 const ReadPart& read);
/// Removes it, if it is one of those.
void drop_kept_archive(const Ports& ports, const std::string& path);
/// Removes those that no unfinished job is about. Young ones are spared: their job may be about to
/// be made.
Status sweep_kept_archives(const Context& ctx, const Ports& ports);

}  // namespace similis
