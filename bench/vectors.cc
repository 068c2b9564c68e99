#include "vectors.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <functional>
#include <mutex>
#include <random>
#include <thread>

#include "engine/simd/kernels.h"
#include "engine/top_k.h"

namespace similis::bench {
namespace {

using engine::Table;
using engine::TopK;

/// `work` of every block of `size` items below `count`, on all cores.
void in_blocks(std::size_t count, std::size_t size,
               const std::function<void(std::size_t begin, std::size_t end)>& work) {
  std::atomic<std::size_t> next = 0;
  std::vector<std::jthread> workers;
  for (unsigned t = 0; t < std::max(1U, std::thread::hardware_concurrency()); ++t) {
    workers.emplace_back([&] {
      for (std::size_t at = next.fetch_add(size); at < count; at = next.fetch_add(size))
        work(at, std::min(count, at + size));
    });
  }
}

/// Of each query the rows whose fp16 roundings are the nearest ones.
std::vector<TopK> nearly_nearest(const Table<float>& rows, const Table<float>& queries,
                                 std::size_t count) {
  constexpr std::size_t kRows = 64, kQueries = 16;  // what a core's cache holds together
  const auto& kernels = engine::simd::kernels();
  std::vector<const float*> starts;
  for (std::size_t q = 0; q < queries.rows; ++q) starts.push_back(queries.row(q).data());
  std::vector<TopK> nearest(queries.rows, TopK(count));
  std::mutex mutex;
  in_blocks(rows.rows, 64 * kRows, [&](std::size_t block, std::size_t block_end) {
    std::vector<TopK> here(queries.rows, TopK(count));
    std::vector<std::uint16_t> halves(kRows * rows.columns);
    std::vector<const std::uint16_t*> half_rows(kRows);
    for (std::size_t r = 0; r < kRows; ++r) half_rows[r] = halves.data() + r * rows.columns;
    std::vector<float> scores(kRows * kQueries);
    for (std::size_t at = block; at < block_end; at += kRows) {
      const std::size_t n = std::min(kRows, block_end - at);
      kernels.to_half(rows.row(at).data(), n * rows.columns, halves.data());
      for (std::size_t q = 0; q < queries.rows; q += kQueries) {
        const std::size_t m = std::min(kQueries, queries.rows - q);
        kernels.dot(half_rows.data(), n, starts.data() + q, m, rows.columns, scores.data());
        for (std::size_t i = 0; i < n * m; ++i)
          if (scores[i] >= here[q + i % m].floor()) here[q + i % m].offer(at + i / m, scores[i]);
      }
    }
    const std::lock_guard lock(mutex);
    for (std::size_t q = 0; q < queries.rows; ++q) nearest[q].merge(here[q]);
  });
  return nearest;
}

float inner_product(std::span<const float> a, std::span<const float> b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += static_cast<double>(a[i]) * b[i];
  return static_cast<float>(sum);
}

}  // namespace

Table<float> make_vectors(const ManifoldGenerator& generator, std::size_t count,
                          std::uint64_t first_seed) {
  Table<float> out{count, generator.dimensions(), {}};
  out.values.resize(count * out.columns);
  in_blocks(count, 64, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i)
      generator.make(first_seed + i, std::span(out.values).subspan(i * out.columns, out.columns));
  });
  return out;
}

void add_hard_rows(Table<float>& rows, std::uint64_t seed) {
  constexpr float kNear = 1e-3F;
  constexpr std::size_t kGroups = 500, kInGroup = 4, kZeros = 1000, kFar = 200;
  std::mt19937_64 random(seed);
  std::normal_distribution<float> normal;
  const std::size_t given = rows.rows, columns = rows.columns;
  std::vector<float>& values = rows.values;
  const auto add = [&](std::size_t row, float noise) {
    const std::size_t from = row * columns, to = values.size();
    values.resize(to + columns);
    double squares = 0;
    for (std::size_t i = 0; i < columns; ++i) {
      const float moved =
          noise == 0 ? 0 : noise / std::sqrt(static_cast<float>(columns)) * normal(random);
      values[to + i] = values[from + i] + moved;
      squares += static_cast<double>(values[to + i]) * values[to + i];
    }
    if (noise == 0) return;
    for (std::size_t i = 0; i < columns; ++i)
      values[to + i] = static_cast<float>(values[to + i] / std::sqrt(squares));
  };
  for (std::size_t i = 0; i < given / 20; ++i) add(random() % given, kNear);
  const std::size_t one = random() % given;
  for (std::size_t i = 0; i < given / 10; ++i) add(one, 0);
  for (std::size_t g = 0; g < kGroups; ++g) {
    const std::size_t row = random() % given;
    for (std::size_t i = 1; i < kInGroup; ++i) add(row, 0);
  }
  values.resize(values.size() + kZeros * columns);
  for (std::size_t i = 0; i < kFar; ++i) add(random() % given, 30);
  rows.rows = values.size() / columns;
}

Table<std::int64_t> nearest_rows(const Table<float>& rows, const Table<float>& queries,
                                 std::size_t k) {
  Table<std::int64_t> out{queries.rows, std::min(k, rows.rows), {}};
  out.values.resize(out.rows * out.columns);
  // Rounding moves a score by less than the k rows behind the k-th lie below it.
  std::vector<TopK> candidates = nearly_nearest(rows, queries, 2 * k);
  in_blocks(queries.rows, 1, [&](std::size_t q, std::size_t) {
    TopK best(k);
    for (const engine::Hit& hit : candidates[q].take())
      best.offer(hit.id, inner_product(rows.row(hit.id), queries.row(q)));
    std::size_t at = q * out.columns;
    for (const engine::Hit& hit : best.take()) out.values[at++] = static_cast<std::int64_t>(hit.id);
  });
  return out;
}

}  // namespace similis::bench
