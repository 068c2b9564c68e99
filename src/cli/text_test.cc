#include "cli/text.h"

#include <gtest/gtest.h>

#include <random>

#include "cli/terminal.h"

namespace similis::cli {
namespace {

TEST(Text, Width) {
  EXPECT_EQ(display_width("abc"), 3U);
  EXPECT_EQ(display_width("grün"), 4U);
  EXPECT_EQ(display_width("写真"), 4U);
  EXPECT_EQ(display_width("e\xCC\x81"), 1U);  // e and a combining acute
  EXPECT_EQ(display_width("\xff\xfe"), 2U);
}

TEST(Text, HostileNamesBecomeVisible) {
  EXPECT_EQ(printable("a\x1b[31mb\n\t"), "a\\x1b[31mb\\n\\t");
  EXPECT_EQ(printable("gnp.\xE2\x80\xAE"
                      "exe"),
            "gnp.\\u202eexe");
  EXPECT_EQ(printable("\xff"
                      "a\xC0\x80"),
            "\\xffa\\xc0\\x80");
  EXPECT_EQ(printable("\xC2\x9B"
                      "0m"),
            "\\x9b0m");  // an 8-bit CSI
  EXPECT_EQ(printable("写真 ü.jpg"), "写真 ü.jpg");
}

TEST(Text, ShortenedTextFits) {
  EXPECT_EQ(shorten_middle("Holidays/2021/Photo of the bay.jpg", 26), "Holidays/2… of the bay.jpg");
  EXPECT_EQ(shorten_middle("short", 5), "short");
  EXPECT_EQ(shorten_middle("abcdefgh", 6, false), "a...gh");
  EXPECT_EQ(shorten_end("abcdefgh", 4), "abc…");
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 rng(seed);
  const std::vector<std::string> parts{"a", "ü", "写", "e\xCC\x81", "/", "\xff", "🙂", " "};
  for (int i = 0; i < 2000; ++i) {
    std::string text;
    for (unsigned n = rng() % 60; n > 0; --n) text += parts[rng() % parts.size()];
    const std::size_t columns = rng() % 40;
    for (const bool utf8 : {true, false}) {
      EXPECT_LE(display_width(shorten_middle(text, columns, utf8)), columns) << text;
      EXPECT_LE(display_width(shorten_end(text, columns, utf8)), columns) << text;
    }
  }
}

TEST(Text, Figures) {
  EXPECT_EQ(grouped(0), "0");
  EXPECT_EQ(grouped(999), "999");
  EXPECT_EQ(grouped(1000), "1,000");
  EXPECT_EQ(grouped(-1234567), "-1,234,567");
  EXPECT_EQ(bytes_text(812), "812 B");
  EXPECT_EQ(bytes_text(1'400'000'000), "1.4 GB");
  EXPECT_EQ(bytes_text(97'000'000), "97 MB");
  EXPECT_EQ(bytes_text(999'900), "1.0 MB");
  EXPECT_EQ(duration_text(0.85), "850 ms");
  EXPECT_EQ(duration_text(41.2), "41 s");
  EXPECT_EQ(duration_text(112), "1 min 52 s");
  EXPECT_EQ(duration_text(3 * 3600), "3 h");
  EXPECT_EQ(duration_text(2 * 86400 + 4 * 3600), "2 d 4 h");
  EXPECT_EQ(ms_text(3.94), "3.9");
  EXPECT_EQ(ms_text(11.2), "11");
  EXPECT_EQ(counted(1, "picture", "pictures"), "1 picture");
}

TEST(Terminal, Bars) {
  Terminal terminal;
  EXPECT_EQ(terminal.bar(0.5, 4), "██  ");
  EXPECT_EQ(terminal.bar(0.53125, 4), "██▏ ");
  EXPECT_EQ(terminal.bar(2, 3), "███");
  EXPECT_EQ(display_width(terminal.bar(0.37, 25)), 25U);
  terminal.utf8 = false;
  EXPECT_EQ(terminal.bar(0.5, 4), "##  ");
}

TEST(Text, WordsForAShell) {
  EXPECT_EQ(shell_word("/home/u/Pictures"), "/home/u/Pictures");
  EXPECT_EQ(shell_word("/My Pictures/$HOME"), "'/My Pictures/$HOME'");
  EXPECT_EQ(shell_word("it's"), "'it'\\''s'");
  EXPECT_EQ(shell_word("写真 1"), "'写真 1'");
  EXPECT_EQ(shell_word("a\\b'\n\xff"), "$'a\\\\b\\'\\012\\377'");
  EXPECT_EQ(shell_word("~"), "'~'");
  EXPECT_EQ(shell_word(""), "''");
}

}  // namespace
}  // namespace similis::cli
