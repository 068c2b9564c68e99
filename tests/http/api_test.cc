// What each operation does, seen through the router.

#include <sys/stat.h>

#include <fstream>
#include <thread>

#include "http/api_fixture.h"
#include "wire/text.h"

namespace similis {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;
using testing::UnorderedElementsAre;

std::vector<std::string> names_of(const Json& list) {
  std::vector<std::string> names;
  for (const Json& one : list) names.push_back(one.value("name", "?"));
  return names;
}

class ApiWithPictures : public ApiTest {
 protected:
  ApiWithPictures() {
    write("red.jpg", picture_bytes(250, 10, 10));
    write("trips/sea/blue.jpg", picture_bytes(10, 10, 250));
    write("trips/green.jpg", picture_bytes(10, 250, 10));
    write("broken.jpg", picture_bytes(1, 2, 3, "BROKEN"));
    build();
  }
  std::string id_of(const std::string& name) { return std::to_string(rows().at(name).id); }
  static constexpr const char* kSearch = "/api/v1/collections/pictures/search";
  static constexpr const char* kImages = "/api/v1/collections/pictures/images";
};

TEST_F(ApiTest, CollectionsComeAndGo) {
  EXPECT_EQ(get("/api/v1/collections").json, Json::parse(R"({"collections":[]})"));
  const Answer made = post_json("/api/v1/collections", R"({"name":"cats"})");
  EXPECT_EQ(made.status, 201) << made.body;
  EXPECT_EQ(made.headers.get("Location"), "/api/v1/collections/cats");
  EXPECT_EQ(made.json["name"], "cats");
  EXPECT_EQ(made.json["model"], nullptr);
  EXPECT_EQ(made.json["counts"], Json::parse(R"({"ready":0,"failed":0,"pending":0})"));
  EXPECT_EQ(post_json("/api/v1/collections", R"({"name":"cats"})").json["code"], "already_exists");
  EXPECT_EQ(post_json("/api/v1/collections", R"({"name":"Cats!"})").json["code"],
            "invalid_argument");
  EXPECT_THAT(names_of(get("/api/v1/collections").json["collections"]), ElementsAre("cats"));
  EXPECT_EQ(ask("DELETE", "/api/v1/collections/cats").status, 204);
  const Answer gone = get("/api/v1/collections/cats");
  EXPECT_EQ(gone.status, 404);
  EXPECT_EQ(gone.headers.get("Content-Type"), "application/problem+json");
  EXPECT_EQ(gone.json["code"], "not_found");
  EXPECT_EQ(gone.json["status"], 404);
  EXPECT_EQ(gone.json["request_id"], std::string(gone.headers.get("X-Request-Id")));
}

TEST_F(ApiWithPictures, SearchTakesRawBytes) {
  const Answer found =
      ask("POST", std::string(kSearch) + "?k=2&name=red%20one.jpg", picture_bytes(250, 10, 10));
  ASSERT_EQ(found.status, 200) << found.body;
  ASSERT_EQ(found.json["hits"].size(), 2u);
  const Json& hit = found.json["hits"][0];
  EXPECT_THAT(found.body, StartsWith("{\"hits\":[{\"id\":\"" + id_of("red.jpg") +
                                     "\",\"score\":1.0,\"path\":"));
  EXPECT_EQ(hit["name"], "red.jpg");
  EXPECT_EQ(hit["folder"], "");
  EXPECT_EQ(hit["path"], path("red.jpg"));
  EXPECT_EQ(hit["class"]["name"], "red");
  EXPECT_EQ(hit["width"], 640);
  EXPECT_EQ(hit["format"], "jpeg");
  EXPECT_FALSE(hit.contains("identical_count"));
  EXPECT_EQ(found.json["total"], 3);
  EXPECT_EQ(found.json["query"], Json::parse(R"({"name":"red one.jpg","width":640,"height":480})"));
  EXPECT_EQ(found.json["classes"][0]["name"], "red");
  EXPECT_EQ(found.json["stats"]["cache"], "miss");
  EXPECT_TRUE(found.json["timings_ms"].contains("total"));
  EXPECT_TRUE(found.json["next_cursor"].is_string());

  const Answer next = post_json(kSearch, Json{{"cursor", found.json["next_cursor"]}}.dump());
  ASSERT_EQ(next.status, 200) << next.body;
  EXPECT_EQ(next.json["hits"].size(), 1u);
  EXPECT_EQ(next.json["next_cursor"], nullptr);
}

TEST_F(ApiWithPictures, SearchTakesAForm) {
  const auto search = [&](const std::string& body) {
    return ask("POST", kSearch, body, {{"Content-Type", "multipart/form-data; boundary=B"}});
  };
  const Answer found = search(form({{"g.jpg", picture_bytes(10, 250, 10)}},
                                   R"({"k":1,"crop":{"x":0,"y":0,"width":0.5,"height":0.5}})"));
  ASSERT_EQ(found.status, 200) << found.body;
  EXPECT_THAT(names_of(found.json["hits"]), ElementsAre("green.jpg"));
  EXPECT_EQ(found.json["hits"][0]["folder"], "trips");
  EXPECT_EQ(found.json["query"]["name"], "g.jpg");
  EXPECT_THAT(search(form({})).json["detail"], HasSubstr("no `file`"));
  EXPECT_THAT(search(form({{"a", "x"}, {"b", "y"}})).json["detail"], HasSubstr("more than one"));
  EXPECT_THAT(search(form({{"a", "x"}}, "{\"filtr\":1}")).json["hint"], HasSubstr("\"filter\""));
  EXPECT_EQ(search("--B").json["code"], "invalid_argument");
}

TEST_F(ApiWithPictures, SearchTakesJson) {
  const std::string red = id_of("red.jpg");
  const Answer stored = post_json(kSearch, R"({"image_id":")" + red + R"(","exclude_self":true})");
  ASSERT_EQ(stored.status, 200) << stored.body;
  EXPECT_THAT(names_of(stored.json["hits"]), UnorderedElementsAre("green.jpg", "blue.jpg"));
  EXPECT_EQ(stored.json["query"]["image"]["id"], red);

  const Answer filtered =
      post_json(kSearch, R"({"image_id":")" + red +
                             R"(","filter":"class = green","collapse_identical":true})");
  ASSERT_EQ(filtered.status, 200) << filtered.body;
  EXPECT_THAT(names_of(filtered.json["hits"]), UnorderedElementsAre("green.jpg", "blue.jpg"));
  EXPECT_EQ(filtered.json["hits"][0]["identical_count"], 0);

  EXPECT_EQ(post_json(kSearch, R"({"vector":[1,0,0,1,0,0,0,0.1]})").json["hits"][0]["name"],
            "red.jpg");
  const Answer mixed = post_json(kSearch, R"({"examples":[{"image_id":")" + red +
                                              R"(","weight":0.1},{"image_id":")" +
                                              id_of("trips/green.jpg") + R"("}]})");
  ASSERT_EQ(mixed.status, 200) << mixed.body;
  EXPECT_EQ(mixed.json["hits"][0]["name"], "green.jpg");
  EXPECT_EQ(mixed.json["query"], Json::object());
}

