#include "conformance/vector_store_suite.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <thread>

namespace similis {

void VectorStoreSuite::SetUp() {
  backend_ = GetParam().make();
  ASSERT_THAT(store().create_index(ctx_, kCollection, kIndex, kDimensions), IsOk());
}

std::vector<float> VectorStoreSuite::random_vector() {
  std::normal_distribution<float> normal;
  std::vector<float> out(kDimensions);
  for (float& x : out) x = normal(random_);
  return out;
}

Attributes VectorStoreSuite::random_attributes() {
  const auto pick = [&](std::initializer_list<const char*> words) {
    return std::string(*(words.begin() + random_() % words.size()));
  };
  Attributes a;
  a.folder = pick({"", "/p", "/p/a", "/p/ab", "/q"});
  if (random_() % 4 != 0) a.date = static_cast<std::int64_t>(random_() % 100000);
  a.size_bytes = static_cast<std::int64_t>(random_() % 10000000);
  a.width = static_cast<std::int32_t>(random_() % 4000);
  a.height = static_cast<std::int32_t>(random_() % 4000);
  for (const char* tag : {"blue", "old", "zoo"})
    if (random_() % 3 == 0) a.tags.emplace_back(tag);
  a.class_name = pick({"", "cat", "Cat", "sea lion"});
  return a;
}

WriteToken VectorStoreSuite::put(const std::vector<std::pair<ImageId, Row>>& rows) {
  std::vector<VectorUpsert> batch;
  for (const auto& [id, row] : rows) batch.push_back({id, row.vector, row.attributes});
  const auto token = value_of(store().upsert(ctx_, kIndex, batch));
  for (const auto& [id, row] : rows) model_[id] = row;
  return token;
}

WriteToken VectorStoreSuite::erase(const std::vector<ImageId>& ids) {
  for (const ImageId id : ids) model_.erase(id);
  return value_of(store().erase(ctx_, kIndex, ids));
}

WriteToken VectorStoreSuite::change(ImageId id, const Attributes& attributes) {
  if (const auto row = model_.find(id); row != model_.end()) row->second.attributes = attributes;
  const AttributeUpdate update{id, attributes};
  return value_of(store().update_attributes(ctx_, kIndex, std::span(&update, 1)));
}

std::vector<ScoredId> VectorStoreSuite::search(const std::vector<float>& query, std::size_t k,
                                               const std::string& filter, WriteToken at_least) {
  const Filter parsed = value_of(parse_filter(filter));
  const VectorSearch one{query, k, filter.empty() ? nullptr : &parsed, at_least};
  auto answers = value_of(store().search(ctx_, kIndex, std::span(&one, 1)));
  EXPECT_EQ(answers.size(), 1U);
  return answers.empty() ? std::vector<ScoredId>() : answers.front().hits;
}

double VectorStoreSuite::cosine(const std::vector<float>& a, const std::vector<float>& b) {
  double dot = 0, aa = 0, bb = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    dot += static_cast<double>(a[i]) * b[i];
    aa += static_cast<double>(a[i]) * a[i];
    bb += static_cast<double>(b[i]) * b[i];
  }
  return aa == 0 || bb == 0 ? 0 : dot / std::sqrt(aa * bb);
}

void VectorStoreSuite::expect_exact(const std::vector<float>& query, std::size_t k,
                                    const std::string& filter) {
  SCOPED_TRACE("filter \"" + filter + "\", k " + std::to_string(k));
  const Filter parsed = value_of(parse_filter(filter));
  std::vector<double> truth;
  for (const auto& [id, row] : model_)
    if (matches(parsed, row.attributes)) truth.push_back(cosine(query, row.vector));
  std::sort(truth.begin(), truth.end(), std::greater<>());
  const auto hits = search(query, k, filter);
  ASSERT_EQ(hits.size(), std::min(k, truth.size()));
  for (std::size_t i = 0; i < hits.size(); ++i) {
    const auto row = model_.find(hits[i].id);
    ASSERT_NE(row, model_.end()) << "id " << hits[i].id;
    ASSERT_TRUE(matches(parsed, row->second.attributes)) << "id " << hits[i].id;
    ASSERT_NEAR(hits[i].score, cosine(query, row->second.vector), 1e-3);
    ASSERT_NEAR(hits[i].score, truth[i], 1e-3);
    if (i > 0) {
      ASSERT_TRUE(hits[i - 1].score > hits[i].score ||
                  (hits[i - 1].score == hits[i].score && hits[i - 1].id < hits[i].id));
    }
  }
}

