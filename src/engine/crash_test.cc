// Power cuts, full disks and failing syncs at random moments of random work, on a simulated
// storage, against a plain map. SIMILIS_CRASH_SEEDS sets how many runs (default 200),
// SIMILIS_CRASH_SEED the first one's seed, which a failure prints.
#include <gtest/gtest.h>

#include <chrono>
#include <optional>
#include <set>

#include "engine/index.h"
#include "engine/storage/simulated_storage_test.h"
#include "engine/support_test.h"

namespace similis::engine {
namespace {

constexpr const char* kDirectory = "index";

/// What a row holds: vector and attributes both follow from the number of the write that made them.
struct State {
  std::uint64_t vector = 0;
  std::uint64_t attributes = 0;
  friend auto operator<=>(const State&, const State&) = default;
};
using MaybeState = std::optional<State>;

/// Nothing in the background: a seed names one order of events.
IndexOptions one_thread_on(SimulatedStorage& storage) {
  IndexOptions options;
  options.background = false;
  options.threads = 1;
  options.storage = &storage;
  return options;
}

class CrashRun {
 public:
  explicit CrashRun(std::uint64_t seed)
      : random_(seed), storage_(seed ^ 0x5bd1e995), options_(one_thread_on(storage_)) {
    static constexpr std::uint32_t kDimensions[] = {1, 3, 17, 64, 130, 300};
    shape_.dimensions = kDimensions[random_() % std::size(kDimensions)];
    shape_.metric = static_cast<Metric>(1 + random_() % 3);
    options_.checkpoint_log_bytes = std::uint64_t{1} << (10 + random_() % 8);
    options_.segment_rows = 20 + random_() % 300;
    shape_.kind = random_() % 2 == 0 ? IndexKind::flat : IndexKind::graph;
    options_.graph_rows_min = 8 + random_() % 60;
    ids_max_ = 5 + random_() % 60;
  }

  void run() {
    {
      auto created = Index::create(kDirectory, shape_, options_);
      ASSERT_TRUE(created.ok()) << created.error().message;
      index_ = std::move(created).value();
    }
    const int rounds = 3 + static_cast<int>(random_() % 6);
    for (int round = 0; round < rounds; ++round) {
      schedule_fault();
      const std::uint64_t steps = 1 + random_() % 25;
      for (std::uint64_t i = 0; i < steps && !storage_.power_is_off(); ++i) step();
      if (random_() % 4 != 0 || storage_.power_is_off()) {
        if (!storage_.power_is_off() && random_() % 2 == 0) {
          reopen_cleanly();
        } else {
          crash_and_reopen();
        }
      }
      if (testing::Test::HasFatalFailure()) return;
      check_everything();
      if (testing::Test::HasFatalFailure()) return;
    }
  }
  /// How many times a graph was there when all was checked.
  [[nodiscard]] std::size_t with_graph() const { return with_graph_; }

 private:
  void schedule_fault() {
    const std::uint64_t after = random_() % 120;
    switch (random_() % 6) {
      case 0:
      case 1:
      case 2:
        return storage_.schedule(SimulatedStorage::Fault::power, after);
      case 3:
        return storage_.schedule(SimulatedStorage::Fault::no_space, after, 1 + random_() % 8);
      case 4:
        return storage_.schedule(SimulatedStorage::Fault::sync, after);
      default:
        return storage_.clear_faults();
    }
  }

  std::vector<float> vector_of(std::uint64_t write) const {
    std::mt19937_64 random(write * 0x9e3779b97f4a7c15ULL);
    return random_vector(random, shape_.dimensions);
  }
  static std::string attributes_of(std::uint64_t write) {
    return std::string(write % 50, '#') + std::to_string(write);
  }

  /// A write of `ids` was tried: acknowledged, each id is in its new state; else in any it went
  /// through.
  void note(bool acknowledged, std::uint64_t id, const MaybeState& state) {
    auto& possible = model_[id];
    if (possible.empty()) possible.insert(MaybeState());
    if (acknowledged) possible.clear();
    possible.insert(state);
  }