TEST_F(ApiWithPictures, SearchExplainsWhatItCannotTake) {
  struct Case {
    std::string target, body;
    http::Headers headers;
    int status;
    const char* says;
  };
  const std::string red = picture_bytes(1, 2, 3);
  const Case cases[] = {
      {kSearch, red, {{"Content-Type", "application/x-www-form-urlencoded"}}, 415, "x-www-form"},
      {kSearch, "", {}, 400, "no picture"},
      {std::string(kSearch) + "?kk=3", red, {}, 400, "kk"},
      {std::string(kSearch) + "?k=3&k=4", red, {}, 400, "twice"},
      {std::string(kSearch) + "?k=0", red, {}, 400, "k is"},
      {std::string(kSearch) + "?filter=clas%20%3D%20x", red, {}, 400, "clas"},
      {std::string(kSearch) + "?k=3",
       "{}",
       {{"Content-Type", "application/json"}},
       400,
       "parameter k"},
      {kSearch, "{\"image_id\":\"999999\"}", {{"Content-Type", "application/json"}}, 404, "999999"},
      {kSearch, "{\"vector\":[1,2]}", {{"Content-Type", "application/json"}}, 400, "2 values"},
      {kSearch, "{\"cursor\":\"nonsense\"}", {{"Content-Type", "application/json"}}, 400, "cursor"},
      {kSearch, "this is text", {}, 422, ""},
      {kSearch, picture_bytes(1, 2, 3, "BROKEN"), {}, 422, "ends early"},
      {"/api/v1/collections/nosuch/search", red, {}, 404, "nosuch"},
      {kSearch, "x", {{"Content-Type", "multipart/form-data"}}, 400, "boundary"},
  };
  for (const Case& one : cases) {
    const Answer answer = ask("POST", one.target, one.body, one.headers);
    EXPECT_EQ(answer.status, one.status)
        << one.target << " " << one.body.substr(0, 40) << answer.body;
    EXPECT_EQ(answer.headers.get("Content-Type"), "application/problem+json");
    EXPECT_THAT(answer.json.value("detail", ""), HasSubstr(one.says)) << one.target;
  }
}