void VectorStoreSuite::expect_ids() {
  std::vector<ImageId> expected, found;
  for (const auto& [id, row] : model_) expected.push_back(id);
  for (ImageId after = 0;;) {
    const auto page = value_of(store().scan_ids(ctx_, kIndex, after, 7));
    ASSERT_LE(page.size(), 7U);
    if (page.empty()) break;
    found.insert(found.end(), page.begin(), page.end());
    after = page.back();
  }
  ASSERT_EQ(found, expected);
  ASSERT_EQ(value_of(store().stats(ctx_, kIndex)).rows, static_cast<std::int64_t>(model_.size()));
}

using testing::ElementsAre;
using testing::IsEmpty;

TEST_P(VectorStoreSuite, AnIndexIsMadeOnceAndKeepsItsDimensions) {
  EXPECT_THAT(store().create_index(ctx_, kCollection, kIndex, kDimensions), IsOk());
  EXPECT_THAT(store().create_index(ctx_, kCollection, kIndex, 64), FailsWith(ErrorCode::conflict));
  EXPECT_THAT(store().create_index(ctx_, kCollection, 8, 0),
              FailsWith(ErrorCode::invalid_argument));
  EXPECT_THAT(store().create_index(ctx_, kCollection, 8, -1),
              FailsWith(ErrorCode::invalid_argument));
  reopen();
  EXPECT_THAT(store().create_index(ctx_, kCollection, kIndex, 64), FailsWith(ErrorCode::conflict));
  EXPECT_THAT(store().open_index(ctx_, kCollection, kIndex), IsOk());
  EXPECT_THAT(store().create_index(ctx_, kCollection, kIndex, kDimensions), IsOk());
}

TEST_P(VectorStoreSuite, TellsWhatFiltersSeeAndItsLatestWrite) {
  EXPECT_EQ(value_of(store().latest_token(ctx_, kIndex)), 0);
  std::vector<std::pair<ImageId, Row>> rows;
  for (ImageId id = 1; id <= 200; ++id)
    rows.push_back({id, {random_vector(), random_attributes()}});
  const WriteToken written = put(rows);
  EXPECT_EQ(value_of(store().latest_token(ctx_, kIndex)), written);
  erase({17});
  const WriteToken token = change(18, random_attributes());
  const auto expect_as_written = [&] {
    EXPECT_EQ(value_of(store().latest_token(ctx_, kIndex)), token);
    std::vector<ImageId> ids;
    for (ImageId id = 1; id <= 201; ++id) ids.push_back(id);
    const auto stored = value_of(store().fetch_attributes(ctx_, kIndex, ids));
    ASSERT_EQ(stored.size(), ids.size());
    for (std::size_t i = 0; i < ids.size(); ++i) {
      const auto row = model_.find(ids[i]);
      ASSERT_EQ(stored[i].has_value(), row != model_.end()) << ids[i];
      if (!stored[i]) continue;
      EXPECT_EQ(*stored[i], row->second.attributes) << ids[i];
    }
  };
  expect_as_written();
  reopen();
  expect_as_written();
  ASSERT_THAT(store().flush(ctx_, kIndex), IsOk());
  reopen();
  expect_as_written();
}

