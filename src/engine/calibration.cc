#include "engine/calibration.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <functional>
#include <limits>
#include <mutex>
#include <numeric>
#include <unordered_set>
#include <vector>

#include "engine/doubt.h"
#include "engine/flat_search.h"
#include "engine/graph/turned_queries.h"
#include "engine/graph/walk.h"
#include "engine/index_impl.h"
#include "engine/memory_plan.h"
#include "engine/simd/kernels.h"
#include "engine/walk_plan.h"

namespace similis::engine {
namespace {

// What searches are tried with.
constexpr std::size_t kTriedK[] = {10, 100};
constexpr float kTriedReach[] = {0.03F, 0.04F, 0.05F, 0.06F, 0.07F, 0.085F, 0.1F,
                                 0.13F, 0.16F, 0.2F,  0.25F, 0.3F,  0.4F,   0.5F};
// No wider one is tried than the first that holds so much.
constexpr float kRecallEnough = 0.9995F;
constexpr float kTie = 1e-6F;
constexpr float kMoved = 0.4F;

class Calibration {
 public:
  Calibration(IndexImpl& index, const RowSource& rows, std::uint64_t lsn, SegmentGraph& graph)
      : index_(index), rows_(rows), graph_(graph), view_(rows.view()) {
    state_.lsn = lsn;
    options_.call = rows.call();
  }

  Status run(std::vector<std::uint32_t> held) {
    std::sort(held.begin(), held.end());
    ASSIGN_OR_RETURN(const bool sound, load(held));
    if (!sound) return {};
    move_on();
    std::size_t tried = 0;
    while (tried < std::size(kTriedK) && 2 * kTriedK[tried] < rows_.rows()) ++tried;
    if (tried == 0) return {};
    ASSIGN_OR_RETURN(const auto truth, nearest(kTriedK[tried - 1]));
    turn();
    for (std::size_t t = 0; t < tried; ++t) {
      const auto right = nearest_of(kTriedK[t], truth);
      TRY(try_reaches(kTriedK[t], right));
      TRY(rows_.check());
      judge(kTriedK[t], right);
    }
    std::ranges::stable_sort(graph_.doubts, std::greater(), &SegmentGraph::Doubt::record_bytes);
    return {};
  }

 private:
  /// The vectors of the rows held back. False when one is damaged: it was sound a moment ago, and
  /// nothing is to be learnt here.
  Result<bool> load(std::span<const std::uint32_t> held) {
    const Geometry& geometry = index_.geometry;
    values_.resize(held.size() * geometry.dimensions);
    ScratchPool::Lease buffer(index_.scratch);
    std::uint32_t loaded = UINT32_MAX;
    std::shared_ptr<VectorBlock> block;
    std::vector<std::uint32_t> damaged;
    for (std::size_t i = 0; i < held.size(); ++i) {
      const std::uint32_t number = held[i] / geometry.chunk_rows;
      if (number != loaded) {
        ASSIGN_OR_RETURN(block, rows_.block_of(number, *buffer, damaged));
        loaded = number;
      }
      if (!damaged.empty()) return false;
      float* const out = values_.data() + i * geometry.dimensions;
      simd::kernels().to_float(rows_.vector(*block, held[i] % geometry.chunk_rows),
                               geometry.dimensions, out);
      queries_.push_back(out);
      left_out_.insert(rows_.id(held[i]));
      // Their copies are left out as well: they go with them.
      for (const auto& copy : graph_.copies_of(held[i])) left_out_.insert(rows_.id(copy.row));
    }
    return true;
  }