TEST_F(ApiWithPictures, ListsPicturesByPage) {
  const Answer first = get(std::string(kImages) + "?sort=name&limit=2");
  ASSERT_EQ(first.status, 200) << first.body;
  EXPECT_EQ(first.json["images"].size(), 2u);
  const Answer second = get(std::string(kImages) + "?sort=name&limit=2&cursor=" +
                            first.json["next_cursor"].get<std::string>());
  ASSERT_EQ(second.status, 200) << second.body;
  EXPECT_EQ(second.json["next_cursor"], nullptr);
  auto names = names_of(first.json["images"]);
  for (const std::string& name : names_of(second.json["images"])) names.push_back(name);
  EXPECT_THAT(names, UnorderedElementsAre("red.jpg", "blue.jpg", "green.jpg"));
  EXPECT_THAT(names_of(get(std::string(kImages) + "?filter=class%20%3D%20red").json["images"]),
              ElementsAre("red.jpg"));
  EXPECT_EQ(get(std::string(kImages) + "?sort=random&seed=5").body,
            get(std::string(kImages) + "?sort=random&seed=5").body);
  for (const char* bad : {"?limit=0", "?limit=1001", "?sort=size", "?seed=-1", "?limit=x", "?q=1",
                          "?cursor=nonsense", "?filter=%28"}) {
    EXPECT_EQ(get(kImages + std::string(bad)).status, 400) << bad;
  }
}

TEST_F(ApiWithPictures, ShowsTagsAndRemovesAPicture) {
  const std::string target = std::string(kImages) + "/" + id_of("trips/sea/blue.jpg");
  const Answer shown = get(target);
  ASSERT_EQ(shown.status, 200) << shown.body;
  EXPECT_EQ(shown.json["folder"], "trips/sea");
  EXPECT_EQ(shown.json["sha256"].get<std::string>().size(), 64u);
  EXPECT_EQ(shown.json["camera"], nullptr);
  EXPECT_EQ(shown.json["gps"], nullptr);
  EXPECT_EQ(shown.json["classes"][0]["name"], "green");
  EXPECT_THAT(shown.json["added_at"].get<std::string>(), StartsWith("20"));

  const Answer tagged = ask("PATCH", target, R"({"tags":["sea","beach","sea"]})",
                            {{"Content-Type", "application/json"}});
  ASSERT_EQ(tagged.status, 200) << tagged.body;
  EXPECT_EQ(tagged.json["tags"], Json::parse(R"(["beach","sea"])"));
  EXPECT_THAT(names_of(get(std::string(kImages) + "?filter=tag%20%3D%20sea").json["images"]),
              ElementsAre("blue.jpg"));
  EXPECT_EQ(ask("PATCH", target, R"({"tags":["sea"]})").status, 415);
  EXPECT_EQ(
      ask("PATCH", target, R"({"tag":["sea"]})", {{"Content-Type", "application/json"}}).status,
      400);

  EXPECT_EQ(ask("DELETE", target).status, 204);
  EXPECT_EQ(get(target).status, 404);
  EXPECT_EQ(ask("DELETE", target).status, 404);
  for (const char* bad : {"/0", "/-1", "/x", "/1.0", "/99999999999999999999"}) {
    EXPECT_EQ(get(kImages + std::string(bad)).status, 400) << bad;
  }
}

