#include "wire/documents.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "wire/text.h"

namespace similis::wire {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

HitDoc some_hit() {
  HitDoc hit;
  hit.id = 412;
  hit.score = 0.91341234567;
  hit.path = "/srv/pictures/a.jpg";
  hit.name = "a.jpg";
  hit.folder = "";
  hit.date = 1'710'498'600;
  hit.width = 4032;
  hit.height = 3024;
  hit.bytes = 3'481'120;
  hit.format = "jpeg";
  hit.class_name = ClassDoc{"seashore", 0.61F};
  hit.tags = {"sea"};
  hit.band = "strong";
  hit.above_cutoff = true;
  return hit;
}

TEST(SearchDoc, BeginsWithWhatMattersAndComesBack) {
  SearchDoc doc;
  doc.hits = {some_hit()};
  doc.query = {.name = "beach.jpg", .width = 640, .height = 480, .image = std::nullopt};
  doc.classes = {{"seashore", 0.61F}};
  doc.timings_ms = {{"decode", 3.9}, {"total", 11.0}};
  doc.stats.cache = CacheState::miss;
  doc.histogram.counts = {0, 1};
  const std::string json = to_json(doc);
  EXPECT_THAT(json,
              StartsWith(R"({"hits":[{"id":"412","score":0.913412,"path":"/srv/pictures/a.jpg")"));
  EXPECT_THAT(json, HasSubstr(R"("class":{"name":"seashore","probability":0.61})"));
  EXPECT_THAT(json, HasSubstr(R"("timings_ms":{"decode":3.9,"total":11.0})"));
  EXPECT_THAT(json, HasSubstr(R"("next_cursor":null)"));
  EXPECT_THAT(json, Not(HasSubstr("path_bytes")));
  EXPECT_THAT(json, Not(HasSubstr("identical_count")));
  const auto again = read_search(json);
  ASSERT_TRUE(again.ok()) << again.error().message;
  EXPECT_EQ(to_json(*again), json);
  EXPECT_EQ(again->hits[0].date, 1'710'498'600);
}

TEST(SearchDoc, OfANewerServerIsReadAndOfABrokenOneIsNot) {
  const std::string json = to_json(SearchDoc{});
  EXPECT_TRUE(read_search(R"({"future":1,)" + json.substr(1)).ok());
  const auto broken = read_search(R"({"hits":[{"id":5}]})");
  ASSERT_FALSE(broken.ok());
  EXPECT_THAT(broken.error().message, HasSubstr("/hits/0/id"));
  EXPECT_THAT(read_search(R"({"hits":[]})").error().message, HasSubstr("/query is missing"));
}

TEST(ImageDoc, KnowsThePathsBytes) {
  ImageDoc image;
  EXPECT_EQ(image.path_raw(), "");
  image.path = "/a";
  EXPECT_EQ(image.path_raw(), "/a");
  image.path = display_text("/\xFF");
  image.path_bytes = base64_encode("/\xFF");
  EXPECT_EQ(image.path_raw(), "/\xFF");
}

TEST(JobDoc, ComesBackWithAndWithoutEnds) {
  StartedJobDoc job;
  job.id = 17;
  job.collection = "pictures";
  job.kind = JobKind::verify;
  job.state = JobState::failed;
  job.started_at = 5;
  job.error = JobErrorDoc{"io_error", "read /x", "look"};
  job.findings = std::vector<std::string>{"bad byte"};
  job.existed = true;
  const auto again = read_started_job(to_json(job));
  ASSERT_TRUE(again.ok()) << again.error().message;
  EXPECT_EQ(to_json(*again), to_json(job));
  EXPECT_TRUE(again->finished());
  EXPECT_THAT(to_json(job), HasSubstr(R"("finished_at":null)"));
  EXPECT_THAT(to_json(JobDoc{}), Not(HasSubstr("findings")));
}

TEST(StatusDoc, ComesBack) {
  StatusDoc status;
  status.version = "1";
  status.collections.resize(1);
  status.collections[0].name = "pictures";
  status.collections[0].model = ModelRefDoc{"m", "1", 8, "f32", {0.6, 0.4, {{"strong", 0.7}}}};
  status.collections[0].folders.resize(1);
  status.memory.parts = {{"model", 5}};
  status.server = ServerDoc{"http://127.0.0.1:8420", "./similis", 7, 3, 9.1};
  status.last_job = JobDoc{};
  status.last_job->id = 3;
  const auto again = read_status(to_json(status));
  ASSERT_TRUE(again.ok()) << again.error().message;
  EXPECT_EQ(to_json(*again), to_json(status));
}

TEST(Documents, NeverSendBrokenUtf8) {
  KeyDoc key;
  key.id = 1;
  key.name = "\xFF";
  EXPECT_TRUE(is_utf8(to_json(key)));
}

TEST(BandWord, IsTheFirstReached) {
  const CalibrationDoc calibration{0.6, 0.4, {{"strong", 0.7}, {"likely", 0.6}, {"maybe", 0.5}}};
  EXPECT_EQ(band_word(calibration, 0.7), "strong");
  EXPECT_EQ(band_word(calibration, 0.6999), "likely");
  EXPECT_EQ(band_word(calibration, 0.1), "weak");
}

}  // namespace
}  // namespace similis::wire