TEST_P(VectorStoreSuite, ListsItsIndexes) {
  ASSERT_THAT(store().create_index(ctx_, kCollection + 1, 8, kDimensions), IsOk());
  const auto listed = [&] {
    std::vector<std::pair<CollectionId, IndexId>> out;
    for (const StoredIndex& one : value_of(store().list_indexes(ctx_))) {
      out.emplace_back(one.collection, one.index);
    }
    return out;
  };
  using testing::Pair;
  EXPECT_THAT(listed(),
              testing::UnorderedElementsAre(Pair(kCollection, kIndex), Pair(kCollection + 1, 8)));
  reopen();
  ASSERT_THAT(store().drop_index(ctx_, kCollection + 1, 8), IsOk());
  EXPECT_THAT(listed(), ElementsAre(Pair(kCollection, kIndex)));
}

TEST_P(VectorStoreSuite, NothingIsThereThatWasNotMade) {
  constexpr IndexId kOther = 99;
  const std::vector<float> query(kDimensions, 1.0F);
  const VectorSearch search{query, 1, nullptr, 0};
  const VectorUpsert row{1, query, {}};
  const AttributeUpdate update{1, {}};
  const ImageId id = 1;
  EXPECT_THAT(store().open_index(ctx_, kCollection, kOther), FailsWith(ErrorCode::not_found));
  EXPECT_THAT(store().search(ctx_, kOther, std::span(&search, 1)), FailsWith(ErrorCode::not_found));
  EXPECT_THAT(store().upsert(ctx_, kOther, std::span(&row, 1)), FailsWith(ErrorCode::not_found));
  EXPECT_THAT(store().update_attributes(ctx_, kOther, std::span(&update, 1)),
              FailsWith(ErrorCode::not_found));
  EXPECT_THAT(store().erase(ctx_, kOther, std::span(&id, 1)), FailsWith(ErrorCode::not_found));
  EXPECT_THAT(store().fetch(ctx_, kOther, std::span(&id, 1)), FailsWith(ErrorCode::not_found));
  EXPECT_THAT(store().scan_ids(ctx_, kOther, 0, 10), FailsWith(ErrorCode::not_found));
  EXPECT_THAT(store().stats(ctx_, kOther), FailsWith(ErrorCode::not_found));
  EXPECT_THAT(store().verify(ctx_, kOther), FailsWith(ErrorCode::not_found));
  EXPECT_THAT(store().flush(ctx_, kOther), FailsWith(ErrorCode::not_found));
  EXPECT_THAT(store().optimize(ctx_, kOther), FailsWith(ErrorCode::not_found));
  EXPECT_THAT(store().drop_index(ctx_, kCollection, kOther), IsOk());
}

TEST_P(VectorStoreSuite, AnEmptyIndexAnswersNothing) {
  EXPECT_THAT(search(random_vector(), 10), IsEmpty());
  expect_ids();
  EXPECT_EQ(value_of(store().max_id(ctx_)), 0);
  EXPECT_THAT(value_of(store().verify(ctx_, kIndex)), IsEmpty());
}

// The whole life of an index in random steps, each answer compared with a plain map's.
TEST_P(VectorStoreSuite, AgreesWithAMap) {
  const std::vector<std::string> filters = {
      "",
      "folder under \"/p\"",
      "folder = \"\"",
      "tag = blue and not tag = old",
      "class in (cat, \"sea lion\")",
      "width >= 2000 or height < 500",
      "not (size > 5mb) and date > 1970-01-01",
      "class != cat",
      "width > 3000 and height > 3000 and tag = zoo",
  };
  for (int step = 0; step < 40; ++step) {
    const auto some_id = [&] { return static_cast<ImageId>(1 + random_() % 150); };
    switch (random_() % 9) {
      case 0:
      case 1:
      case 2: {
        std::vector<std::pair<ImageId, Row>> rows;
        for (std::size_t i = 0; i < random_() % 30; ++i)
          rows.push_back({some_id(), {random_vector(), random_attributes()}});
        put(rows);
        break;
      }
      case 3: {
        std::vector<ImageId> ids;
        for (std::size_t i = 0; i < random_() % 10; ++i) ids.push_back(some_id());
        erase(ids);
        break;
      }
      case 4:
        for (int i = 0; i < 5; ++i) change(some_id(), random_attributes());
        break;
      case 5:
        ASSERT_THAT(store().flush(ctx_, kIndex), IsOk());
        break;
      case 7:
        ASSERT_THAT(store().optimize(ctx_, kIndex), IsOk());
        break;
      case 6:
        reopen();
        break;
      default:
        break;
    }
    const std::string& filter = filters[random_() % filters.size()];
    expect_exact(random_vector(), 1 + random_() % 30, filter);
    if (HasFatalFailure()) return;
  }
  expect_ids();
  EXPECT_THAT(value_of(store().verify(ctx_, kIndex)), IsEmpty());
}

