#pragma once

#include <span>
#include <string>
#include <vector>

#include "core/context.h"
#include "core/image.h"
#include "services/ports.h"

namespace similis {

/// Finishes what a process that died left in the rows: ids stay above those of every vector, rows
/// `removing` go, rows `pending` (and ready ones whose content was being replaced) are taken in
/// again. Quick when there is nothing. What cannot be finished now (a model or a disk is away)
/// stays as it is for the next time; an Error is the stores'.
Status recover_rows(const Context& ctx, const Ports& ports);

/// Takes the pictures of these rows in again from their files or blobs. Rows whose file or blob has
/// gone are returned.
Result<std::vector<ImageRow>> take_in_again(const Context& ctx, const Ports& ports,
                                            CollectionId collection,
                                            std::span<const ImageRow> rows);

}  // namespace similis
