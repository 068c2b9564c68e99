#pragma once

#include <span>

#include "core/context.h"
#include "core/image.h"
#include "services/ports.h"

namespace similis {

/// Indexes that no row names: of a collection that was deleted while a picture came in. The row of
/// an index is written before its files, so that none of these can be about to be used.
Status drop_orphaned_indexes(const Context& ctx, const Ports& ports);

/// Blobs younger than this are spared: a row that holds them may be about to be written.
inline constexpr std::int64_t kOrphanAgeMinS = 3600;

/// Erases the uploads and thumbnails that no row holds and that are older than kOrphanAgeMinS.
/// Reads every key: for start-up and after a collection is deleted.
Status sweep_orphans(const Context& ctx, const Ports& ports);

/// The second half of a removal (contract: removing -> vector removed -> row gone): erases the
/// vectors of rows that are already `removing` from every index of the collection that is not
/// retired, then the rows, then the thumbnails and uploads that no row holds any more (young ones
/// are left to sweep_orphans). May be repeated.
Status complete_removal(const Context& ctx, const Ports& ports, CollectionId collection,
                        std::span<const ImageId> ids);

/// Both halves, a few hundred rows at a time.
Status remove_images(const Context& ctx, const Ports& ports, CollectionId collection,
                     std::span<const ImageId> ids);

}  // namespace similis
