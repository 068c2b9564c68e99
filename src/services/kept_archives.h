#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "base/file.h"
#include "core/context.h"
#include "core/ids.h"
#include "core/image.h"
#include "services/ports.h"

namespace similis {

/// Fills the span from an offset on; less only at the end.
using ReadPart = std::function<Result<std::size_t>(std::uint64_t offset, std::span<std::byte> out)>;

/// An archive on its way into limits.imports_dir, where it is kept until its job is done.
class ReceivedArchive {
 public:
  /// All that `read` gives, in a file that goes with the object unless it is kept.
  static Result<ReceivedArchive> receive(const Context& ctx, const Ports& ports,
                                         const ReadPart& read);
  ReceivedArchive(ReceivedArchive&& other) noexcept;
  ReceivedArchive& operator=(ReceivedArchive&&) = delete;
  ~ReceivedArchive();

  /// Durable on return. The same bytes for the same collection have the same path, which is
  /// returned.
  Result<std::string> keep(CollectionId collection);

 private:
  ReceivedArchive() = default;
  std::string path_;  // "" once it is kept
  File file_;
  ContentHash hash_{};
};

/// Removes the archive, if it is one of those and no unfinished job is about it.
Status drop_kept_archive(const Ports& ports, const std::string& path);
/// Removes those that no unfinished job is about. Young ones are spared: their job may be about to
/// be made.
Status sweep_kept_archives(const Context& ctx, const Ports& ports);

}  // namespace similis
