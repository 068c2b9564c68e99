#include "engine/storage/posix_reads.h"

#include <fcntl.h>
#include <liburing.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <vector>

#include "engine/storage/aligned_buffer.h"

namespace similis::engine {
namespace {

// Below this a lone read is better served by the page cache.
constexpr std::size_t kDirectBytesMin = 64 << 10;
constexpr unsigned kQueueEntries = 256;

class UringQueue final : public ReadQueue {
 public:
  UringQueue() = default;
  UringQueue(const UringQueue&) = delete;
  UringQueue& operator=(const UringQueue&) = delete;
  ~UringQueue() override {
    if (open_) ::io_uring_queue_exit(&ring_);
  }

  /// False when the kernel refuses.
  bool open() {
    // Completions are worked on when this thread enters the kernel, not by interrupting it; a
    // kernel before 5.19 does not know that.
    for (const unsigned flags : {unsigned{IORING_SETUP_COOP_TASKRUN}, 0U}) {
      open_ = ::io_uring_queue_init(kQueueEntries, &ring_, flags) == 0;
      if (open_) break;
    }
    for (auto& read : reads_) free_.push_back(&read);
    return open_;
  }

  /// All go to the kernel in one call: the disk is woken once.
  void submit(std::span<ReadGroup* const> groups) override {
    for (ReadGroup* const group : groups) {
      group->pending = group->requests.size();
      for (ReadRequest& request : group->requests) add(*group, request);
    }
    send();
  }

  void reap(bool wait) override {
    io_uring_cqe* done = nullptr;
    if (wait && free_.size() < kQueueEntries) {
      while (::io_uring_wait_cqe(&ring_, &done) == -EINTR) continue;
    }
    while (::io_uring_peek_cqe(&ring_, &done) == 0) {
      auto* const read = static_cast<Read*>(::io_uring_cqe_get_data(done));
      const int bytes = done->res;
      ::io_uring_cqe_seen(&ring_, done);
      complete(*read, bytes);
    }
  }

 private:
  struct Read {
    ReadGroup* group = nullptr;
    ReadRequest* request = nullptr;
  };

  void add(ReadGroup& group, ReadRequest& request) {
    if (!broken_ && free_.empty()) {
      send();
      while (free_.empty()) reap(true);
    }
    if (broken_) {
      request.status = request.file->read(request.offset, request.out);
      --group.pending;
      return;
    }
    Read* const read = free_.back();
    free_.pop_back();
    *read = {&group, &request};
    // There is one: no more entries wait in the ring than reads are under way.
    io_uring_sqe* const entry = ::io_uring_get_sqe(&ring_);
    const int descriptor =
        static_cast<const PosixReadFile*>(request.file)->descriptor(request.offset, request.out);
    ::io_uring_prep_read(entry, descriptor, request.out.data(),
                         static_cast<unsigned>(request.out.size()), request.offset);
    ::io_uring_sqe_set_data(entry, read);
    unsent_.push_back(read);
  }

  /// Hands what waits in the ring to the kernel.
  void send() {
    while (!unsent_.empty()) {
      const int sent = broken_ ? -EIO : ::io_uring_submit(&ring_);
      if (sent > 0) {
        unsent_.erase(unsent_.begin(), unsent_.begin() + sent);
      } else if (sent == -EAGAIN || sent == -EBUSY || sent == -EINTR) {
        reap(free_.size() + unsent_.size() < kQueueEntries);
      } else {
        // What lies in the ring is never sent: each read goes its own way from here on.
        broken_ = true;
        for (Read* read : unsent_) complete(*read, -EIO);
        unsent_.clear();
      }
    }
  }

  void complete(Read& read, int bytes) {
    ReadRequest& request = *read.request;
    request.status = {};
    // A refused, failed or short read: another way may succeed, or else says what is wrong.
    if (bytes < 0 || static_cast<std::size_t>(bytes) != request.out.size())
      request.status = request.file->read(request.offset, request.out);
    --read.group->pending;
    free_.push_back(&read);
  }

  io_uring ring_{};
  bool open_ = false;
  bool broken_ = false;
  std::array<Read, kQueueEntries> reads_;
  std::vector<Read*> free_;
  std::vector<Read*> unsent_;
};

bool aligned(const std::byte* address, std::uint64_t offset, std::uint64_t bytes,
             std::uint64_t alignment) {
  return ((reinterpret_cast<std::uintptr_t>(address) | offset | bytes) & (alignment - 1)) == 0;
}

}  // namespace

Status PosixReadFile::read(std::uint64_t offset, std::span<std::byte> out) const {
  // The part of an aligned request that O_DIRECT can serve: whole blocks inside the file.
  std::size_t direct_bytes = 0;
  if (direct_.is_open() && offset < size_ && aligned(out.data(), offset, 0, kBlockBytes)) {
    const std::uint64_t inside = std::min<std::uint64_t>(out.size(), size_ - offset);
    direct_bytes = static_cast<std::size_t>(inside / kBlockBytes * kBlockBytes);
  }
  if (direct_bytes >= kDirectBytesMin) {
    const Status direct = pread_exact(direct_.fd(), out.first(direct_bytes), offset, name_);
    if (direct.ok())
      return pread_exact(cached_.fd(), out.subspan(direct_bytes), offset + direct_bytes, name_);
    // Some file systems accept the flag and refuse the read: the cached way decides.
  }
  return pread_exact(cached_.fd(), out, offset, name_);
}

Status PosixReadFile::reach(std::uint64_t block_offset) const {
  // Some file systems answer direct reads from the cache as well: what it has of the file goes
  // first.
  (void)::posix_fadvise(cached_.fd(), 0, 0, POSIX_FADV_DONTNEED);
  AlignedBuffer block(kBlockBytes);
  if (direct_.is_open() && alignment_ <= kBlockBytes) {
    const ssize_t bytes =
        ::pread(direct_.fd(), block.data(), kBlockBytes, static_cast<off_t>(block_offset));
    if (bytes == static_cast<ssize_t>(kBlockBytes)) return {};
    // These accept the flag and refuse the read.
    const bool refused = bytes < 0 && (errno == EINVAL || errno == EOPNOTSUPP || errno == ENOSYS);
    if (bytes < 0 && !refused) return errno_error(errno, "read", name_);
  }
  return pread_exact(cached_.fd(), block.span().first(kBlockBytes), block_offset, name_);
}

int PosixReadFile::descriptor(std::uint64_t offset, std::span<const std::byte> out) const {
  const bool direct = direct_.is_open() && aligned(out.data(), offset, out.size(), alignment_);
  return direct ? direct_.fd() : cached_.fd();
}

std::unique_ptr<ReadQueue> make_uring_queue() {
  auto queue = std::make_unique<UringQueue>();
  if (!queue->open()) return nullptr;
  return queue;
}

}  // namespace similis::engine
