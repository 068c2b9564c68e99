#include "engine/raw_columns.h"

#include <algorithm>
#include <mutex>
#include <shared_mutex>

namespace similis::engine {
namespace {

class RawColumns final : public AttributeColumns {
 public:
  bool set(std::uint32_t ordinal, std::span<const std::byte> bytes) override {
    std::unique_lock lock(mutex_);
    // Rows behind the last that has any bytes take no memory.
    if (ordinal >= rows_.size() && bytes.empty()) return false;
    if (ordinal >= rows_.size()) rows_.resize(std::size_t{ordinal} + 1);
    if (std::ranges::equal(rows_[ordinal], bytes)) return false;
    bytes_ += bytes.size() - rows_[ordinal].size();
    rows_[ordinal].assign(bytes.begin(), bytes.end());
    return true;
  }
  void get(std::uint32_t ordinal, std::vector<std::byte>& out) const override {
    std::shared_lock lock(mutex_);
    if (ordinal < rows_.size()) {
      out.assign(rows_[ordinal].begin(), rows_[ordinal].end());
    } else {
      out.clear();
    }
  }
  [[nodiscard]] std::uint64_t bytes_in_memory() const override {
    std::shared_lock lock(mutex_);
    return bytes_ + rows_.size() * sizeof(rows_[0]);
  }

 private:
  mutable std::shared_mutex mutex_;
  std::vector<std::vector<std::byte>> rows_;
  std::uint64_t bytes_ = 0;
};

class RawFormat final : public AttributeFormat {
 public:
  [[nodiscard]] Status check(std::span<const std::byte> /*bytes*/) const override { return {}; }
  [[nodiscard]] std::unique_ptr<AttributeColumns> make_columns() const override {
    return std::make_unique<RawColumns>();
  }
};

}  // namespace

std::shared_ptr<const AttributeFormat> raw_attribute_format() {
  static const auto format = std::make_shared<RawFormat>();
  return format;
}

}  // namespace similis::engine
