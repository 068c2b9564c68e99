#include "engine/doubt.h"

#include <algorithm>
#include <functional>
#include <iterator>
#include <limits>

namespace similis::engine {
namespace {

constexpr float kTriedDoubt[] = {0.1F, 0.15F, 0.2F,  0.25F, 0.3F, 0.35F, 0.4F,
                                 0.5F, 0.6F,  0.7F,  0.8F,  0.9F, 1,     1.15F,
                                 1.3F, 1.5F,  1.75F, 2,     2.3F, 2.6F,  3};
constexpr float kKeptEnough = 0.99995F;

float least(const JudgedRow& row, float doubt) {
  return row.nearness - doubt * row.error;
}
float most(const JudgedRow& row, float doubt) {
  return row.nearness + doubt * row.error;
}

/// The n-th largest from 0; nothing is as small as what there is when there are no more than n.
float nth_largest(std::vector<float>& values, std::size_t n) {
  if (values.size() <= n) return -std::numeric_limits<float>::infinity();
  const auto nth = values.begin() + static_cast<std::ptrdiff_t>(n);
  std::nth_element(values.begin(), nth, values.end(), std::greater());
  return *nth;
}

/// Those that could be among the k nearest.
std::vector<JudgedRow> kept(std::span<const JudgedRow> rows, std::size_t k, float doubt) {
  std::vector<float> bounds;
  for (const JudgedRow& row : rows) bounds.push_back(least(row, doubt));
  const float floor = nth_largest(bounds, k - 1);
  std::vector<JudgedRow> out;
  std::ranges::copy_if(rows, std::back_inserter(out),
                       [&](const JudgedRow& row) { return most(row, doubt) >= floor; });
  return out;
}

}  // namespace

DoubtTrial::DoubtTrial(std::size_t k) : k_(k), counts_(std::size(kTriedDoubt)) {}

DoubtTrial::Counts DoubtTrial::count_answered(std::span<const JudgedRow> rows, std::size_t k,
                                              float doubt) {
  const std::vector<JudgedRow> in_doubt = kept(rows, k, doubt);
  std::vector<float> bounds;
  for (const JudgedRow& row : in_doubt) bounds.push_back(most(row, doubt));
  const float ceiling = nth_largest(bounds, k);
  Counts out;
  std::size_t certain = 0, right_and_certain = 0;
  for (const JudgedRow& row : in_doubt) {
    out.exact += row.right;
    if (least(row, doubt) <= ceiling) continue;
    ++certain;
    right_and_certain += row.right;
  }
  // What is not certain is read, and the right ones of it come first.
  out.bounded = right_and_certain + std::min(out.exact - right_and_certain, k - certain);
  // Equally near ones are all right, and k of them are enough.
  out.exact = std::min(out.exact, k);
  return out;
}

void DoubtTrial::add(std::span<const JudgedRow> rows) {
  right_ += std::min(k_, static_cast<std::size_t>(std::ranges::count_if(rows, &JudgedRow::right)));
  // The more doubt, the more rows are kept: those that the most leaves out count for none.
  const std::vector<JudgedRow> at_most = kept(rows, k_, *std::rbegin(kTriedDoubt));
  for (std::size_t i = 0; i < counts_.size(); ++i) {
    const Counts here = count_answered(at_most, k_, kTriedDoubt[i]);
    counts_[i].exact += here.exact;
    counts_[i].bounded += here.bounded;
  }
}

void DoubtTrial::add(const DoubtTrial& other) {
  right_ += other.right_;
  for (std::size_t i = 0; i < counts_.size(); ++i) {
    counts_[i].exact += other.counts_[i].exact;
    counts_[i].bounded += other.counts_[i].bounded;
  }
}

std::vector<SegmentGraph::Doubt> DoubtTrial::result(std::size_t record_bytes) const {
  std::vector<SegmentGraph::Doubt> out;
  if (right_ == 0) return out;
  const auto share = [&](std::size_t answered) {
    return static_cast<float>(static_cast<double>(answered) / static_cast<double>(right_));
  };
  for (std::size_t i = 0; i < counts_.size(); ++i) {
    out.push_back({static_cast<std::uint32_t>(record_bytes), static_cast<std::uint32_t>(k_),
                   kTriedDoubt[i], share(counts_[i].exact), share(counts_[i].bounded)});
    if (std::min(out.back().exact, out.back().bounded) >= kKeptEnough) break;
  }
  return out;
}

}  // namespace similis::engine