TEST_F(ApiWithPictures, SendsFilesAndThumbnails) {
  const Json shown = get(std::string(kImages) + "/" + id_of("red.jpg")).json;
  for (const char* member : {"file_url", "thumbnail_url"}) {
    const std::string url = shown[member];
    const Answer sent = get(url);
    ASSERT_EQ(sent.status, 200) << url << sent.body;
    EXPECT_EQ(sent.body, picture_bytes(250, 10, 10));
    EXPECT_EQ(sent.headers.get("Content-Type"), "image/jpeg");
    EXPECT_THAT(std::string(sent.headers.get("Content-Disposition")), StartsWith("inline"));
    EXPECT_THAT(std::string(sent.headers.get("Cache-Control")), HasSubstr("immutable"));
    EXPECT_THAT(std::string(sent.headers.get("Content-Security-Policy")), HasSubstr("sandbox"));
    EXPECT_EQ(sent.headers.get("X-Content-Type-Options"), "nosniff");
    const std::string etag(sent.headers.get("ETag"));
    EXPECT_EQ(ask("GET", url, "", {{"If-None-Match", etag}}).status, 304);
    const Answer part = ask("GET", url, "", {{"Range", "bytes=0-2"}});
    EXPECT_EQ(part.status, 206);
    EXPECT_EQ(part.body, "\xFF\xD8\xFF");
    EXPECT_EQ(ask("GET", url, "", {{"Range", "bytes=99-"}}).status, 416);
    // Without the version, or with an older one, the answer is asked for again.
    const std::string plain = url.substr(0, url.find('?'));
    EXPECT_EQ(get(plain).headers.get("Cache-Control"), "private, no-cache");
    EXPECT_EQ(get(plain + "?v=00000000").headers.get("Cache-Control"), "private, no-cache");
  }
  const std::string preview = shown["preview_url"];
  EXPECT_EQ(get(preview + "&w=63").status, 400);
  EXPECT_EQ(get(preview + "&w=5000").status, 400);
  remove("red.jpg");
  EXPECT_EQ(get(shown["file_url"]).status, 404);
}

TEST_F(ApiTest, UploadsOneItemForEachFile) {
  ASSERT_EQ(post_json("/api/v1/collections", R"({"name":"pictures"})").status, 201);
  const Answer answer = upload({{"a.jpg", picture_bytes(1, 2, 3)},
                                {"notes.txt", "hello"},
                                {"b.jpg", picture_bytes(9, 9, 9, "BROKEN")},
                                {"again.jpg", picture_bytes(1, 2, 3)}});
  ASSERT_EQ(answer.status, 200) << answer.body;
  const Json& items = answer.json["items"];
  ASSERT_EQ(items.size(), 4u);
  EXPECT_EQ(items[0]["status"], "created");
  EXPECT_EQ(items[0]["reason"], nullptr);
  EXPECT_EQ(items[1]["status"], "failed");
  EXPECT_EQ(items[1]["code"], "unreadable_media");
  EXPECT_EQ(items[1]["id"], nullptr);
  EXPECT_EQ(items[2]["code"], "unreadable_media");
  EXPECT_EQ(items[3]["status"], "exists");
  EXPECT_EQ(items[3]["id"], items[0]["id"]);
  const Answer found = ask("POST", "/api/v1/collections/pictures/search", picture_bytes(1, 2, 3));
  ASSERT_EQ(found.status, 200) << found.body;
  EXPECT_EQ(found.json["hits"][0]["id"], items[0]["id"]);
  EXPECT_EQ(found.json["hits"][0]["folder"], nullptr);
  EXPECT_FALSE(found.json["hits"][0].contains("path"));
}

TEST_F(ApiTest, UploadsAreLimited) {
  ASSERT_EQ(post_json("/api/v1/collections", R"({"name":"pictures"})").status, 201);
  options_.file_bytes_max = 20;
  options_.upload_files_max = 3;
  options_.upload_bytes_max = 4000;
  make_router();
  const Answer answer = upload({{"a.jpg", picture_bytes(1, 2, 3)},
                                {"big.jpg", picture_bytes(4, 5, 6, std::string(100, 'x'))},
                                {"b.jpg", picture_bytes(7, 8, 9)}});
  ASSERT_EQ(answer.status, 200) << answer.body;
  EXPECT_EQ(answer.json["items"][0]["status"], "created");
  EXPECT_EQ(answer.json["items"][1]["code"], "too_large");
  EXPECT_THAT(answer.json["items"][1]["hint"], HasSubstr("limits.file_bytes_max"));
  EXPECT_EQ(answer.json["items"][2]["status"], "created");
  const Answer many = upload(std::vector<std::pair<std::string, std::string>>(4, {"a", "b"}));
  EXPECT_EQ(many.status, 413) << many.body;
  EXPECT_THAT(many.json["hint"], HasSubstr("limits.upload_files_max"));
  const Answer large = upload({{"a.jpg", std::string(5000, 'x')}});
  EXPECT_EQ(large.status, 413);
  EXPECT_THAT(large.json["hint"], HasSubstr("limits.upload_bytes_max"));
  EXPECT_EQ(
      ask("POST", "/api/v1/collections/pictures/images", "x", {{"Content-Type", "image/jpeg"}})
          .status,
      415);
  EXPECT_EQ(upload({}).status, 400);
}

