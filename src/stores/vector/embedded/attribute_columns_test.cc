#include "stores/vector/embedded/attribute_columns.h"

#include <gtest/gtest.h>

#include <optional>
#include <random>

#include "stores/vector/embedded/attribute_bytes.h"

namespace similis {
namespace {

class Random {
 public:
  explicit Random(unsigned seed) : rng_(seed) {}

  Attributes attributes() {
    Attributes a;
    a.folder = pick({"", "/p", "/p/a", "/p/ab", "/q"});
    if (rng_() % 4 != 0) a.date = rng_() % 5;
    a.size_bytes = rng_() % 5;
    a.width = static_cast<std::int32_t>(rng_() % 5);
    a.height = static_cast<std::int32_t>(rng_() % 5);
    a.class_name = pick({"", "cat", "Cat", "dog"});
    for (const char* tag : {"x", "y"})
      if (rng_() % 3 == 0) a.tags.emplace_back(tag);
    return a;
  }

  Filter filter(int depth) {
    Filter f;
    if (depth == 0 || rng_() % 3 == 0) {
      f.kind = Filter::Kind::compare;
      f.field = static_cast<Filter::Field>(rng_() % 7);
      switch (f.field) {
        case Filter::Field::folder:
          f.op = rng_() % 2 ? Filter::Op::under : Filter::Op::ne;
          f.value = pick({"/p", "/p/a", "/"});
          break;
        case Filter::Field::tag:
        case Filter::Field::class_name:
          f.op = rng_() % 2 ? Filter::Op::eq : Filter::Op::ne;
          f.value = pick({"x", "y", "cat", "DOG", ""});
          break;
        default:
          f.op = static_cast<Filter::Op>(rng_() % 6);
          f.value = static_cast<std::int64_t>(rng_() % 5);
      }
      return f;
    }
    f.kind = static_cast<Filter::Kind>(rng_() % 3);
    const unsigned children = f.kind == Filter::Kind::negate ? 1 : rng_() % 4;
    for (unsigned i = 0; i < children; ++i) f.children.push_back(filter(depth - 1));
    return f;
  }

  unsigned below(unsigned n) { return rng_() % n; }

 private:
  std::string pick(std::initializer_list<const char*> words) {
    return *(words.begin() + rng_() % words.size());
  }
  std::mt19937 rng_;
};

std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text));
}

TEST(AttributeBytes, RoundTripAndRefusal) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  Random random(seed);
  for (int i = 0; i < 200; ++i) {
    const Attributes a = random.attributes();
    const std::string bytes = to_bytes(a);
    const auto again = attributes_from(bytes_of(bytes));
    ASSERT_TRUE(again.ok());
    EXPECT_EQ(*again, a);
    for (std::size_t cut = 0; cut < bytes.size(); ++cut) {
      EXPECT_FALSE(attributes_from(bytes_of(bytes).first(cut)).ok()) << cut;
    }
  }
}

TEST(AttributeColumns, FiltersAgreeWithTheReferenceRowByRow) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  Random random(seed);
  constexpr std::uint32_t kRows = 1000;
  TypedColumns columns;
  std::vector<std::optional<Attributes>> rows(kRows);
  for (std::uint32_t i = 0; i < kRows; ++i) {
    if (random.below(10) == 0) continue;  // never set
    for (unsigned times = 1 + random.below(2); times > 0; --times) {
      rows[i] = random.attributes();
      columns.set(i, bytes_of(to_bytes(*rows[i])));
    }
    std::vector<std::byte> back;
    columns.get(i, back);
    ASSERT_EQ(*attributes_from(back), *rows[i]);
  }
  for (int round = 0; round < 300; ++round) {
    const Filter filter = random.filter(3);
    const std::uint32_t first = 64 * random.below(kRows / 64);
    const std::uint32_t count = 1 + random.below(kRows + 100 - first);  // beyond the end, too
    std::vector<std::uint64_t> bits((count + 63) / 64);
    columns.match(filter, first, count, bits);
    for (std::uint32_t i = 0; i < 64 * bits.size(); ++i) {
      const bool got = (bits[i / 64] >> (i % 64) & 1) != 0;
      const bool row = i < count && first + i < kRows && rows[first + i].has_value();
      ASSERT_EQ(got, row && matches(filter, *rows[first + i]))
          << to_string(filter) << " row " << first + i;
    }
  }
}

TEST(AttributeColumns, TagsOfAnyBytesAreKeptApart) {
  TypedColumns columns;
  Attributes one, two;
  one.tags = {std::string("a\0b", 3)};
  two.tags = {"a", "b"};
  columns.set(0, bytes_of(to_bytes(one)));
  columns.set(1, bytes_of(to_bytes(two)));
  std::vector<std::byte> back;
  columns.get(0, back);
  EXPECT_EQ(attributes_from(back)->tags, one.tags);
  columns.get(1, back);
  EXPECT_EQ(attributes_from(back)->tags, two.tags);
}

TEST(AttributeColumns, WhatChangesNothingTakesNoMemory) {
  TypedColumns columns;
  Attributes a;
  a.width = 1;
  EXPECT_TRUE(columns.set(0, bytes_of(to_bytes(a))));
  const auto bytes = columns.bytes_in_memory();
  for (int i = 0; i < 2000; ++i) EXPECT_FALSE(columns.set(0, bytes_of(to_bytes(a))));
  EXPECT_EQ(columns.bytes_in_memory(), bytes);
  EXPECT_EQ(columns.superseded(), 0U);
  a.width = 2;
  EXPECT_TRUE(columns.set(0, bytes_of(to_bytes(a))));
  EXPECT_EQ(columns.superseded(), 1U);
}

}  // namespace
}  // namespace similis