TEST_P(VectorStoreSuite, WritesMayBeRepeated) {
  const Row row{random_vector(), random_attributes()};
  const WriteToken first = put({{5, row}});
  const WriteToken second = put({{5, row}});
  EXPECT_GE(second, first);
  expect_ids();
  EXPECT_THAT(search(row.vector, 10), testing::SizeIs(1));
  const WriteToken third = erase({5, 6});
  EXPECT_GE(third, second);
  EXPECT_GE(erase({5, 6}), third);
  expect_ids();
  change(5, random_attributes());  // not there: ignored
  expect_ids();
  EXPECT_THAT(search(row.vector, 10), IsEmpty());
}

TEST_P(VectorStoreSuite, TheLaterOfTwoRowsWithOneIdWins) {
  const std::vector<float> first = random_vector(), second = random_vector();
  put({{5, {first, {}}}, {5, {second, {}}}});
  expect_ids();
  expect_exact(second, 3);
}

TEST_P(VectorStoreSuite, ASearchReflectsTheTokenItCarries) {
  WriteToken token = 0;
  for (ImageId id = 1; id <= 20; ++id) {
    const std::vector<float> vector = random_vector();
    const WriteToken next = put({{id, {vector, {}}}});
    EXPECT_GT(next, token);
    token = next;
    const auto hits = search(vector, 1, "", token);
    ASSERT_EQ(hits.size(), 1U);
    EXPECT_EQ(hits[0].id, id);
  }
  token = erase({20});
  for (const ScoredId& hit : search(random_vector(), 100, "", token)) EXPECT_NE(hit.id, 20);
  reopen();
  EXPECT_THAT(search(random_vector(), 100, "", token), testing::SizeIs(19));
}

TEST_P(VectorStoreSuite, ScoresAreCosineWhateverTheLengths) {
  std::vector<float> vector = random_vector();
  std::vector<float> longer = vector, opposite = vector;
  for (float& x : longer) x *= 40;
  for (float& x : opposite) x *= -0.001F;
  put({{1, {longer, {}}}, {2, {opposite, {}}}, {3, {std::vector<float>(kDimensions), {}}}});
  const auto hits = search(vector, 10);
  ASSERT_EQ(hits.size(), 3U);
  EXPECT_EQ(hits[0].id, 1);
  EXPECT_NEAR(hits[0].score, 1, 1e-3);
  EXPECT_EQ(hits[1].id, 3);
  EXPECT_EQ(hits[1].score, 0);
  EXPECT_EQ(hits[2].id, 2);
  EXPECT_NEAR(hits[2].score, -1, 1e-3);
}

TEST_P(VectorStoreSuite, EqualScoresComeById) {
  const Row row{random_vector(), {}};
  put({{9, row}, {2, row}, {40, row}, {7, row}});
  std::vector<ImageId> ids;
  for (const ScoredId& hit : search(random_vector(), 3)) ids.push_back(hit.id);
  EXPECT_THAT(ids, ElementsAre(2, 7, 9));
}