TEST_F(ApiTest, BuildsAFolderAndTellsOfIt) {
  write("red.jpg", picture_bytes(250, 10, 10));
  write("bad.jpg", picture_bytes(1, 1, 1, "BROKEN"));
  const Answer started = post_json("/api/v1/collections/pictures/builds",
                                   Json{{"path", root_}, {"hidden", true}}.dump());
  ASSERT_EQ(started.status, 202) << started.body;
  const std::string job = started.headers.get("Location").data();
  EXPECT_EQ(started.json["state"], "queued");
  EXPECT_EQ(started.json["existed"], false);
  EXPECT_EQ(started.json["options"]["hidden"], true);
  const Answer again =
      post_json("/api/v1/collections/pictures/builds", Json{{"path", root_}}.dump());
  EXPECT_EQ(again.json["existed"], true);
  EXPECT_EQ(again.json["id"], started.json["id"]);
  EXPECT_EQ(ask("DELETE", "/api/v1/collections/pictures").status, 409);

  EXPECT_EQ(ask("POST", job + "/pause").json["state"], "paused");
  EXPECT_EQ(get("/api/v1/jobs?unfinished=true&collection=pictures").json["jobs"].size(), 1u);
  EXPECT_EQ(ask("POST", job + "/resume").json["state"], "queued");
  start_running();

  // Its events, from the first to the last.
  Answer events = get(job + "/events");
  ASSERT_EQ(events.status, 200);
  EXPECT_EQ(events.headers.get("Content-Type"), "text/event-stream");
  std::string all;
  std::stop_source stop;
  while (auto text = events.stream->next(stop.get_token(), std::chrono::milliseconds(500)))
    all += *text;
  EXPECT_THAT(all, StartsWith("id: "));
  EXPECT_THAT(all, HasSubstr("\nevent: job\ndata: {\"id\":\""));
  EXPECT_THAT(all, HasSubstr("\"state\":\"done\""));

  const Answer done = get(job);
  EXPECT_EQ(done.json["state"], "done");
  EXPECT_EQ(done.json["counters"]["ready"], 1);
  EXPECT_EQ(done.json["counters"]["failed"], 1);
  EXPECT_EQ(done.json["root"], root_);
  EXPECT_EQ(get("/api/v1/jobs?unfinished=true").json["jobs"].size(), 0u);
  EXPECT_EQ(ask("POST", job + "/cancel").status, 409);

  // Who has seen the last event is told not to come back; who has not gets it.
  const std::string version = std::to_string(done.json["version"].get<std::int64_t>());
  EXPECT_EQ(ask("GET", job + "/events", "", {{"Last-Event-ID", version}}).status, 204);
  Answer resumed = ask("GET", job + "/events", "", {{"Last-Event-ID", "1"}});
  ASSERT_EQ(resumed.status, 200);
  EXPECT_THAT(*resumed.stream->next(stop.get_token(), std::chrono::seconds(1)),
              StartsWith("id: " + version));
  EXPECT_FALSE(resumed.stream->next(stop.get_token(), std::chrono::seconds(1)));
  EXPECT_EQ(ask("GET", job + "/events", "", {{"Last-Event-ID", "x"}}).status, 400);

  const Answer failures = get(job + "/failures?limit=10");
  ASSERT_EQ(failures.status, 200) << failures.body;
  ASSERT_EQ(failures.json["failures"].size(), 1u);
  EXPECT_EQ(failures.json["failures"][0]["name"], "bad.jpg");
  EXPECT_EQ(failures.json["failures"][0]["code"], "unreadable_media");
  EXPECT_EQ(failures.json["failures"][0]["attempts"], 1);
  const Answer of_all = get("/api/v1/collections/pictures/failures?limit=10");
  EXPECT_EQ(of_all.status, 200);
  EXPECT_EQ(of_all.json, failures.json);
  EXPECT_EQ(get("/api/v1/collections/nosuch/failures").status, 404);
  EXPECT_EQ(get("/api/v1/collections/pictures/failures?limit=0").status, 400);
  const Answer retry = ask("POST", job + "/failures/retry");
  ASSERT_EQ(retry.status, 202) << retry.body;
  EXPECT_EQ(retry.json["options"]["retry_failed"], true);
  wait_until_finished(std::stoll(retry.json["id"].get<std::string>()));
  EXPECT_EQ(get(job + "/failures").json["failures"][0]["attempts"], 2);
  EXPECT_EQ(get("/api/v1/jobs/99").status, 404);
  EXPECT_EQ(get("/api/v1/jobs/99/events").status, 404);
}