  /// Moves each query towards the nearest other one. A stored row has the likes of it near by and
  /// is found too easily, a point half-way between two rows is harder to find the nearest of than a
  /// new picture (docs/decisions/codes-and-graph.md has the figures).
  void move_on() {
    const std::size_t dimensions = index_.geometry.dimensions;
    const auto& kernels = simd::kernels();
    std::vector<std::uint16_t> halves(values_.size());
    kernels.to_half(values_.data(), values_.size(), halves.data());
    std::vector<const std::uint16_t*> rows;
    for (std::size_t i = 0; i < queries_.size(); ++i)
      rows.push_back(halves.data() + i * dimensions);
    std::vector<float> distances(rows.size() * queries_.size());
    kernels.l2(rows.data(), rows.size(), queries_.data(), queries_.size(), dimensions,
               distances.data());
    const std::vector<float> given = values_;
    for (std::size_t i = 0; i < queries_.size(); ++i) {
      std::size_t other = i;
      float nearest = std::numeric_limits<float>::infinity();
      for (std::size_t j = 0; j < queries_.size(); ++j) {
        const float distance = distances[i * queries_.size() + j];
        if (j == i || distance >= nearest) continue;
        nearest = distance;
        other = j;
      }
      float* const out = values_.data() + i * dimensions;
      double squared = 0;
      for (std::size_t d = 0; d < dimensions; ++d) {
        out[d] += kMoved * (given[other * dimensions + d] - out[d]);
        squared += static_cast<double>(out[d]) * out[d];
      }
      if (index_.shape.metric != Metric::cosine || squared == 0) continue;
      for (std::size_t d = 0; d < dimensions; ++d)
        out[d] = static_cast<float>(out[d] / std::sqrt(squared));
    }
  }

  /// Of each query the true nearest, at least `k` where there are so many, without rows left out.
  Result<std::vector<std::vector<Hit>>> nearest(std::size_t k) {
    options_.k = std::min({k + left_out_.size(), 2 * k + 50, kSearchKMax});
    std::vector<TopK> tops(queries_.size(), TopK(options_.k));
    const FlatSearch::Range range{&view_, 0};
    FlatSearch flat(state_, index_.shape, options_, {&range, 1}, index_.scratch);
    TRY(flat.run(queries_, index_.budget->pool(), rows_.threads(), counters_, tops, damaged_));
    std::vector<std::vector<Hit>> truth;
    for (TopK& top : tops) {
      truth.push_back(top.take());
      std::erase_if(truth.back(), [&](const Hit& hit) { return left_out_.contains(hit.id); });
    }
    return truth;
  }

  /// The queries in the graph's frame.
  void turn() {
    turned_.turn(graph_, index_.shape.metric, queries_, index_.geometry.dimensions);
    codes_.assign(queries_.size(), QueryCode(graph_.codes.layout()));
    for (std::size_t q = 0; q < queries_.size(); ++q) codes_[q].set(turned_[q]);
  }

  /// The ids of a query's nearest k, and of those that are as near as the k-th.
  struct Nearest {
    std::unordered_set<std::uint64_t> ids;
    std::size_t count = 0;  // k, or all there are
  };
  static std::vector<Nearest> nearest_of(std::size_t k,
                                         const std::vector<std::vector<Hit>>& truth) {
    std::vector<Nearest> out(truth.size());
    for (std::size_t q = 0; q < truth.size(); ++q) {
      const std::vector<Hit>& hits = truth[q];
      out[q].count = std::min(k, hits.size());
      for (const Hit& hit : hits)
        if (hit.score >= hits[out[q].count - 1].score - kTie) out[q].ids.insert(hit.id);
    }
    return out;
  }

  /// How many rows of a node are among them.
  std::size_t count_right(std::uint32_t node, const Nearest& right) const {
    std::size_t out = right.ids.count(rows_.id(node));
    for (const auto& copy : graph_.copies_of(node)) out += right.ids.count(rows_.id(copy.row));
    return out;
  }

  [[nodiscard]] WalkLimits limits() const {
    return plan_walk(options_, graph_, live_nodes(graph_, view_.dead)).limits();
  }