  void step() {
    const std::uint64_t count = 1 + random_() % 12;
    std::vector<std::uint64_t> ids;
    for (std::uint64_t i = 0; i < count; ++i) ids.push_back(1 + random_() % ids_max_);
    switch (random_() % 11) {
      case 0:
      case 1:
      case 2:
      case 3: {
        std::vector<std::vector<float>> vectors;
        std::vector<std::string> attributes;
        std::vector<State> states;
        for (std::uint64_t i = 0; i < count; ++i) {
          const std::uint64_t write = ++writes_;
          vectors.push_back(vector_of(write));
          attributes.push_back(attributes_of(write));
          states.push_back({write, write});
        }
        std::vector<Row> rows;
        for (std::uint64_t i = 0; i < count; ++i)
          rows.push_back({ids[i], vectors[i], as_bytes(attributes[i])});
        const bool ok = index_->upsert(rows, {}).ok();
        for (std::uint64_t i = 0; i < count; ++i) note(ok, ids[i], states[i]);
        break;
      }
      case 4:
      case 5: {
        const bool ok = index_->erase(ids, {}).ok();
        for (const std::uint64_t id : ids) note(ok, id, MaybeState());
        break;
      }
      case 6:
      case 7: {
        std::vector<std::string> attributes;
        std::vector<std::uint64_t> writes;
        for (std::uint64_t i = 0; i < count; ++i) {
          writes.push_back(++writes_);
          attributes.push_back(attributes_of(writes.back()));
        }
        std::vector<AttributeChange> changes;
        for (std::uint64_t i = 0; i < count; ++i)
          changes.push_back({ids[i], as_bytes(attributes[i])});
        const bool ok = index_->update_attributes(changes, {}).ok();
        for (std::uint64_t i = 0; i < count; ++i) {
          auto& possible = model_[ids[i]];
          if (possible.empty()) possible.insert(MaybeState());
          std::set<MaybeState> after;
          for (const MaybeState& state : possible)
            after.insert(state ? MaybeState({state->vector, writes[i]}) : MaybeState());
          if (!ok) after.insert(possible.begin(), possible.end());
          possible = std::move(after);
        }
        break;
      }
      case 8:
        (void)index_->checkpoint();  // may fail for lack of space or power; nothing may be lost
        break;
      case 9:
        (void)index_->compact({});
        break;
      case 10:
        (void)index_->build_graphs({});
        break;
    }
  }

  void reopen_cleanly() {
    (void)index_->close();
    index_.reset();
    open();
  }

  void crash_and_reopen() {
    if (random_() % 2 == 0) {
      crash();  // the old process is gone: its files refuse whatever it still does
      index_.reset();
    } else {
      index_.reset();
      crash();
    }
    open();
  }

  /// A power cut, or a process killed on a machine that runs on: then a power cut during the next
  /// opening meets what the page cache alone still held.
  void crash() { random_() % 3 == 0 ? storage_.restart() : storage_.crash(); }

  /// Opens, through power cuts during recovery.
  void open() {
    for (int attempt = 0;; ++attempt) {
      if (attempt < 3 && random_() % 3 == 0) {
        storage_.schedule(SimulatedStorage::Fault::power, random_() % 12);
      } else {
        storage_.clear_faults();
      }
      auto opened = Index::open(kDirectory, options_);
      if (storage_.power_is_off()) {
        if (opened.ok()) opened = Error();
        crash();
        continue;
      }
      ASSERT_TRUE(opened.ok()) << opened.error().message;
      index_ = std::move(opened).value();
      storage_.clear_faults();
      return;
    }
  }