TEST_F(ApiWithPictures, VerifiesForTheOwner) {
  EXPECT_EQ(ask("POST", "/api/v1/collections/pictures/verify").status, 403);
  const Answer started = as_owner("POST", "/api/v1/collections/pictures/verify");
  ASSERT_EQ(started.status, 202) << started.body;
  EXPECT_EQ(started.json["kind"], "verify");
  const Job job = wait_until_finished(std::stoll(started.json["id"].get<std::string>()));
  EXPECT_EQ(job.state, JobState::done) << job.error;
  const Answer done = get(std::string(started.headers.get("Location")));
  EXPECT_EQ(done.json["findings"], Json::array());
  EXPECT_EQ(done.json["root"], nullptr);
}

TEST_F(ApiWithPictures, TellsItsStatus) {
  ask("POST", kSearch, picture_bytes(1, 2, 3));
  const Answer status = get("/api/v1/status");
  ASSERT_EQ(status.status, 200) << status.body;
  EXPECT_EQ(status.json["version"], "1.2.3");
  EXPECT_EQ(status.json["data_dir"], "/data/of/the/owner");
  const Json& collection = status.json["collections"][0];
  EXPECT_EQ(collection["counts"], Json::parse(R"({"ready":3,"failed":1,"pending":0})"));
  EXPECT_EQ(collection["folders"][0]["path"], root_);
  EXPECT_EQ(collection["model"]["name"], "fake");
  EXPECT_EQ(collection["model"]["dimensions"], 8);
  EXPECT_EQ(collection["index"]["vectors"], 3);
  EXPECT_EQ(status.json["memory"]["parts"][0], Json::parse(R"({"name":"model","bytes":200})"));
  EXPECT_EQ(status.json["server"]["address"], "http://127.0.0.1:8420");
  EXPECT_EQ(status.json["server"]["command"], "./launcher");
  EXPECT_EQ(status.json["server"]["searches"], 1);
  EXPECT_GT(status.json["server"]["search_median_ms"], 0);
  EXPECT_EQ(status.json["last_job"]["state"], "done");
}

TEST_F(ApiWithPictures, CountsForPrometheus) {
  ask("POST", kSearch, picture_bytes(1, 2, 3));
  get("/api/v1/nosuch/thing");
  ask("BREW", "/api/v1/jobs");
  const Answer metrics = get("/metrics");
  ASSERT_EQ(metrics.status, 200) << metrics.body;
  EXPECT_THAT(std::string(metrics.headers.get("Content-Type")),
              StartsWith("text/plain; version=0.0.4"));
  for (const char* line : {
           "similis_http_requests_total{method=\"POST\",route=\"/api/v1/collections/{collection}/"
           "search\",status=\"200\"} 1",
           "similis_http_requests_total{method=\"GET\",route=\"unknown\",status=\"404\"} 1",
           "similis_http_requests_total{method=\"other\",route=\"unknown\",status=\"405\"} 1",
           "similis_searches_total{cache=\"miss\",good_match=\"true\"} 1",
           "similis_pictures{collection=\"pictures\",state=\"ready\"} 3",
           "similis_jobs{state=\"done\"} 1",
           "similis_cache_hits_total 7",
           "similis_memory_bytes{part=\"model\"} 200",
           "# TYPE similis_search_stage_seconds histogram",
       }) {
    EXPECT_THAT(metrics.body, HasSubstr(line));
  }
}