  // Of a thousand the one that misses most is left out: a point that nothing is near to.
  static float recall_of(const std::vector<std::size_t>& missed,
                         const std::vector<Nearest>& right) {
    std::vector<std::size_t> order(missed.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::ranges::sort(order, std::less(), [&](std::size_t q) { return missed[q]; });
    order.resize(order.size() - order.size() / 1000);
    std::size_t wanted = 0, found = 0;
    for (const std::size_t q : order) {
      wanted += right[q].count;
      found += right[q].count - missed[q];
    }
    return wanted == 0 ? 1 : static_cast<float>(found) / static_cast<float>(wanted);
  }

  // Whether a walk comes upon a row decides here; that it is in doubt, and read, is what comes
  // below.
  Status try_reaches(std::size_t k, const std::vector<Nearest>& right) {
    options_.k = k;
    std::vector<std::size_t> missed(codes_.size());
    for (const float reach : kTriedReach) {
      TRY(rows_.check());
      options_.reach = reach;
      const WalkLimits limits = this->limits();
      std::atomic<std::size_t> next{0}, comparisons{0};
      index_.budget->pool().run(rows_.threads(), [&] {
        Walk<Edges> walk;
        for (std::size_t q = next++; q < codes_.size(); q = next++) {
          walk.run(graph_.graph, graph_.codes, codes_[q], graph_.entries, limits);
          std::size_t here = 0;
          for (const Candidate& candidate : walk.found())
            here += count_right(candidate.row, right[q]);
          missed[q] = right[q].count - std::min(here, right[q].count);
          comparisons += walk.comparisons();
        }
      });
      SegmentGraph::Effort effort{static_cast<std::uint32_t>(k), reach, 1, 0};
      effort.comparisons = std::max(1.0F, static_cast<float>(static_cast<double>(comparisons) /
                                                             static_cast<double>(queries_.size())));
      effort.recall = recall_of(missed, right);
      graph_.efforts.push_back(effort);
      if (effort.recall >= kRecallEnough || effort.comparisons >= static_cast<float>(rows_.rows()))
        break;
    }
    return {};
  }

  // Of each tier of codes: what they say of rows that the widest walk comes upon, and what doubt of
  // it keeps. All walk alike.
  void judge(std::size_t k, const std::vector<Nearest>& right) {
    const WalkLimits limits = this->limits();
    const CodeLayout& full = graph_.codes.layout();
    std::vector<CodeLayout> layouts;
    for (std::size_t t = 0; t < kCodeTiers; ++t) {
      const CodeLayout layout = layout_of(static_cast<CodeTier>(t), full.lead + full.tail);
      if (layouts.empty() || layout.record_bytes() != layouts.back().record_bytes())
        layouts.push_back(layout);
    }
    std::vector<DoubtTrial> trials(layouts.size(), DoubtTrial(k));
    std::mutex mutex;  // of trials
    std::atomic<std::size_t> next{0};
    index_.budget->pool().run(rows_.threads(), [&] {
      Walk<Edges> walk;
      std::vector<QueryCode> codes;
      for (const CodeLayout& layout : layouts) codes.emplace_back(layout);
      std::vector<std::byte> record(full.record_bytes());
      std::vector<std::vector<JudgedRow>> judged(layouts.size());
      std::vector<DoubtTrial> here(layouts.size(), DoubtTrial(k));
      for (std::size_t q = next++; q < codes_.size(); q = next++) {
        walk.run(graph_.graph, graph_.codes, codes_[q], graph_.entries, limits);
        for (std::size_t l = 0; l < layouts.size(); ++l) {
          codes[l].set(turned_[q]);
          judged[l].clear();
        }
        for (const Candidate& candidate : walk.found()) {
          const bool is_right = count_right(candidate.row, right[q]) > 0;
          for (std::size_t l = 0; l < layouts.size(); ++l) {
            shorten_record(full, graph_.codes.record(candidate.row), layouts[l], record.data());
            const auto estimate = codes[l].refine(record.data());
            judged[l].push_back({estimate.nearness, estimate.error, is_right});
          }
        }
        for (std::size_t l = 0; l < layouts.size(); ++l) here[l].add(judged[l]);
      }
      const std::lock_guard lock(mutex);
      for (std::size_t l = 0; l < layouts.size(); ++l) trials[l].add(here[l]);
    });
    for (std::size_t l = 0; l < layouts.size(); ++l) {
      const auto tried = trials[l].result(layouts[l].record_bytes());
      graph_.doubts.insert(graph_.doubts.end(), tried.begin(), tried.end());
    }
  }

  IndexImpl& index_;
  const RowSource& rows_;
  SegmentGraph& graph_;
  SegmentView view_;
  SnapshotState state_;
  SearchOptions options_;
  std::vector<float> values_;
  std::vector<const float*> queries_;
  TurnedQueries turned_;  // of them
  std::vector<QueryCode> codes_;
  std::unordered_set<std::uint64_t> left_out_;
  std::vector<DamagedRows> damaged_;
  ReadCounters counters_;
};

}  // namespace

Status calibrate(IndexImpl& index, const RowSource& rows, std::uint64_t lsn, SegmentGraph& graph,
                 std::span<const std::uint32_t> held) {
  return Calibration(index, rows, lsn, graph).run({held.begin(), held.end()});
}

}  // namespace similis::engine