  /// Each id is in a state it may be in, and is from now on known to be in that one: but while
  /// writes are refused, one that failed may still turn up at the next opening.
  void check_everything() {
    storage_.clear_faults();
    const bool settled = index_->statistics().read_only.empty();
    auto scanned = index_->snapshot().scan_ids(0, 1 << 20, {});
    ASSERT_TRUE(scanned.ok()) << scanned.error().message;
    const std::set<std::uint64_t> live(scanned->begin(), scanned->end());
    ASSERT_EQ(live.size(), scanned->size());
    for (const std::uint64_t id : live) ASSERT_TRUE(model_.contains(id)) << "id " << id;
    std::vector<std::uint64_t> ids;
    for (const auto& [id, possible] : model_) ids.push_back(id);
    auto vectors = index_->fetch(ids, {});
    ASSERT_TRUE(vectors.ok()) << vectors.error().message;
    for (std::size_t i = 0; i < ids.size(); ++i) {
      auto& possible = model_[ids[i]];
      MaybeState found;
      if (live.contains(ids[i])) {
        for (const MaybeState& state : possible)
          if (state && stored(state->vector) == (*vectors)[i] &&
              finds_only(attributes_of(state->attributes), ids[i]))
            found = state;
        ASSERT_TRUE(found) << "id " << ids[i] << " is in a state it never was in";
      } else {
        ASSERT_TRUE(possible.contains(MaybeState())) << "id " << ids[i] << " is gone";
      }
      if (settled) possible = {found};
    }
    ASSERT_EQ(index_->statistics().rows, live.size());
    with_graph_ += index_->statistics().graph_rows > 0 ? 1 : 0;
    if (!settled || live.empty()) return expect_sound();
    // By the graph, where there is one: wide enough to find what comparing all finds.
    const auto query = vector_of(writes_ + 1);
    const auto truth = index_->search(query, {.k = 3, .recall = 1});
    const auto found = index_->search(query, {.k = 3, .reach = 10, .doubt = 10});
    ASSERT_TRUE(truth.ok() && found.ok());
    ASSERT_EQ(found->hits[0].size(), truth->hits[0].size());
    for (std::size_t i = 0; i < truth->hits[0].size(); ++i) {
      ASSERT_TRUE(live.contains(found->hits[0][i].id));
      ASSERT_NEAR(found->hits[0][i].score, truth->hits[0][i].score,
                  1e-4F * std::max(1.0F, std::abs(truth->hits[0][i].score)));
    }
    expect_sound();
  }

  void expect_sound() {
    ASSERT_LE(index_->statistics().segments, 5U);
    const auto damage = index_->verify({});
    ASSERT_TRUE(damage.ok()) << damage.error().message;
    ASSERT_TRUE(damage->empty()) << damage->front().file << " at " << damage->front().offset << ": "
                                 << damage->front().what;
  }

  std::vector<float> stored(std::uint64_t write) const {
    const auto vector = vector_of(write);
    return through_half(shape_.metric == Metric::cosine ? unit(vector) : vector);
  }

  bool finds_only(const std::string& attributes, std::uint64_t id) {
    const RowFilter filter = [&](const AttributeColumns& columns, std::uint32_t first,
                                 std::uint32_t count, std::span<std::uint64_t> bits) {
      std::vector<std::byte> value;
      for (std::uint32_t i = 0; i < count; ++i) {
        columns.get(first + i, value);
        if (std::ranges::equal(value, as_bytes(attributes)))
          bits[i / 64] |= std::uint64_t{1} << (i % 64);
      }
    };
    const auto query = vector_of(1);
    const auto answer = index_->search(query, {.k = 5, .filter = filter, .call = {}});
    return answer.ok() && answer->hits[0].size() == 1 && answer->hits[0][0].id == id;
  }

