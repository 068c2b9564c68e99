#include "core/sha256.h"

#include <gtest/gtest.h>

#include <string>

#include "base/file.h"
#include "base/hex.h"
#include "base/temporary_folder.h"

namespace similis {
namespace {

// FIPS 180-4's own examples (NIST, "SHA256.pdf") and the empty text.
constexpr std::string_view kEmpty =
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
constexpr std::string_view kAbc =
    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

TEST(Sha256, IsThatOfTheStandard) {
  EXPECT_EQ(to_hex(sha256("").value()), kEmpty);
  EXPECT_EQ(to_hex(sha256("abc").value()), kAbc);
}

TEST(Sha256, DoesNotDependOnThePieces) {
  Sha256 hash;
  for (const std::string_view piece : {"a", "", "bc"}) hash.update(std::as_bytes(std::span(piece)));
  EXPECT_EQ(to_hex(hash.finish().value()), kAbc);
}

TEST(Sha256, OfAFileLongerThanTheBuffer) {
  const TemporaryFolder folder;
  const std::string text(1'000'003, 'x');
  ASSERT_TRUE(publish_file(folder.path() / "file", std::as_bytes(std::span(text))).ok());
  EXPECT_EQ(sha256_of_file(folder.path() / "file").value(), sha256(text).value());
  EXPECT_EQ(sha256_of_file(folder.path() / "none").error().code, ErrorCode::not_found);
}

}  // namespace
}  // namespace similis
