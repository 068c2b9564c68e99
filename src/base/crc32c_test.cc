#include "base/crc32c.h"

#include <gtest/gtest.h>

#include <string_view>
#include <vector>

namespace similis {
namespace {

std::span<const std::byte> bytes_of(std::string_view s) {
  return std::as_bytes(std::span(s));
}

// RFC 3720 appendix B.4 and the usual check value.
TEST(Crc32c, KnownValues) {
  EXPECT_EQ(crc32c(bytes_of("123456789")), 0xE3069283u);
  std::vector<std::byte> zeros(32);
  EXPECT_EQ(crc32c(zeros), 0x8A9136AAu);
  std::vector<std::byte> ones(32, std::byte{0xff});
  EXPECT_EQ(crc32c(ones), 0x62A8AB43u);
}

TEST(Crc32c, ContinuesAtEverySplit) {
  const std::string_view text = "the slot is 2560 bytes and one more";
  const auto whole = crc32c(bytes_of(text));
  for (std::size_t at = 0; at <= text.size(); ++at)
    EXPECT_EQ(crc32c(bytes_of(text.substr(at)), crc32c(bytes_of(text.substr(0, at)))), whole) << at;
}

}  // namespace
}  // namespace similis