TEST_P(VectorStoreSuite, SeveralSearchesAreAnsweredInOrder) {
  std::vector<std::pair<ImageId, Row>> rows;
  for (ImageId id = 1; id <= 60; ++id) rows.push_back({id, {random_vector(), random_attributes()}});
  put(rows);
  const Filter cats = value_of(parse_filter("class = cat")), everything;
  std::vector<VectorSearch> searches;
  for (std::size_t i = 0; i < 12; ++i)
    searches.push_back({rows[i].second.vector, 1 + i % 5,
                        i % 3 == 0 ? &cats : (i % 3 == 1 ? &everything : nullptr), 0});
  const auto answers = value_of(store().search(ctx_, kIndex, searches));
  ASSERT_EQ(answers.size(), searches.size());
  for (std::size_t i = 0; i < searches.size(); ++i) {
    const auto alone = value_of(store().search(ctx_, kIndex, std::span(&searches[i], 1)));
    ASSERT_EQ(answers[i].hits.size(), alone[0].hits.size()) << i;
    for (std::size_t h = 0; h < alone[0].hits.size(); ++h) {
      EXPECT_EQ(answers[i].hits[h].id, alone[0].hits[h].id) << i;
      EXPECT_NEAR(answers[i].hits[h].score, alone[0].hits[h].score, 1e-5) << i;
    }
  }
  EXPECT_THAT(value_of(store().search(ctx_, kIndex, {})), IsEmpty());
}

TEST_P(VectorStoreSuite, RefusesWhatItCannotHold) {
  const auto refused = [&](ImageId id, std::vector<float> vector) {
    const VectorUpsert row{id, vector, {}};
    const auto result = store().upsert(ctx_, kIndex, std::span(&row, 1));
    return !result.ok() && result.error().code == ErrorCode::invalid_argument;
  };
  const std::vector<float> good = random_vector();
  EXPECT_TRUE(refused(0, good));
  EXPECT_TRUE(refused(-3, good));
  EXPECT_TRUE(refused(kIdMax + 1, good));
  EXPECT_TRUE(refused(1, std::vector<float>(kDimensions - 1, 1.0F)));
  for (const float bad : {NAN, INFINITY, -INFINITY}) {
    auto vector = good;
    vector[3] = bad;
    EXPECT_TRUE(refused(1, vector));
  }
  expect_ids();
  EXPECT_FALSE(refused(kIdMax, good));
  EXPECT_EQ(value_of(store().max_id(ctx_)), kIdMax);

  const auto search_refused = [&](const std::vector<float>& query, std::size_t k) {
    const VectorSearch search{query, k, nullptr, 0};
    const auto result = store().search(ctx_, kIndex, std::span(&search, 1));
    return !result.ok() && result.error().code == ErrorCode::invalid_argument;
  };
  const std::size_t k_max = store().capabilities().k_max;
  EXPECT_GE(k_max, 1000U);
  EXPECT_TRUE(search_refused(good, 0));
  EXPECT_TRUE(search_refused(good, k_max + 1));
  EXPECT_FALSE(search_refused(good, k_max));
  EXPECT_TRUE(search_refused(std::vector<float>(kDimensions + 1, 1.0F), 1));
  EXPECT_TRUE(search_refused(std::vector<float>(kDimensions, NAN), 1));
}

TEST_P(VectorStoreSuite, FetchGivesUnitVectors) {
  put({{4, {random_vector(), {}}}, {9, {random_vector(), {}}}});
  const std::vector<ImageId> ids{9, 5, 4, 9};
  for (const bool reopened : {false, true}) {
    if (reopened) reopen();
    const auto vectors = value_of(store().fetch(ctx_, kIndex, ids));
    ASSERT_EQ(vectors.size(), 4U);
    EXPECT_TRUE(vectors[1].empty());
    EXPECT_EQ(vectors[0], vectors[3]);
    for (const std::size_t i : {0U, 2U}) {
      double norm = 0;
      for (const float x : vectors[i]) norm += static_cast<double>(x) * x;
      EXPECT_NEAR(norm, 1, 2e-3);
      EXPECT_NEAR(cosine(vectors[i], model_[ids[i]].vector), 1, 1e-5);
    }
  }
}

