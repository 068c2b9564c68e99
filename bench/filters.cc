#include "filters.h"

#include <algorithm>
#include <cstdio>
#include <functional>
#include <memory>
#include <vector>

#include "base/temporary_folder.h"
#include "engine/memory_budget.h"
#include "lean_index.h"
#include "measure.h"
#include "vectors.h"
#include "wire/json.h"

namespace similis::bench {
namespace {

using engine::Table;

constexpr std::size_t kK = 10;
// Rows belong to the nearest of so many of them.
constexpr std::size_t kGroups = 16;

/// A row's group, a byte.
class GroupColumns final : public engine::AttributeColumns {
 public:
  bool set(std::uint32_t ordinal, std::span<const std::byte> bytes) override {
    if (groups_.size() <= ordinal) groups_.resize(ordinal + 1);
    groups_[ordinal] = bytes.front();
    return true;
  }
  void get(std::uint32_t ordinal, std::vector<std::byte>& out) const override {
    out.assign(1, groups_[ordinal]);
  }
  [[nodiscard]] std::uint64_t bytes_in_memory() const override { return groups_.size(); }
  [[nodiscard]] std::byte group(std::uint32_t ordinal) const { return groups_[ordinal]; }

 private:
  std::vector<std::byte> groups_;
};

class GroupFormat final : public engine::AttributeFormat {
 public:
  [[nodiscard]] Status check(std::span<const std::byte> bytes) const override {
    if (bytes.size() == 1) return {};
    return Error(ErrorCode::invalid_argument, "a group is one byte");
  }
  [[nodiscard]] std::unique_ptr<engine::AttributeColumns> make_columns() const override {
    return std::make_unique<GroupColumns>();
  }
};

double product(std::span<const float> a, std::span<const float> b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += static_cast<double>(a[i]) * b[i];
  return sum;
}

/// Of the groups, numbered as their rows come, the nearest or the farthest.
std::size_t group_of(const Rows& centres, std::span<const float> vector, bool nearest) {
  std::vector<double> scores;
  for (const auto& centre : centres) scores.push_back(product(centre, vector));
  const auto found = nearest ? std::max_element(scores.begin(), scores.end())
                             : std::min_element(scores.begin(), scores.end());
  return static_cast<std::size_t>(found - scores.begin());
}

/// Rows at random: so many of a million.
engine::RowFilter random_rows(std::uint32_t of_a_million) {
  return [of_a_million](const engine::AttributeColumns&, std::uint32_t first, std::uint32_t count,
                        std::span<std::uint64_t> bits) {
    for (std::uint32_t i = 0; i < count; ++i) {
      const std::uint64_t mixed = (std::uint64_t{first} + i + 1) * 0x9e3779b97f4a7c15;
      if ((mixed >> 32) % 1'000'000 < of_a_million) bits[i / 64] |= std::uint64_t{1} << (i % 64);
    }
  };
}

engine::RowFilter rows_of_group(std::size_t group) {
  return [group](const engine::AttributeColumns& columns, std::uint32_t first, std::uint32_t count,
                 std::span<std::uint64_t> bits) {
    const auto& groups = static_cast<const GroupColumns&>(columns);
    for (std::uint32_t i = 0; i < count; ++i)
      if (groups.group(first + i) == static_cast<std::byte>(group))
        bits[i / 64] |= std::uint64_t{1} << (i % 64);
  };
}

struct Case {
  const char* name;
  std::function<engine::RowFilter(std::size_t query)> filter;
};

struct Measured {
  double recall = 0, full = 0, p50 = 0, p99 = 0, reads = 0;
};

Result<Measured> measure(const engine::Index& index, const Table<float>& queries, const Case& one) {
  Measured out;
  std::vector<double> times;
  std::size_t right = 0, wanted = 0, full = 0;
  std::uint64_t reads = 0;
  for (std::size_t q = 0; q < queries.rows; ++q) {
    engine::SearchOptions options;
    options.k = kK;
    options.filter = one.filter(q);
    const double begin = wall_seconds();
    ASSIGN_OR_RETURN(const auto answer, index.search(queries.row(q), options));
    times.push_back((wall_seconds() - begin) * 1e6);
    reads += answer.reads;
    options.recall = 1;
    ASSIGN_OR_RETURN(const auto truth, index.search(queries.row(q), options));
    const auto &hits = answer.hits.front(), &all = truth.hits.front();
    full += hits.size() == all.size();
    wanted += all.size();
    for (const engine::Hit& hit : hits)
      right += !all.empty() && hit.score >= all.back().score - 1e-6F;
  }
  const auto n = static_cast<double>(queries.rows);
  out.recall = wanted == 0 ? 1 : static_cast<double>(right) / static_cast<double>(wanted);
  out.full = static_cast<double>(full) / n;
  out.p50 = quantile(times, 0.5);
  out.p99 = quantile(times, 0.99);
  out.reads = static_cast<double>(reads) / n;
  return out;
}

}  // namespace

Status run_filters(const FiltersOptions& options) {
  Table<float> vectors, queries;
  if (options.data.empty()) {
    std::printf("making %d x %d vectors of intrinsic dimension %d\n", options.rows,
                options.dimensions, options.intrinsic);
    const ManifoldGenerator generator(static_cast<std::size_t>(options.dimensions),
                                      static_cast<std::size_t>(options.intrinsic), kManifoldSeed);
    vectors = make_vectors(generator, static_cast<std::size_t>(options.rows), 0);
    queries = make_vectors(generator, static_cast<std::size_t>(options.queries), kQuerySeed);
  } else {
    vectors = engine::read_npy<float>(options.data + "/base.npy");
    queries = engine::read_npy<float>(options.data + "/query.npy");
    queries.rows = std::min(queries.rows, static_cast<std::size_t>(options.queries));
  }
  if (vectors.rows < kGroups || queries.rows == 0)
    return Error(ErrorCode::invalid_argument, "there are too few vectors");
  const Rows rows = rows_of(vectors);
  Rows centres;
  for (std::size_t g = 0; g < kGroups; ++g) centres.push_back(rows[g * rows.size() / kGroups]);
  std::vector<std::byte> groups;
  for (const auto& row : rows)
    groups.push_back(static_cast<std::byte>(group_of(centres, row, true)));

  const TemporaryFolder temporary;
  const std::string folder = (temporary.path() / "index").native();
  const auto format = std::make_shared<GroupFormat>();
  TRY(write_index(folder, rows, groups, format));
  ASSIGN_OR_RETURN(const auto index, open_lean(folder, 0, format));

  const std::vector<Case> cases{
      {"all rows", [](std::size_t) { return random_rows(1'000'000); }},
      {"half of them", [](std::size_t) { return random_rows(500'000); }},
      {"a tenth", [](std::size_t) { return random_rows(100'000); }},
      {"a hundredth", [](std::size_t) { return random_rows(10'000); }},
      {"a thousandth", [](std::size_t) { return random_rows(1'000); }},
      {"a ten-thousandth", [](std::size_t) { return random_rows(100); }},
      {"the query's own group",
       [&](std::size_t q) { return rows_of_group(group_of(centres, queries.row(q), true)); }},
      {"the group farthest from it",
       [&](std::size_t q) { return rows_of_group(group_of(centres, queries.row(q), false)); }},
  };
  std::printf("%zu rows in %zu groups, vectors on disk, exact scores, recall 0.99, k = %zu\n\n",
              rows.size(), kGroups, kK);
  std::printf("%-28s %8s %10s %8s %8s %8s\n", "rows that pass", "recall", "full pages", "p50 us",
              "p99 us", "reads");
  std::vector<Json> lines;
  for (const Case& one : cases) {
    ASSIGN_OR_RETURN(const Measured m, measure(*index, queries, one));
    std::printf("%-28s %8.4f %9.1f%% %8.0f %8.0f %8.1f\n", one.name, m.recall, 100 * m.full, m.p50,
                m.p99, m.reads);
    lines.push_back({{"filter", one.name},
                     {"recall10", m.recall},
                     {"full_pages", m.full},
                     {"p50_us", m.p50},
                     {"p99_us", m.p99},
                     {"reads", m.reads}});
  }
  std::printf("\n");
  for (const Json& line : lines) std::printf("%s\n", line.dump().c_str());
  return index->close();
}

}  // namespace similis::bench
