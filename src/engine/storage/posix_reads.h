#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "base/file.h"
#include "engine/storage/storage.h"

namespace similis::engine {

/// A file twice: through the page cache, and past it where the file system allows that.
class PosixReadFile final : public ReadFile {
 public:
  /// `direct` may be closed. `alignment`: of reads through it.
  PosixReadFile(File cached, File direct, std::uint64_t size, std::uint32_t alignment,
                std::string name)
      : cached_(std::move(cached)),
        direct_(std::move(direct)),
        size_(size),
        alignment_(alignment),
        name_(std::move(name)) {}

  Status read(std::uint64_t offset, std::span<std::byte> out) const override;
  [[nodiscard]] std::uint64_t size() const override { return size_; }
  [[nodiscard]] Status reach(std::uint64_t block_offset) const override;
  [[nodiscard]] std::uint32_t alignment() const override { return alignment_; }
  /// What such a read of a queue goes to.
  [[nodiscard]] int descriptor(std::uint64_t offset, std::span<const std::byte> out) const;

 private:
  const File cached_;
  const File direct_;
  const std::uint64_t size_;
  const std::uint32_t alignment_;
  const std::string name_;
};

/// A queue in the kernel (io_uring). Null where that is refused, as in many containers.
std::unique_ptr<ReadQueue> make_uring_queue();
/// Reads by threads of the process, for all queues sixteen at a time.
std::unique_ptr<ReadQueue> make_pool_queue();

}  // namespace similis::engine
