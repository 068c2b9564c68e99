#include "core/filter.h"

#include <gtest/gtest.h>

#include <random>

namespace similis {
namespace {

Attributes picture() {
  Attributes a;
  a.folder = "/home/u/Pictures/2024";
  a.date = 1710498600;  // 2024-03-15T10:30:00Z
  a.size_bytes = 2'000'000;
  a.width = 4032;
  a.height = 3024;
  a.tags = {"beach", "fun"};
  a.class_name = "seashore";
  return a;
}

bool holds(std::string_view text, const Attributes& a = picture()) {
  auto filter = parse_filter(text);
  EXPECT_TRUE(filter.ok()) << text << ": " << (filter.ok() ? "" : filter.error().message);
  return filter.ok() && matches(*filter, a);
}

std::string error_of(std::string_view text) {
  auto filter = parse_filter(text);
  EXPECT_FALSE(filter.ok()) << text;
  return filter.ok() ? "" : filter.error().message;
}

TEST(Filter, EmptyMatchesEverything) {
  auto filter = parse_filter("  ");
  ASSERT_TRUE(filter.ok());
  EXPECT_TRUE(filter->matches_everything());
  EXPECT_TRUE(matches(*filter, Attributes{}));
}

TEST(Filter, Text) {
  EXPECT_TRUE(holds("class = \"SeaShore\""));
  EXPECT_TRUE(holds("class != cat and tag = 'beach'"));
  EXPECT_FALSE(holds("tag != fun"));
  EXPECT_TRUE(holds("tag in (x, fun) AND NOT class in (cat, dog)"));
  EXPECT_TRUE(holds("class not in (cat, dog)"));
  EXPECT_TRUE(holds("folder = /home/u/Pictures/2024/"));
  EXPECT_TRUE(holds("folder under /home/u"));
  EXPECT_TRUE(holds("folder under /"));
  EXPECT_FALSE(holds("folder under /home/u/Pic"));
}

TEST(Filter, Numbers) {
  EXPECT_TRUE(holds("size >= 2mb and size < 2.1MB"));
  EXPECT_TRUE(holds("width > 4000 and height = 3024"));
  EXPECT_FALSE(holds("width < 4032 or (height != 3024)"));
}

TEST(Filter, DatesStandForTheirSpan) {
  EXPECT_TRUE(holds("date = 2024"));
  EXPECT_TRUE(holds("date = 2024-03"));
  EXPECT_TRUE(holds("date = 2024-03-15"));
  EXPECT_TRUE(holds("date = 2024-03-15T10:30"));
  EXPECT_FALSE(holds("date > 2024-03"));
  EXPECT_TRUE(holds("date >= 2024-03 and date <= 2024-03 and date < 2024-04"));
  EXPECT_FALSE(holds("date != 2024"));
  EXPECT_TRUE(holds("date != 2023"));
  Attributes undated = picture();
  undated.date.reset();
  EXPECT_FALSE(holds("date > 1970", undated));
  EXPECT_FALSE(holds("date != 2024", undated));
}

TEST(Filter, PrecedenceOfAndOverOr) {
  EXPECT_TRUE(holds("class = seashore or class = cat and width < 10"));
  EXPECT_FALSE(holds("(class = seashore or class = cat) and width < 10"));
}

TEST(Filter, ErrorsPointAtThePlace) {
  EXPECT_EQ(error_of("clas = cat"), "filter: there is no field \"clas\"\n  clas = cat\n  ^");
  EXPECT_EQ(error_of("width > big"),
            "filter: expected a number of pixels\n  width > big\n          ^");
  EXPECT_EQ(error_of("class = cat nd width > 1"),
            "filter: expected \"and\", \"or\" or the end, found \"nd\"\n  class = cat nd width > "
            "1\n              ^");
  EXPECT_NE(error_of("class = \"cat").find("not closed"), std::string::npos);
  EXPECT_NE(error_of("(class = cat").find("expected \")\", found the end"), std::string::npos);
  EXPECT_NE(error_of("date > 2024-13").find("expected a date"), std::string::npos);
  EXPECT_NE(error_of("date > 2023-02-29").find("expected a date"), std::string::npos);
  EXPECT_NE(error_of("tag < x").find("= and != only"), std::string::npos);
  EXPECT_NE(error_of("size > 999999999999999gb").find("expected a size"), std::string::npos);
  EXPECT_NE(error_of("size > 10zb").find("expected a size"), std::string::npos);
  EXPECT_EQ(error_of("folder under ~/Pictures"),
            "filter: expected an absolute folder such as /home/me/Pictures\n  folder under "
            "~/Pictures\n               ^");
  EXPECT_NE(error_of("folder in (/a, b)").find("expected an absolute folder"), std::string::npos);
  EXPECT_TRUE(parse_filter("folder = \"\"").ok());
  // The caret stands under a character, not a byte: ü is two bytes.
  EXPECT_EQ(error_of("tag = grün und"),
            "filter: expected \"and\", \"or\" or the end, found \"und\"\n  tag = grün und\n        "
            "     ^");
}

TEST(Filter, DeepNestingAndLengthAreRefused) {
  EXPECT_NE(error_of(std::string(2000, '(')).find("deep"), std::string::npos);
  EXPECT_NE(error_of(std::string(5000, ' ')).find("longer"), std::string::npos);
}

class RandomFilter {
 public:
  explicit RandomFilter(unsigned seed) : rng_(seed) {}
  Filter make(int depth) {
    Filter f;
    if (depth == 0 || rng_() % 3 == 0) {
      f.kind = Filter::Kind::compare;
      f.field = static_cast<Filter::Field>(rng_() % 7);
      const bool text = f.field == Filter::Field::folder || f.field == Filter::Field::tag ||
                        f.field == Filter::Field::class_name;
      if (text) {
        f.op = static_cast<Filter::Op>(rng_() % 2);
        f.value = std::string(rng_() % 2 ? "a\"b\\c" : "ü x") + std::to_string(rng_() % 4);
        if (f.field == Filter::Field::folder)
          f.value = rng_() % 4 ? "/" + std::get<std::string>(f.value) : std::string();
      } else {
        f.op = static_cast<Filter::Op>(rng_() % 6);
        f.value = static_cast<std::int64_t>(rng_() % 5);
        // A date operator means the span's edge: the parser writes only < and >= (or their pairs).
        if (f.field == Filter::Field::date) f.op = rng_() % 2 ? Filter::Op::lt : Filter::Op::ge;
      }
      return f;
    }
    f.kind = static_cast<Filter::Kind>(rng_() % 3);
    const std::size_t count = f.kind == Filter::Kind::negate ? 1 : 2 + rng_() % 2;
    for (std::size_t i = 0; i < count; ++i) f.children.push_back(make(depth - 1));
    return f;
  }

 private:
  std::mt19937 rng_;
};

TEST(Filter, TextAndTreeAreTheSame) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  RandomFilter random(seed);
  for (int i = 0; i < 500; ++i) {
    const Filter filter = random.make(3);
    auto again = parse_filter(to_string(filter));
    ASSERT_TRUE(again.ok()) << to_string(filter) << "\n" << again.error().message;
    EXPECT_EQ(to_string(*again), to_string(filter));
    EXPECT_EQ(*again, filter) << to_string(filter);
  }
}

TEST(Filter, GarbageNeverCrashes) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 rng(seed);
  const std::string alphabet =
      "()\"'=<>!, abtand or not in under class date 2024-01 \\\xc3\xbc\x01";
  for (int i = 0; i < 5000; ++i) {
    std::string text;
    for (unsigned n = rng() % 40; n > 0; --n) text += alphabet[rng() % alphabet.size()];
    auto filter = parse_filter(text);
    if (filter.ok()) (void)matches(*filter, picture());
  }
}

}  // namespace
}  // namespace similis
