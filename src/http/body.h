#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "base/result.h"

namespace similis::http {

/// A request's body: in memory, or, where the route allows it and the body is large, in an unlinked
/// file that vanishes with the object.
class RequestBody {
 public:
  /// Beyond this a spooled body leaves memory.
  static constexpr std::size_t kMemoryMax = 1 << 20;

  RequestBody() = default;
  /// `folder` is where a large body goes; empty: it stays in memory.
  explicit RequestBody(std::filesystem::path folder) : folder_(std::move(folder)) {}
  static RequestBody of(std::string_view bytes);

  Status append(std::span<const std::byte> bytes);
  [[nodiscard]] std::uint64_t size() const { return size_; }
  [[nodiscard]] bool in_memory() const { return !file_.is_open(); }
  /// What of it is held in memory.
  [[nodiscard]] std::size_t bytes_in_memory() const { return memory_.size(); }

  /// Fills `out` from `offset`; less only at the end.
  Result<std::size_t> read(std::uint64_t offset, std::span<std::byte> out) const;
  /// The whole body, moved out when it is in memory.
  Result<std::vector<std::byte>> take();
  /// The whole body as text.
  Result<std::string> text() const;

 private:
  std::filesystem::path folder_;
  std::vector<std::byte> memory_;
  File file_;
  std::uint64_t size_ = 0;
};

}  // namespace similis::http
