#include "stores/metadata/sql/text_codec.h"

#include <gtest/gtest.h>

#include "stores/metadata/sql/list_cursor.h"

namespace similis::sql {
namespace {

TEST(TextCodec, ClassesComeBack) {
  const std::vector<ClassScore> classes = {
      {281, "tabby, tabby cat", 0.87654321F}, {0, "", 0.0F}, {-1, "a:b\n3 c", 1e-30F}};
  EXPECT_EQ(decode_classes(encode_classes(classes)), classes);
  EXPECT_EQ(encode_classes({}), "");
  EXPECT_EQ(decode_classes(""), std::vector<ClassScore>());
}

TEST(TextCodec, CountsComeBack) {
  const CountedWords counts = {{"svg", 3}, {"no picture", 0}, {"12 3:x\n", -1}};
  EXPECT_EQ(decode_counts(encode_counts(counts)), counts);
}

TEST(TextCodec, EveryCutAndChangedByteIsRefusedOrReadsOtherwise) {
  const std::vector<ClassScore> classes = {{281, "tabby", 0.5F}, {7, "dog", 0.25F}};
  const std::string text = encode_classes(classes);
  for (std::size_t size = 0; size < text.size(); ++size) {
    EXPECT_NE(decode_classes(text.substr(0, size)), classes);
  }
  for (std::size_t at = 0; at < text.size(); ++at) {
    std::string changed = text;
    changed[at] = static_cast<char>(changed[at] ^ 0x10);
    EXPECT_NE(decode_classes(changed), classes);
  }
  for (const char* bad : {"1", "1 0.5 99999999999999999999:x\n", "x 0.5 1:x\n", "1 0.5 1:x"}) {
    EXPECT_EQ(decode_classes(bad), std::nullopt) << bad;
  }
}

TEST(TextCodec, TheZeroHashIsNone) {
  EXPECT_EQ(encode_hash({}), std::nullopt);
  ContentHash hash{};
  hash[31] = std::byte{0xab};
  const auto text = encode_hash(hash);
  ASSERT_TRUE(text);
  EXPECT_EQ(text->size(), 64u);
  EXPECT_EQ(decode_hash(*text), hash);
  EXPECT_EQ(decode_hash("abc"), std::nullopt);
}

TEST(TextCodec, OnlyAsciiLettersChange) {
  EXPECT_EQ(ascii_lower("CaT \xc3\x84"), "cat \xc3\x84");
}

TEST(ListCursor, KeysComeBack) {
  const std::string text =
      ListCursor("name").add(std::string_view("a\0.b", 4)).add(std::int64_t{-5}).take();
  CursorReader reader(text, "name");
  EXPECT_EQ(reader.bytes(), std::string("a\0.b", 4));
  EXPECT_EQ(reader.number(), -5);
  EXPECT_TRUE(reader.ok());
  EXPECT_EQ(text.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789.-"), std::string::npos);
}

TEST(ListCursor, AnythingElseIsRefused) {
  for (const char* bad : {"", "name", "name.", "name.x6", "name.6161.1", "nam.x61.1", "name.x61",
                          "name.x61.1.2", "name.x61.1x", "name.x61.", "namex61.1"}) {
    CursorReader reader(bad, "name");
    reader.bytes();
    reader.number();
    EXPECT_FALSE(reader.ok()) << bad;
  }
}

}  // namespace
}  // namespace similis::sql