TEST_F(ApiTest, KnowsWhetherItIsReady) {
  EXPECT_EQ(get("/healthz").json["status"], "ok");
  EXPECT_EQ(get("/healthz").json["version"], "1.2.3");
  EXPECT_EQ(get("/readyz").json["status"], "ready");
  status_.state = Error(ErrorCode::unavailable, "the index is still opening", "Try again.");
  const Answer waiting = get("/readyz");
  EXPECT_EQ(waiting.status, 503);
  EXPECT_EQ(waiting.headers.get("Retry-After"), "1");
  EXPECT_EQ(get("/healthz").status, 200);
}

TEST_F(ApiTest, NamesThatAreNotUtf8KeepTheirBytes) {
  write("caf\xE9.jpg", picture_bytes(1, 2, 3));
  build();
  const Answer list = get("/api/v1/collections/pictures/images");
  ASSERT_EQ(list.status, 200) << list.body;
  const Json& image = list.json["images"][0];
  EXPECT_EQ(image["name"], "caf\xEF\xBF\xBD.jpg");
  EXPECT_EQ(wire::base64_decode(image["path_bytes"].get<std::string>()), path("caf\xE9.jpg"));
}

TEST_F(ApiTest, RequestsThatStandStillEnd) {
  ASSERT_EQ(as_owner("POST", "/api/v1/collections", R"({"name":"pictures"})").status, 201);
  upload({{"a.jpg", picture_bytes(1, 2, 3)}});
  options_.request_timeout = std::chrono::seconds(0);
  make_router();
  const Answer slow = ask("POST", "/api/v1/collections/pictures/search", picture_bytes(1, 2, 3));
  EXPECT_EQ(slow.status, 504) << slow.body;
  EXPECT_EQ(slow.json["code"], "deadline_exceeded");
}

/// What lies in a picture's place, but is none of the folder's own files, is neither sent nor
/// waited for.
TEST_F(ApiWithPictures, OnlyRegularFilesOfTheFolderAreRead) {
  const std::string id = id_of("red.jpg");
  const std::string image = std::string(kImages) + "/" + id;
  const std::string crop =
      R"({"image_id":")" + id + R"(","crop":{"x":0,"y":0,"width":0.5,"height":0.5}})";
  const std::string secret = (dir_ / "secret.txt").string();
  std::ofstream(secret) << picture_bytes(250, 10, 10, "secret");

  const auto expect_refused = [&](const char* what) {
    for (const Answer& answer : {get(image + "/file"), get(image + "/preview?w=100"),
                                 post_json(kSearch, crop), ask("HEAD", image + "/file")}) {
      EXPECT_EQ(answer.status, 404) << what << answer.body;
      EXPECT_THAT(answer.body, Not(HasSubstr("secret"))) << what;
    }
    EXPECT_THAT(std::string(get(image + "/file").json["hint"]), HasSubstr("Index")) << what;
  };
  remove("red.jpg");
  std::filesystem::create_symlink(secret, path("red.jpg"));
  expect_refused("a link out of the folder");
  remove("red.jpg");
  ASSERT_EQ(::mkfifo(path("red.jpg").c_str(), 0600), 0);
  expect_refused("a pipe");
  remove("red.jpg");
  std::filesystem::create_directory(path("red.jpg"));
  expect_refused("a folder");
  remove("red.jpg");
  std::filesystem::rename(path("trips"), dir_ / "trips");
  std::filesystem::create_symlink(dir_ / "trips", path("trips"));
  EXPECT_EQ(get(std::string(kImages) + "/" + id_of("trips/green.jpg") + "/file").status, 404);
  // A link that stays inside is the folder's own.
  write("elsewhere/real.jpg", picture_bytes(250, 10, 10));
  std::filesystem::create_symlink(path("elsewhere/real.jpg"), path("red.jpg"));
  EXPECT_EQ(get(image + "/file").body, picture_bytes(250, 10, 10));
}

TEST_F(ApiWithPictures, AChangedFileIsNotPassedOffAsTheIndexedOne) {
  const std::string url = get(std::string(kImages) + "/" + id_of("red.jpg")).json["file_url"];
  write("red.jpg", picture_bytes(10, 10, 250, "another one"));
  const Answer sent = get(url);
  EXPECT_EQ(sent.body, picture_bytes(10, 10, 250, "another one"));
  EXPECT_EQ(sent.headers.find("ETag"), nullptr);
  EXPECT_EQ(sent.headers.get("Cache-Control"), "private, no-store");
}

