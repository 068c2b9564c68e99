#include "wire/requests.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "wire/error_table.h"
#include "wire/errors.h"

namespace similis::wire {
namespace {

using testing::HasSubstr;

TEST(SearchRequestJson, ReadsEveryWayToAsk) {
  auto by_id = read_search_request(
      R"({"image_id": "412", "k": 5, "crop": {"x": 0.25, "y": 0, "width": 0.5, "height": 1},
          "filter": "class = \"cat\"", "min_score": 0.5, "exclude_self": true,
          "collapse_identical": true, "use_cache": false})");
  ASSERT_TRUE(by_id.ok()) << by_id.error().message;
  EXPECT_EQ(std::get<ImageId>(by_id->query), 412);
  EXPECT_EQ(by_id->k, 5u);
  EXPECT_EQ(by_id->crop, (Crop{0.25, 0, 0.5, 1}));
  EXPECT_FALSE(by_id->filter.matches_everything());
  EXPECT_EQ(by_id->min_score, 0.5);
  EXPECT_TRUE(by_id->exclude_self);
  EXPECT_TRUE(by_id->collapse_identical);
  EXPECT_FALSE(by_id->use_cache);

  auto by_vector = read_search_request(R"({"vector": [1, -0.5]})");
  ASSERT_TRUE(by_vector.ok());
  EXPECT_EQ(std::get<std::vector<float>>(by_vector->query), (std::vector<float>{1.0F, -0.5F}));
  EXPECT_EQ(by_vector->k, 10u);

  auto by_examples =
      read_search_request(R"({"examples": [{"image_id": "1"}, {"vector": [1], "weight": -0.5}]})");
  ASSERT_TRUE(by_examples.ok());
  const auto& examples = std::get<std::vector<QueryExample>>(by_examples->query);
  ASSERT_EQ(examples.size(), 2u);
  EXPECT_EQ(examples[0].weight, 1);
  EXPECT_EQ(examples[1].weight, -0.5);

