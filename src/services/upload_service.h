#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/context.h"
#include "core/image.h"
#include "services/ports.h"

namespace similis {

struct UploadFile {
  std::string name;  // as the client calls it
  std::shared_ptr<const std::vector<std::byte>> bytes;
  std::vector<std::string> tags;
};

enum class UploadStatus : std::uint8_t { created, exists, failed };

struct UploadOutcome {
  std::string name;
  UploadStatus status = UploadStatus::failed;
  ImageId id = 0;  // 0 when failed
  Error error;     // of a failed one
};

/// Takes pictures into a collection by their bytes: blob store, row, vector. Durable and searchable
/// on return.
class UploadService {
 public:
  explicit UploadService(const Ports& ports);
  ~UploadService();

  /// One outcome per file, in order; a bad file never spoils the others. An Error only when nothing
  /// could be done: unknown collection, disk full, no model. The collection's index is made at its
  /// first picture.
  Result<std::vector<UploadOutcome>> upload(const Context& ctx, std::string_view collection,
                                            std::span<const UploadFile> files);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace similis
