#include "http/multipart.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

namespace similis::http {
namespace {

using testing::HasSubstr;

struct Part {
  PartHead head;
  std::string data;
  bool ended = false;
};

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

/// Parses `body` cut into pieces of at most `piece_max` bytes.
Result<std::vector<Part>> parse(std::string_view body, std::string_view boundary,
                                std::size_t piece_max = 1 << 20, std::mt19937* random = nullptr) {
  std::vector<Part> parts;
  MultipartParser parser(boundary, {[&](PartHead head) -> Status {
                                      EXPECT_TRUE(parts.empty() || parts.back().ended);
                                      parts.push_back({std::move(head), {}, false});
                                      return {};
                                    },
                                    [&](std::span<const std::byte> data) -> Status {
                                      EXPECT_FALSE(data.empty());
                                      parts.back().data.append(
                                          reinterpret_cast<const char*>(data.data()), data.size());
                                      return {};
                                    },
                                    [&]() -> Status {
                                      parts.back().ended = true;
                                      return {};
                                    }});
  while (!body.empty()) {
    std::size_t piece = random ? 1 + (*random)() % piece_max : piece_max;
    piece = std::min(piece, body.size());
    TRY(parser.feed(bytes_of(body.substr(0, piece))));
    body.remove_prefix(piece);
  }
  TRY(parser.finish());
  return parts;
}

TEST(Multipart, ReadsWhatCurlAndBrowsersSend) {
  const auto parts = parse(
      "--XX\r\n"
      "Content-Disposition: form-data; name=\"file\"; filename=\"a \\\"b\\\".jpg\"\r\n"
      "Content-Type: image/jpeg\r\n\r\n"
      "one\r\n--X\r\n--XY\r\n"
      "\r\n--XX  \r\n"
      "content-disposition: form-data; name=params\r\n\r\n{}"
      "\r\n--XX\r\n"
      "Content-Disposition: form-data; filename=\"C/D/%22x%22.png\"; name=\"file\"\r\n\r\n"
      "\r\n--XX--\r\nepilogue",
      "XX");
  ASSERT_TRUE(parts.ok()) << parts.error().message;
  ASSERT_EQ(parts->size(), 3u);
  EXPECT_EQ((*parts)[0].head.name, "file");
  EXPECT_EQ((*parts)[0].head.filename, "a \"b\".jpg");
  EXPECT_EQ((*parts)[0].head.content_type, "image/jpeg");
  EXPECT_EQ((*parts)[0].data, "one\r\n--X\r\n--XY\r\n");
  EXPECT_EQ((*parts)[1].head.name, "params");
  EXPECT_FALSE((*parts)[1].head.filename);
  EXPECT_EQ((*parts)[1].data, "{}");
  EXPECT_EQ((*parts)[2].head.filename, "\"x\".png");
  EXPECT_EQ((*parts)[2].data, "");
  EXPECT_TRUE((*parts)[2].ended);
}

TEST(Multipart, SaysWhatIsWrong) {
  const std::string head = "--B\r\nContent-Disposition: form-data; name=\"f\"\r\n\r\n";
  const std::pair<std::string, const char*> cases[] = {
      {"", "ends before"},
      {head + "data", "ends before"},
      {head + "data\r\n--B", "ends before"},
      {head + "data\r\n--Bxx", "broken delimiter"},
      {"--B\r\n\r\ndata\r\n--B--", "without a name"},
      {"--B\r\nContent-Type: x\r\n\r\nd\r\n--B--", "without a name"},
      {"--B\r\nContent-Disposition: attachment; name=x\r\n\r\nd\r\n--B--", "no named form-data"},
      {"--B\r\nContent-Disposition: form-data\r\n\r\nd\r\n--B--", "no named form-data"},
      {"--B\r\nno colon\r\n\r\nd\r\n--B--", "broken header"},
      {"--B\r\nContent-Disposition: form-data; name=f\r\nContent-Transfer-Encoding: "
       "base64\r\n\r\nZA==\r\n--B--",
       "transfer encoding"},
      {std::string(20'000, 'x'), "does not begin"},
      {"--B\r\nX: " + std::string(20'000, 'x'), "too long a head"},
  };
  for (const auto& [body, says] : cases) {
    const auto parts = parse(body, "B");
    ASSERT_FALSE(parts.ok()) << body.substr(0, 80);
    EXPECT_EQ(parts.error().code, ErrorCode::invalid_argument);
    EXPECT_THAT(parts.error().message, HasSubstr(says));
  }
}

TEST(Multipart, ReadsTheBoundary) {
  EXPECT_EQ(*multipart_boundary("multipart/form-data; boundary=abc"), "abc");
  EXPECT_EQ(*multipart_boundary("multipart/form-data; charset=x; boundary=\"a b'c\""), "a b'c");
  EXPECT_EQ(*multipart_boundary("multipart/form-data;Boundary=abc"), "abc");
  for (const char* bad : {"multipart/form-data",
                          "multipart/form-data; boundary=", "multipart/form-data; boundary=\"a \"",
                          "multipart/form-data; boundary=\"a\r\nb\""}) {
    EXPECT_FALSE(multipart_boundary(bad).ok()) << bad;
  }
  EXPECT_FALSE(multipart_boundary("multipart/form-data; boundary=" + std::string(71, 'a')).ok());
}

/// Random parts whose data is full of near-boundaries come back however the body is cut.
TEST(Multipart, DoesNotCareHowTheBytesAreCut) {
  const auto seed = std::random_device{}();
  std::mt19937 random(seed);
  SCOPED_TRACE("seed " + std::to_string(seed));
  const std::string boundary = "----b-b";
  const std::string pieces[] = {
      "\r", "\n", "-", "--", "----b", "\r\n------b-", "b", "x", std::string("\0", 1)};
  for (int round = 0; round < 3'000; ++round) {
    std::vector<std::string> wanted(1 + random() % 4);
    std::string body;
    for (std::string& data : wanted) {
      do {
        data.clear();
        const std::size_t count = random() % 12;
        for (std::size_t i = 0; i < count; ++i) data += pieces[random() % std::size(pieces)];
      } while (("\r\n" + data + "\r\n").find("\r\n--" + boundary) != std::string::npos);
      body += "--" + boundary + "\r\nContent-Disposition: form-data; name=\"f\"\r\n\r\n" + data +
              "\r\n";
    }
    body += "--" + boundary + "--\r\n";
    const auto parts = parse(body, boundary, 1 + random() % 9, &random);
    ASSERT_TRUE(parts.ok()) << parts.error().message;
    ASSERT_EQ(parts->size(), wanted.size());
    for (std::size_t i = 0; i < wanted.size(); ++i) ASSERT_EQ((*parts)[i].data, wanted[i]);
  }
}

TEST(Multipart, SurvivesGarbage) {
  const auto seed = std::random_device{}();
  std::mt19937 random(seed);
  SCOPED_TRACE("seed " + std::to_string(seed));
  const std::string good =
      "--B\r\nContent-Disposition: form-data; name=\"f\"; filename=\"x\"\r\n\r\nabc\r\n--B--\r\n";
  for (int round = 0; round < 20'000; ++round) {
    std::string body = good;
    for (int i = 0; i < 3; ++i) body[random() % body.size()] = static_cast<char>(random());
    body.resize(random() % (body.size() + 1));
    const auto whole = parse(body, "B");
    const auto cut = parse(body, "B", 3, &random);
    ASSERT_EQ(whole.ok(), cut.ok());
    if (whole.ok()) {
      ASSERT_EQ(whole->size(), cut->size());
      for (std::size_t i = 0; i < whole->size(); ++i) ASSERT_EQ((*whole)[i].data, (*cut)[i].data);
    }
  }
}

}  // namespace
}  // namespace similis::http
