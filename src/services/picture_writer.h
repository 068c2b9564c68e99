#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "services/index_targets.h"
#include "services/ingest_types.h"
#include "services/ports.h"

namespace similis {

/// The last stage: writes what the stages before found out, in the order the contract states
/// (docs/architecture.md): rows pending; vectors; rows ready and epoch + 1. One thread at a time.
class PictureWriter {
 public:
  using OnOutcome = std::function<void(const IngestSource&, const IngestOutcome&)>;

  PictureWriter(const Ports& ports, CollectionId collection,
                const std::vector<IndexTarget>& targets, OnOutcome on_outcome)
      : ports_(ports),
        collection_(collection),
        targets_(targets),
        on_outcome_(std::move(on_outcome)) {}

  /// All of the batch, whatever its steps (but `embed`). An error of a store ends it; every part
  /// may be repeated then.
  Status write(const Context& ctx, std::span<IngestPicture> batch);

 private:
  using Pictures = std::vector<IngestPicture*>;

  Status write_failures(const Context& ctx, const Pictures& pictures);
  Status write_touched(const Context& ctx, const Pictures& pictures);
  Status write_moved(const Context& ctx, const Pictures& pictures);
  Status write_ready(const Context& ctx, Pictures pictures);
  Status write_vectors(const Context& ctx, std::size_t target, const Pictures& pictures,
                       std::span<const PendingImage> rows,
                       std::span<const std::vector<std::string>> tags);
  Result<std::vector<std::vector<std::string>>> tags_of(const Context& ctx,
                                                        const Pictures& pictures,
                                                        std::span<const PendingImage> rows);
  /// What filters see of these rows, in every index; the active index's token.
  Result<WriteToken> update_attributes(const Context& ctx, std::span<const ImageRow> rows);
  Result<WriteToken> erase_vectors(const Context& ctx, std::span<const ImageId> ids);
  Status intern_folders(const Context& ctx, std::span<const IngestPicture> batch);
  void report(const IngestPicture& picture, IngestOutcome::Kind kind, ImageId id) const;

  const Ports& ports_;
  const CollectionId collection_;
  const std::vector<IndexTarget>& targets_;
  const OnOutcome on_outcome_;
};

}  // namespace similis