TEST_F(ApiWithPictures, WhatABrowserHasIsToldByTheRowAlone) {
  const std::string url = get(std::string(kImages) + "/" + id_of("red.jpg")).json["file_url"];
  const std::string etag(get(url).headers.get("ETag"));
  remove("red.jpg");
  EXPECT_EQ(ask("GET", url, "", {{"If-None-Match", etag}}).status, 304);
  EXPECT_EQ(get(url).status, 404);
}

TEST_F(ApiTest, FilesAreSentFromTheDisk) {
  write("large.jpg", picture_bytes(250, 10, 10, std::string(3 << 20, 'x')));
  ASSERT_EQ(post_json("/api/v1/collections", R"({"name":"pictures"})").status, 201);
  build();
  const Answer uploaded =
      upload({{"up.jpg", picture_bytes(10, 250, 10, std::string(3 << 20, 'y'))}});
  const std::string images = "/api/v1/collections/pictures/images/";
  for (const std::string& id :
       {std::to_string(rows().at("large.jpg").id), std::string(uploaded.json["items"][0]["id"])}) {
    const auto row = value_of(library_->get_image(ctx_, "pictures", std::stoll(id)));
    http::RequestHead head;
    head.method = "GET";
    head.target = images + id + "/file";
    head.via = http::Via::unix_socket;
    head.headers.add("Range", "bytes=100-199");
    const http::Response part = router_->handle(head, {});
    EXPECT_EQ(part.status, 206);
    EXPECT_TRUE(part.body.in_file());
    EXPECT_EQ(value_of(part.body.text()), std::string(100, row.folder == 0 ? 'y' : 'x'));
    head.headers = {};
    const http::Response whole = router_->handle(head, {});
    EXPECT_TRUE(whole.body.in_file());
    EXPECT_EQ(value_of(whole.body.text()).size(), 6U + (3 << 20));
  }
}

TEST_F(ApiTest, TheFirstPictureBringsItsModelsWordsAtOnce) {
  Calibration calibration;
  calibration.bands = {{"same", 0.9}};
  models_.embedder->calibrate(calibration);
  ASSERT_EQ(post_json("/api/v1/collections", R"({"name":"pictures"})").status, 201);
  EXPECT_EQ(get("/api/v1/collections/pictures/images").status, 200);  // asks for the facts
  ASSERT_EQ(upload({{"a.jpg", picture_bytes(250, 10, 10)}}).status, 200);
  const Answer found =
      ask("POST", "/api/v1/collections/pictures/search", picture_bytes(250, 10, 10));
  ASSERT_EQ(found.status, 200) << found.body;
  EXPECT_EQ(found.json["hits"][0]["band"], "same");
}

/// Counts what is put under each key.
class CountingCache final : public Cache {
 public:
  explicit CountingCache(Cache& inner) : inner_(inner) {}
  std::optional<std::string> get(const Context& ctx, std::string_view key) override {
    return inner_.get(ctx, key);
  }
  void put(const Context& ctx, std::string_view key, std::string value,
           std::chrono::seconds life) override {
    ++puts[std::string(key)];
    inner_.put(ctx, key, std::move(value), life);
  }
  void erase(const Context& ctx, std::string_view key) override { inner_.erase(ctx, key); }
  CacheStats stats() const override { return inner_.stats(); }

  std::map<std::string, int> puts;

 private:
  Cache& inner_;
};

TEST_F(ApiWithPictures, ACursorLivesItsWholeTimeFromEveryAnswer) {
  CountingCache cache(*memory_);
  Ports ports{*metadata_, vectors_, cache, blobs_, decoder_, *unpacker_, models_, limits_};
  QueryService query(ports);
  SearchRequest request;
  request.collection = "pictures";
  request.query = rows().at("red.jpg").id;
  request.k = 1;
  EXPECT_EQ(value_of(query.search(ctx_, request)).cache, CacheState::miss);
  const SearchResponse hit = value_of(query.search(ctx_, request));
  EXPECT_EQ(hit.cache, CacheState::hit);
  const std::string key = hit.next_cursor.substr(0, 32);
  EXPECT_EQ(cache.puts["search:" + key], 2);
}

}  // namespace
}  // namespace similis
