#include "engine/doubt.h"

#include <algorithm>
#include <functional>
#include <limits>

namespace similis::engine {
namespace {

constexpr float kTriedDoubt[] = {0.1F, 0.15F, 0.2F,  0.25F, 0.3F, 0.35F, 0.4F,
                                 0.5F, 0.6F,  0.7F,  0.8F,  0.9F, 1,     1.15F,
                                 1.3F, 1.5F,  1.75F, 2,     2.3F, 2.6F,  3};
constexpr float kKeptEnough = 0.99995F;

struct Counts {
  std::size_t right = 0, exact = 0, bounded = 0;  // there are; that are answered
};

/// The n-th largest from 0; nothing is as small as what there is when there are no more than n.
float nth_largest(std::vector<float>& values, std::size_t n) {
  if (values.size() <= n) return -std::numeric_limits<float>::infinity();
  const auto nth = values.begin() + static_cast<std::ptrdiff_t>(n);
  std::nth_element(values.begin(), nth, values.end(), std::greater());
  return *nth;
}

Counts count_kept(std::span<const JudgedRow> rows, std::size_t k, float doubt) {
  Counts out;
  std::vector<float> bounds;
  for (const JudgedRow& row : rows) bounds.push_back(row.nearness - doubt * row.error);
  const float floor = nth_largest(bounds, k - 1);
  const auto is_kept = [&](const JudgedRow& row) {
    return row.nearness + doubt * row.error >= floor;
  };
  bounds.clear();
  for (const JudgedRow& row : rows)
    if (is_kept(row)) bounds.push_back(row.nearness + doubt * row.error);
  const float ceiling = nth_largest(bounds, k);
  std::size_t certain = 0, right_and_certain = 0;
  for (const JudgedRow& row : rows) {
    out.right += row.right;
    if (!is_kept(row)) continue;
    out.exact += row.right;
    if (row.nearness - doubt * row.error <= ceiling) continue;
    ++certain;
    right_and_certain += row.right;
  }
  // What is not certain is read, and the right ones of it come first.
  out.bounded = right_and_certain + std::min(out.exact - right_and_certain, k - certain);
  // Equally near ones are all right, and k of them are enough.
  out.right = std::min(out.right, k);
  out.exact = std::min(out.exact, k);
  return out;
}

}  // namespace

std::vector<SegmentGraph::Doubt> try_doubts(std::span<const std::vector<JudgedRow>> queries,
                                            std::size_t k, std::size_t record_bytes) {
  std::vector<SegmentGraph::Doubt> out;
  for (const float doubt : kTriedDoubt) {
    Counts all;
    for (const auto& rows : queries) {
      const Counts here = count_kept(rows, k, doubt);
      all.right += here.right;
      all.exact += here.exact;
      all.bounded += here.bounded;
    }
    if (all.right == 0) return out;
    const auto right = static_cast<float>(all.right);
    out.push_back({static_cast<std::uint32_t>(record_bytes), static_cast<std::uint32_t>(k), doubt,
                   static_cast<float>(all.exact) / right, static_cast<float>(all.bounded) / right});
    if (std::min(out.back().exact, out.back().bounded) >= kKeptEnough) break;
  }
  return out;
}

}  // namespace similis::engine