  std::mt19937_64 random_;
  SimulatedStorage storage_;
  IndexShape shape_;
  IndexOptions options_;
  std::uint64_t ids_max_ = 0;
  std::uint64_t writes_ = 0;
  std::unique_ptr<Index> index_;
  std::map<std::uint64_t, std::set<MaybeState>> model_;
  std::size_t with_graph_ = 0;
};

std::uint64_t number_from(const char* variable, std::uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

TEST(Crash, EveryAcknowledgedWriteSurvives) {
  const std::uint64_t first = number_from("SIMILIS_CRASH_SEED", std::random_device{}());
  const std::uint64_t count = number_from("SIMILIS_CRASH_SEEDS", 200);
  std::size_t with_graph = 0;
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    SCOPED_TRACE("SIMILIS_CRASH_SEEDS=1 SIMILIS_CRASH_SEED=" + std::to_string(seed));
    CrashRun run(seed);
    run.run();
    if (HasFatalFailure()) return;
    with_graph += run.with_graph();
  }
  if (count >= 100) {
    EXPECT_GT(with_graph, count / 20);  // checks of what a graph leads to
  }
}

constexpr float kVector[] = {1, 2, 3};

/// A row whose content does not matter.
bool put(Index& index, std::uint64_t id) {
  const Row row{id, kVector, {}};
  return index.upsert({&row, 1}, {}).ok();
}

// Killed between the manifest's rename and the sync that makes it durable; then the power goes
// while the next opening, which read the new manifest, has tidied up.
TEST(Crash, OpeningMakesTheManifestDurableBeforeItRemovesWhatTheOneBeforeNeeds) {
  std::size_t published = 0;
  for (std::uint64_t seed = 0; seed < 400; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    SimulatedStorage storage(seed);
    const IndexOptions options = one_thread_on(storage);
    auto index = Index::create(kDirectory, {.dimensions = 3}, options);
    ASSERT_TRUE(index.ok());
    for (std::uint64_t id = 1; id <= 5; ++id) ASSERT_TRUE(put(**index, id));
    // Somewhere in the checkpoint; with some seeds right behind the rename.
    storage.schedule(SimulatedStorage::Fault::power, seed % 20);
    if (!(*index)->checkpoint().ok()) ++published;
    index = Error();
    storage.restart();
    storage.schedule(SimulatedStorage::Fault::power, seed / 20);
    if (auto opened = Index::open(kDirectory, options); opened.ok()) opened = Error();
    storage.crash();
    index = Index::open(kDirectory, options);
    ASSERT_TRUE(index.ok()) << index.error().message;
    ASSERT_EQ((*index)->statistics().rows, 5U);
  }
  EXPECT_GT(published, 0U);
}

// A batch that was never acknowledged comes back whole or not at all, wherever its bytes were cut.
TEST(Crash, ABatchIsThereWholeOrNotAtAll) {
  constexpr std::uint64_t kRows = 40;
  std::size_t whole = 0, absent = 0;
  for (std::uint64_t seed = 0; seed < 400; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    SimulatedStorage storage(seed);
    const IndexOptions options = one_thread_on(storage);
    auto index = Index::create(kDirectory, {.dimensions = 3}, options);
    ASSERT_TRUE(index.ok());
    ASSERT_TRUE(put(**index, kRows + 1));
    std::vector<Row> rows;
    for (std::uint64_t id = 1; id <= kRows; ++id) rows.push_back({id, kVector, {}});
    storage.schedule(SimulatedStorage::Fault::power, seed % 2);  // in the append, or in the sync
    ASSERT_FALSE((*index)->upsert(rows, {}).ok());
    index = Error();
    if (seed % 3 == 0) {
      storage.restart();
    } else {
      storage.crash();
    }
    for (const bool again : {false, true}) {
      index = Index::open(kDirectory, options);
      ASSERT_TRUE(index.ok()) << index.error().message;
      const auto found = (*index)->snapshot().rows();
      ASSERT_TRUE(found == 1 || found == 1 + kRows) << found;
      if (!again) ++(found == 1 ? absent : whole);
      // What was cut off leaves no trace: the next write stands behind a whole log.
      ASSERT_TRUE(put(**index, kRows + 1));
      ASSERT_TRUE((*index)->verify({})->empty());
      index = Error();
    }
  }
  EXPECT_GT(whole, 0U);
  EXPECT_GT(absent, 0U);
}

}  // namespace
}  // namespace similis::engine
