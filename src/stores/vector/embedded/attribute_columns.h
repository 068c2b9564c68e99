#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/filter.h"
#include "engine/index.h"
#include "stores/vector/embedded/stable_vector.h"

namespace similis {

/// The attributes of one segment's rows: numbers as they are, text by its number in a dictionary,
/// so that a filter compares numbers, and a text once for each distinct value among the rows it is
/// asked about.
///
/// A row's state is a record that never changes; a change of attributes appends a record and points
/// the row to it. So a filter sees each row as it was before or after a change, never between, and
/// nobody waits for anybody. Records left behind go with the segment, at its next compaction.
class TypedColumns final : public engine::AttributeColumns {
 public:
  bool set(std::uint32_t ordinal, std::span<const std::byte> bytes) override;
  void get(std::uint32_t ordinal, std::vector<std::byte>& out) const override;
  [[nodiscard]] std::uint64_t bytes_in_memory() const override;
  [[nodiscard]] std::uint64_t superseded() const override { return superseded_.load(); }

  /// Sets bit i of `bits` when row first + i matches. Rows that were never set match nothing.
  void match(const Filter& filter, std::uint32_t first, std::uint32_t count,
             std::span<std::uint64_t> bits) const;

 private:
  struct Record {
    std::int64_t date = 0;
    std::int64_t size_bytes = 0;
    std::int32_t width = 0;
    std::int32_t height = 0;
    std::uint32_t folder = 0;
    std::uint32_t class_name = 0;
    std::uint32_t tags = 0;
    bool dated = false;
    friend bool operator==(const Record&, const Record&) = default;
  };

  /// Values by number, each once. Numbers are read by anybody, given by the writer.
  template <typename Value>
  class Dictionary {
   public:
    std::uint32_t number_of(const std::string& key, const Value& value);
    [[nodiscard]] const Value& value(std::uint32_t number) const { return values_[number]; }
    [[nodiscard]] std::size_t size() const { return values_.size(); }
    [[nodiscard]] std::uint64_t bytes() const { return bytes_.load(std::memory_order_relaxed); }

   private:
    StableVector<Value> values_;
    std::unordered_map<std::string, std::uint32_t> numbers_;  // (writer)
    std::atomic<std::uint64_t> bytes_{0};
  };

  using Records = std::vector<const Record*>;  // null: the row was never set
  using Bits = std::vector<std::uint64_t>;
  void evaluate(const Filter& filter, const Records& records, Bits& out) const;
  void compare(const Filter& filter, const Records& records, Bits& out) const;

  StableVector<Record> records_;
  std::atomic<std::uint64_t> superseded_{0};          // records that no row points to any more
  StableVector<std::atomic<std::uint32_t>> current_;  // by ordinal: its record's number + 1
  Dictionary<std::string> folders_;
  Dictionary<std::string> classes_;
  Dictionary<std::vector<std::string>> tag_sets_;
};

class TypedColumnsFormat final : public engine::AttributeFormat {
 public:
  [[nodiscard]] Status check(std::span<const std::byte> bytes) const override;
  [[nodiscard]] std::unique_ptr<engine::AttributeColumns> make_columns() const override;
};

}  // namespace similis