  auto next = read_search_request(R"({"cursor": "abc"})");
  ASSERT_TRUE(next.ok());
  EXPECT_EQ(next->cursor, "abc");
}

TEST(SearchRequestJson, ComesBack) {
  SearchRequest request;
  request.query = std::vector<QueryExample>{{ImageId{7}, -2.0}, {std::vector<float>{0.1F}, 1.0}};
  request.k = 33;
  request.filter = *parse_filter("date >= 2019 and tag = sea");
  request.min_score = 0.123456789;
  request.exclude_self = true;
  auto again = read_search_request(search_request_json(request));
  ASSERT_TRUE(again.ok()) << again.error().message;
  EXPECT_EQ(search_request_json(*again), search_request_json(request));
  EXPECT_EQ(again->filter, request.filter);
  EXPECT_EQ(again->min_score, request.min_score);
  EXPECT_EQ(std::get<std::vector<float>>(std::get<std::vector<QueryExample>>(again->query)[1].what),
            std::vector<float>{0.1F});
}

struct Wrong {
  const char* json;
  const char* says;
};

TEST(SearchRequestJson, SaysWhatIsWrongAndWhere) {
  const Wrong cases[] = {
      {"", "not JSON"},
      {"{\"image_id\": ", "line 1"},
      {"[]", "must be an object, not an array"},
      {"{}", "does not say what to look for"},
      {R"({"image_id": "1", "cursor": "x"})", "more than once"},
      {R"({"image_id": 412})", "/image_id must be a string of digits, not a number"},
      {R"({"image_id": "0"})", "/image_id is not an id"},
      {R"({"image_id": null})", "/image_id must be a string"},
      {R"({"image_id": "1", "k": 0})", "/k is 0; it must be 1 to 1000"},
      {R"({"image_id": "1", "k": 1.5})", "/k must be a whole number, not a fraction"},
      {R"({"image_id": "1", "k": "5"})", "/k must be a whole number, not a string"},
      {R"({"image_id": "1", "min_score": 2})", "/min_score must lie between -1 and 1"},
      {R"({"image_id": "1", "crop": {"x": 0, "y": 0, "width": 1}})", "/crop/height is missing"},
      {R"({"image_id": "1", "crop": {"x": 0.5, "y": 0, "width": 0.6, "height": 1}})",
       "/crop does not lie on the picture"},
      {R"({"image_id": "1", "crop": {"x": 0, "y": 0, "width": 1, "height": 1, "z": 1}})",
       "/crop/z is not known here"},
      {R"({"vector": [1], "crop": {"x": 0, "y": 0, "width": 1, "height": 1}})", "/crop needs"},
      {R"({"vector": []})", "/vector has 0 numbers"},
      {R"({"vector": [1, "a"]})", "/vector/1 must be a number, not a string"},
      {R"({"vector": [1e39]})", "/vector/0 is too large"},
      {R"({"vector": [1e999]})", "not JSON"},
      {R"({"examples": []})", "/examples must be an array of 1 to 100"},
      {R"({"examples": [{}]})", "/examples/0 must have either image_id or vector"},
      {R"({"examples": [{"image_id": "1", "weight": 1000}]})", "/examples/0/weight"},
      {R"({"cursor": "x", "k": 5})", "a cursor stands alone"},
      {R"({"cursor": ""})", "/cursor is empty"},
      {R"({"image_id": "1", "filter": "clas = cat"})", "clas"},
  };
  for (const Wrong& wrong : cases) {
    auto read = read_search_request(wrong.json);
    ASSERT_FALSE(read.ok()) << wrong.json;
    EXPECT_EQ(read.error().code, ErrorCode::invalid_argument) << wrong.json;
    EXPECT_THAT(read.error().message, HasSubstr(wrong.says)) << wrong.json;
  }
  EXPECT_THAT(read_search_request(R"({"image_id": 412})").error().hint, HasSubstr("\"412\""));
  EXPECT_THAT(read_search_request(R"({"imageid": "1"})").error().hint, HasSubstr("image_id"));
  EXPECT_FALSE(read_search_request(std::string(100'000, '[')).ok());
}

TEST(SearchSettings, AreTheSameAsQueryParameters) {
  SearchRequest request;
  for (const auto& [name, value] :
       std::vector<std::pair<std::string, std::string>>{{"k", "3"},
                                                        {"filter", "width > 100"},
                                                        {"min_score", "-0.25"},
                                                        {"crop", "0.25,0.25,0.5,0.5"},
                                                        {"exclude_self", "true"},
                                                        {"collapse_identical", "true"},
                                                        {"use_cache", "false"}}) {
    const auto known = read_search_setting(name, value, request);
    ASSERT_TRUE(known.ok()) << known.error().message;
    EXPECT_TRUE(*known) << name;
  }
  request.query = QueryPicture{nullptr, "a b&c.jpg"};
  EXPECT_EQ(search_query_string(request),
            "k=3&crop=0.25,0.25,0.5,0.5&filter=" + percent_encode(to_string(request.filter)) +
                "&min_score=-0.25&exclude_self=true&collapse_identical=true&use_cache=false"
                "&name=a%20b%26c.jpg");
  SearchRequest same;
  ASSERT_TRUE(read_search_settings(R"({"k": 3, "filter": "width > 100", "min_score": -0.25,
      "crop": {"x": 0.25, "y": 0.25, "width": 0.5, "height": 0.5}, "exclude_self": true,
      "collapse_identical": true, "use_cache": false})",
                                   same)
                  .ok());
  same.query = request.query;
  EXPECT_EQ(search_query_string(same), search_query_string(request));

  EXPECT_FALSE(*read_search_setting("kk", "3", request));
  for (const auto& [name, value] :
       std::vector<std::pair<std::string, std::string>>{{"k", ""},
                                                        {"k", "1001"},
                                                        {"k", "5x"},
                                                        {"min_score", "nan"},
                                                        {"min_score", "inf"},
                                                        {"crop", "1,2,3"},
                                                        {"crop", "0,0,1,1,1"},
                                                        {"crop", "0.5,0,1,1"},
                                                        {"exclude_self", "yes"},
                                                        {"filter", "("}}) {
    EXPECT_FALSE(read_search_setting(name, value, request).ok()) << name << "=" << value;
  }
}

TEST(BuildRequest, KeepsPathsThatAreNotUtf8) {
  BuildRequest request{.path = "/pictures/\xFF", .options = {.watch = true}, .model = "quality"};
  auto again = read_build_request(build_request_json(request));
  ASSERT_TRUE(again.ok()) << again.error().message;
  EXPECT_EQ(again->path, request.path);
  EXPECT_EQ(again->options, request.options);
  EXPECT_EQ(again->model, "quality");
  EXPECT_FALSE(read_build_request(R"({})").ok());
  EXPECT_FALSE(read_build_request(R"({"path": ""})").ok());
  EXPECT_FALSE(read_build_request("{\"path\": \"/a\\u0000b\"}").ok());
  EXPECT_FALSE(read_build_request(R"({"path": "/a", "path_bytes": "YQ=="})").ok());
  EXPECT_THAT(read_build_request(R"({"path": "/a", "wach": true})").error().hint,
              HasSubstr("watch"));
}

TEST(SmallRequests, AreChecked) {
  EXPECT_EQ(*read_name(name_json("büro")), "büro");
  EXPECT_FALSE(read_name(R"({"name": ""})").ok());
  EXPECT_FALSE(read_name(R"({"name": "a", "b": 1})").ok());
  EXPECT_EQ(*read_tags(tags_json({"b", "a"})), (std::vector<std::string>{"b", "a"}));
  EXPECT_FALSE(read_tags(R"({"tags": ["a", ""]})").ok());
  EXPECT_FALSE(read_tags(R"({"tags": "a"})").ok());
  EXPECT_FALSE(read_tags("{\"tags\": [\"a\\u0000b\"]}").ok());
  EXPECT_EQ(*read_credential(R"({"credential": "x"})"), "x");
}

TEST(Errors, EveryCodeHasItsRow) {
  for (int i = 0; i <= static_cast<int>(ErrorCode::internal); ++i) {
    const auto code = static_cast<ErrorCode>(i);
    EXPECT_EQ(error_code_from_name(error_code_name(code)), code);
    EXPECT_GE(http_status(code), 400);
    EXPECT_NE(exit_code(code), 0);
    EXPECT_NE(exit_code(code), 1);
    const Error error(code, "what", "do");
    const Error again = error_from_problem(http_status(code), problem_json(error, "r1"));
    EXPECT_EQ(again.code, code);
    EXPECT_EQ(again.message, "what");
    EXPECT_EQ(again.hint, "do");
  }
  EXPECT_EQ(error_from_problem(502, "<html>").code, ErrorCode::unavailable);
  EXPECT_THAT(error_from_problem(404, "").message, HasSubstr("404"));
}

}  // namespace
}  // namespace similis::wire