TEST_P(VectorStoreSuite, ScansInPagesFromAnyId) {
  std::vector<std::pair<ImageId, Row>> rows;
  for (ImageId id = 10; id <= 500; id += 10) rows.push_back({id, {random_vector(), {}}});
  std::shuffle(rows.begin(), rows.end(), random_);
  put(rows);
  erase({20, 500});
  EXPECT_THAT(value_of(store().scan_ids(ctx_, kIndex, 0, 3)), ElementsAre(10, 30, 40));
  EXPECT_THAT(value_of(store().scan_ids(ctx_, kIndex, 30, 2)), ElementsAre(40, 50));
  EXPECT_THAT(value_of(store().scan_ids(ctx_, kIndex, 31, 1)), ElementsAre(40));
  EXPECT_THAT(value_of(store().scan_ids(ctx_, kIndex, -5, 1)), ElementsAre(10));
  EXPECT_THAT(value_of(store().scan_ids(ctx_, kIndex, 480, 10)), ElementsAre(490));
  EXPECT_THAT(value_of(store().scan_ids(ctx_, kIndex, 490, 10)), IsEmpty());
  EXPECT_THAT(value_of(store().scan_ids(ctx_, kIndex, 0, 0)), IsEmpty());
}

// Over all indexes, opened or not, and remembering what was erased.
TEST_P(VectorStoreSuite, MaxIdIsTheLargestEverWritten) {
  put(12);
  put(30);
  erase({30});
  ASSERT_THAT(store().create_index(ctx_, 4, 8, 2), IsOk());
  const std::vector<float> vector{1, 2};
  const VectorUpsert row{25, vector, {}};
  ASSERT_THAT(store().upsert(ctx_, 8, std::span(&row, 1)), IsOk());
  EXPECT_EQ(value_of(store().max_id(ctx_)), 30);
  reopen();
  EXPECT_EQ(value_of(store().max_id(ctx_)), 30);
  ASSERT_THAT(store().flush(ctx_, kIndex), IsOk());
  reopen();
  EXPECT_EQ(value_of(store().max_id(ctx_)), 30);
}

TEST_P(VectorStoreSuite, IndexesDoNotMix) {
  put(1);
  constexpr IndexId kOther = 8;
  ASSERT_THAT(store().create_index(ctx_, kCollection, kOther, 2), IsOk());
  const std::vector<float> vector{1, 2};
  const VectorUpsert row{2, vector, {}};
  ASSERT_THAT(store().upsert(ctx_, kOther, std::span(&row, 1)), IsOk());
  EXPECT_THAT(value_of(store().scan_ids(ctx_, kIndex, 0, 9)), ElementsAre(1));
  EXPECT_THAT(value_of(store().scan_ids(ctx_, kOther, 0, 9)), ElementsAre(2));
  ASSERT_THAT(store().drop_index(ctx_, kCollection, kOther), IsOk());
  ASSERT_THAT(store().drop_index(ctx_, kCollection, kOther), IsOk());
  EXPECT_THAT(store().stats(ctx_, kOther), FailsWith(ErrorCode::not_found));
  reopen();
  EXPECT_THAT(store().stats(ctx_, kOther), FailsWith(ErrorCode::not_found));
  expect_ids();
  // A dropped one may be made again, and is empty.
  ASSERT_THAT(store().create_index(ctx_, kCollection, kOther, 3), IsOk());
  EXPECT_EQ(value_of(store().stats(ctx_, kOther)).rows, 0);
}

