// Data sets that are sent, and exports, through the router.

#include <fstream>

#include "archive/tar_writer.h"
#include "http/api_fixture.h"

namespace similis {
namespace {

class ArchiveApiTest : public ApiTest {
 protected:
  std::string tar_of(const std::string& name, const std::string& bytes) {
    const auto at = dir_ / "set.tar";
    std::filesystem::remove(at);
    auto tar = TarWriter::create(at, "test");
    EXPECT_THAT(tar, IsOk());
    if (!tar.ok()) return "";
    EXPECT_THAT(tar->add(name, std::as_bytes(std::span(bytes)), 0), IsOk());
    EXPECT_THAT(tar->finish(), IsOk());
    std::ifstream file(at, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  static constexpr const char* kBuilds = "/api/v1/collections/set/builds";
};

TEST_F(ArchiveApiTest, AnArchiveOfAnyTypeButJsonIsADataSet) {
  const std::string tar = tar_of("a/1.jpg", picture_bytes(1, 0, 0));
  start_running();
  for (const http::Headers& headers :
       {http::Headers{}, http::Headers{{"Content-Type", "application/x-tar"}}}) {
    const Answer answer = ask("POST", kBuilds, tar, headers);
    ASSERT_EQ(answer.status, 202) << answer.body;
    EXPECT_EQ(answer.json["kind"], "import");
    EXPECT_EQ(answer.headers.get("Location"),
              "/api/v1/jobs/" + answer.json["id"].get<std::string>());
    const Job job = wait_until_finished(std::stoll(answer.json["id"].get<std::string>()));
    EXPECT_EQ(job.state, JobState::done) << job.error;
    EXPECT_EQ(job.counters.done(), 1);
  }
  // Where the archive is kept is not for holders of a key.
  const Answer jobs = as(new_key("k"), "GET", "/api/v1/jobs");
  EXPECT_EQ(jobs.json["jobs"][0]["root"].get<std::string>().find('/'), std::string::npos);
}

TEST_F(ArchiveApiTest, WhatIsNoDataSetIsRefusedAndNothingMade) {
  EXPECT_EQ(ask("POST", kBuilds, "a text").status, 415);
  EXPECT_EQ(ask("POST", kBuilds).status, 415);
  EXPECT_EQ(ask("POST", std::string(kBuilds) + "?modle=x", "PK\x03\x04").status, 400);
  EXPECT_EQ(post_json(kBuilds, std::string((1 << 20) + 1, ' ')).status, 413);
  EXPECT_EQ(get("/api/v1/collections/set").status, 404);
}

TEST_F(ArchiveApiTest, AnArchiveUnderAnAllowedFolderIsImportedFromThere) {
  const std::string tar = tar_of("1.jpg", picture_bytes(1, 0, 0));
  write("set.tar", tar);
  const Answer allowed = post_json(kBuilds, R"({"path": ")" + path("set.tar") + R"("})");
  ASSERT_EQ(allowed.status, 202) << allowed.body;
  EXPECT_EQ(allowed.json["kind"], "import");
  EXPECT_EQ(post_json(kBuilds, R"({"path": ")" + (dir_ / "set.tar").string() + R"("})").status,
            403);
  const Answer watched =
      post_json(kBuilds, R"({"watch": true, "path": ")" + path("set.tar") + R"("})");
  EXPECT_EQ(watched.status, 400);
}

TEST_F(ArchiveApiTest, OnlyTheOwnerSaysWhereAnExportIsWritten) {
  write("1.jpg", picture_bytes(1, 0, 0));
  build();
  const std::string to = (dir_ / "out.tar").string();
  const std::string body = R"({"pictures": false, "path": ")" + to + R"("})";
  const std::string target = "/api/v1/collections/pictures/export";
  EXPECT_EQ(post_json(target, body).status, 403);
  EXPECT_EQ(as(new_key("k"), "POST", target, body).status, 403);
  const Answer answer = as_owner("POST", target, body);
  ASSERT_EQ(answer.status, 202) << answer.body;
  EXPECT_EQ(answer.json["kind"], "export_tables");
  wait_until_finished(std::stoll(answer.json["id"].get<std::string>()));
  EXPECT_TRUE(std::filesystem::exists(to));
  EXPECT_EQ(as_owner("POST", target, body).status, 409);
  EXPECT_EQ(as_owner("POST", target, "{}").status, 400);
}

TEST_F(ArchiveApiTest, FailuresOfAnImportAreListedPageByPage) {
  const auto at = dir_ / "bad.tar";
  {
    auto tar = TarWriter::create(at, "test");
    ASSERT_THAT(tar, IsOk());
    for (int i = 0; i < 5; ++i) {
      const std::string bytes = picture_bytes(i, 0, 0, "BROKEN");
      EXPECT_THAT(tar->add("x/" + std::to_string(i) + ".jpg", std::as_bytes(std::span(bytes)), 0),
                  IsOk());
    }
    EXPECT_THAT(tar->finish(), IsOk());
  }
  const Answer started = as_owner("POST", kBuilds, R"({"path": ")" + at.string() + R"("})");
  ASSERT_EQ(started.status, 202) << started.body;
  const std::string id = started.json["id"];
  start_running();
  EXPECT_EQ(wait_until_finished(std::stoll(id)).counters.failed, 5);
  std::string cursor;
  std::vector<std::string> names;
  for (int page = 0; page < 4; ++page) {
    const Answer answer = get("/api/v1/jobs/" + id + "/failures?limit=2" +
                              (cursor.empty() ? "" : "&cursor=" + cursor));
    ASSERT_EQ(answer.status, 200) << answer.body;
    for (const Json& failure : answer.json["failures"]) {
      EXPECT_TRUE(failure["id"].is_null());
      EXPECT_EQ(failure["reason"], "JPEG ends early");
      names.push_back(failure["name"]);
    }
    if (answer.json["next_cursor"].is_null()) break;
    cursor = answer.json["next_cursor"];
  }
  EXPECT_EQ(names.size(), 5U);
  EXPECT_EQ(get("/api/v1/jobs/" + id + "/failures?cursor=x").status, 400);
  EXPECT_EQ(ask("POST", "/api/v1/jobs/" + id + "/failures/retry").status, 409);
}

}  // namespace
}  // namespace similis
