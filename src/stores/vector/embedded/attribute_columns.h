#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <shared_mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/filter.h"
#include "engine/index.h"

namespace similis {

/// The attributes of one segment's rows, a column each: numbers as they are, text by its number in
/// a dictionary, so that a filter compares a text once for each distinct value and then only
/// numbers.
class TypedColumns final : public engine::AttributeColumns {
 public:
  void set(std::uint32_t ordinal, std::span<const std::byte> bytes) override;
  void get(std::uint32_t ordinal, std::vector<std::byte>& out) const override;
  [[nodiscard]] std::uint64_t bytes_in_memory() const override;

  /// Sets bit i of `bits` when row first + i matches. Rows that were never set match nothing.
  void match(const Filter& filter, std::uint32_t first, std::uint32_t count,
             std::span<std::uint64_t> bits) const;

 private:
  /// Texts by number, 0 being "". Grows only.
  class Dictionary {
   public:
    Dictionary() { number_of(""); }
    std::uint32_t number_of(const std::string& text);
    [[nodiscard]] const std::string& text(std::uint32_t number) const { return texts_[number]; }
    [[nodiscard]] std::size_t size() const { return texts_.size(); }
    [[nodiscard]] std::uint64_t bytes() const { return bytes_; }

   private:
    std::deque<std::string> texts_;
    std::unordered_map<std::string, std::uint32_t> numbers_;
    std::uint64_t bytes_ = 0;
  };

  using Bits = std::vector<std::uint64_t>;
  void evaluate(const Filter& filter, std::uint32_t first, std::uint32_t count, Bits& out) const;
  void compare(const Filter& filter, std::uint32_t first, std::uint32_t count, Bits& out) const;

  // set() and filters meet here only briefly: a filter holds it shared for a few thousand rows.
  mutable std::shared_mutex mutex_;
  std::vector<std::uint8_t> known_;  // 0: never set; 1: set; 3: set and dated
  std::vector<std::int64_t> date_;
  std::vector<std::int64_t> size_;
  std::vector<std::int32_t> width_;
  std::vector<std::int32_t> height_;
  std::vector<std::uint32_t> folder_;
  std::vector<std::uint32_t> class_;
  std::vector<std::uint32_t> tags_;  // the number of the set of tags
  Dictionary folders_;
  Dictionary classes_;
  Dictionary tag_sets_;                              // tags, each ended by a NUL
  std::vector<std::vector<std::string>> tag_lists_;  // by number of the set
};

class TypedColumnsFormat final : public engine::AttributeFormat {
 public:
  [[nodiscard]] Status check(std::span<const std::byte> bytes) const override;
  [[nodiscard]] std::unique_ptr<engine::AttributeColumns> make_columns() const override;
};

}  // namespace similis