TEST_P(VectorStoreSuite, StatsSayWhatIsThere) {
  for (ImageId id = 1; id <= 30; ++id) put(id);
  erase({3});
  const auto stats = value_of(store().stats(ctx_, kIndex));
  EXPECT_EQ(stats.rows, 29);
  EXPECT_FALSE(stats.kind.empty());
  EXPECT_GE(stats.bytes_on_disk, 30 * kDimensions * 2);
}

TEST_P(VectorStoreSuite, StopsWhenNobodyWaits) {
  put(1);
  const std::vector<float> query = random_vector();
  const VectorSearch search{query, 1, nullptr, 0};
  const VectorUpsert row{2, query, {}};
  Context late;
  late.deadline = Context::Clock::now() - std::chrono::seconds(1);
  EXPECT_THAT(store().search(late, kIndex, std::span(&search, 1)),
              FailsWith(ErrorCode::deadline_exceeded));
  std::stop_source source;
  source.request_stop();
  Context cancelled;
  cancelled.cancel = source.get_token();
  EXPECT_THAT(store().search(cancelled, kIndex, std::span(&search, 1)),
              FailsWith(ErrorCode::cancelled));
  EXPECT_THAT(store().upsert(cancelled, kIndex, std::span(&row, 1)),
              FailsWith(ErrorCode::cancelled));
  EXPECT_THAT(store().optimize(cancelled, kIndex), FailsWith(ErrorCode::cancelled));
  expect_ids();
}

// Rows with the filtered attribute, and only those, at any moment while they are being changed.
TEST_P(VectorStoreSuite, IsSafeFromSeveralThreads) {
  constexpr ImageId kStable = 50;
  std::vector<std::pair<ImageId, Row>> rows;
  for (ImageId id = 1; id <= kStable; ++id) {
    Row row{random_vector(), {}};
    row.attributes.folder = "/stable";
    rows.push_back({id, row});
  }
  put(rows);
  const Filter stable = value_of(parse_filter("folder = \"/stable\""));
  // Folder and width change together: no search may see one without the other.
  const Filter torn =
      value_of(parse_filter("folder = \"/a\" and width = 2 or folder = \"/b\" and width = 1"));
  std::atomic<bool> stop{false};
  std::atomic<int> problems{0};
  std::vector<std::thread> threads;
  for (int w = 0; w < 2; ++w) {
    threads.emplace_back([&, w] {
      std::mt19937_64 random(static_cast<std::uint64_t>(w));
      std::normal_distribution<float> normal;
      for (int round = 0; round < 25; ++round) {
        const ImageId id = 100 + 100 * w + static_cast<ImageId>(random() % 20);
        std::vector<float> vector(kDimensions);
        for (float& x : vector) x = normal(random);
        Attributes attributes;
        const bool a = random() % 2 == 0;
        attributes.folder = a ? "/a" : "/b";
        attributes.width = a ? 1 : 2;
        const VectorUpsert row{id, vector, attributes};
        const AttributeUpdate update{id, attributes};
        if (!store().upsert(ctx_, kIndex, std::span(&row, 1)).ok()) ++problems;
        if (!store().update_attributes(ctx_, kIndex, std::span(&update, 1)).ok()) ++problems;
        if (random() % 3 == 0 && !store().erase(ctx_, kIndex, std::span(&id, 1)).ok()) ++problems;
        if (round % 10 == 9 && !store().flush(ctx_, kIndex).ok()) ++problems;
      }
      stop = true;
    });
  }
  for (int s = 0; s < 2; ++s) {
    threads.emplace_back([&, s] {
      std::size_t at = static_cast<std::size_t>(s);
      while (!stop) {
        const auto& query = rows[at++ % rows.size()].second.vector;
        const VectorSearch searches[] = {{query, 1000, &stable, 0}, {query, 1000, &torn, 0}};
        const auto answers = store().search(ctx_, kIndex, searches);
        if (!answers.ok() || (*answers)[0].hits.size() != kStable || !(*answers)[1].hits.empty())
          ++problems;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(problems, 0);
}

}  // namespace similis
