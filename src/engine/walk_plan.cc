#include "engine/walk_plan.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

namespace similis::engine {
namespace {

// The k-th nearest of fewer says little about how far to look.
constexpr std::size_t kRankMin = 10;
// Room for what lies within reach; data in which nothing is much nearer than the rest would have
// walks go everywhere.
constexpr double kListPerRank = 10, kListMin = 400;
// So many are scanned as soon as walked over, and none is missed.
constexpr double kScannedMin = 512;
// Of a list of fixed length a walk is to find such a share of what it could.
constexpr double kFoundShare = 0.9;
constexpr double kWiderMin = 1.5, kWiderMax = 8;
// How many rows a walk compares that follows all of a list: measured on image features, 20 to 250
// (docs/engine.md).
constexpr double kComparisonsOfList = 86, kComparisonsGrowth = 0.59;

// Where nothing was tried, as measured on image features. Of signs alone, errors of rows near by
// lie wider than their own spread; those of the leading coordinates, which rows near by share, less
// so.
constexpr float kSignsDoubt = 1.18F, kNoLowBitsDoubt = 0.9F;

float untried_doubt_of_full(const SearchOptions& options) {
  const bool bounded = options.scores == ScoreMode::bounded;
  if (options.recall <= 0.95F) return bounded ? 0.5F : 0.7F;
  if (options.recall <= 0.99F) return 1;
  if (options.recall <= 0.999F) return bounded ? 2 : 1.6F;
  return 3;
}

float untried_doubt(const SearchOptions& options, const CodeLayout& layout) {
  const auto words = static_cast<float>(layout.tail_words());
  const float signs = words == 0 ? 0 : 1 - static_cast<float>(layout.second_words) / words;
  return untried_doubt_of_full(options) * (1 + (kSignsDoubt - 1) * signs) *
         (layout.low_bits ? 1 : kNoLowBitsDoubt);
}

// What is searched for lies farther from its neighbours than what was tried, and these nearer to
// one another for that: as measured on image features
// (docs/decisions/codes-and-graph.md).
constexpr float kDoubtTimes = 1.4F, kDoubtMore = 0.3F, kLostByCodes = 0.25F;

/// As tried for the nearest `k`; the most that was tried where none kept enough.
float tried_doubt(std::span<const SegmentGraph::Doubt> doubts, std::uint32_t k,
                  const SearchOptions& options) {
  const float wanted = 1 - kLostByCodes * (1 - options.recall);
  float out = 0;
  for (const SegmentGraph::Doubt& tried : doubts) {
    if (tried.k != k) continue;
    out = tried.doubt;
    const float kept = options.scores == ScoreMode::bounded ? tried.bounded : tried.exact;
    if (kept >= wanted) break;
  }
  return kDoubtTimes * out + kDoubtMore;
}

/// What was tried with codes such as the graph's.
std::span<const SegmentGraph::Doubt> doubts_of_codes(const SegmentGraph& graph) {
  const auto range = std::ranges::equal_range(graph.doubts, graph.codes.layout().record_bytes(),
                                              std::greater(), &SegmentGraph::Doubt::record_bytes);
  return {range.begin(), range.end()};
}

}  // namespace

WalkLimits WalkPlan::limits() const {
  const double list = std::isfinite(reach) ? kListPerRank * within + kListMin : within;
  return {static_cast<std::size_t>(std::min(list, rows)), reach,
          static_cast<std::size_t>(std::min(within, rows))};
}

// A walk looks around from all of the rows within.
void WalkPlan::widen(double times) {
  within *= times;
  comparisons = std::max(comparisons * std::pow(times, kComparisonsGrowth), within);
}

void WalkPlan::widen_after(double found, double compared) {
  comparisons = compared;
  widen(std::clamp(wanted / std::max(found, 1.0), kWiderMin, kWiderMax));
}

double live_nodes(const SegmentGraph& graph, std::uint32_t dead) {
  return std::max(
      0.0, static_cast<double>(graph.rows()) - dead - static_cast<double>(graph.zeros.size()));
}

WalkPlan plan_walk(const SearchOptions& options, const SegmentGraph& graph, double returnable) {
  WalkPlan plan;
  plan.rows = graph.rows();
  plan.returnable = returnable;
  const auto k = static_cast<double>(std::max(options.k, kRankMin));
  if (options.list_size != 0) {
    plan.within = static_cast<double>(options.list_size);
    plan.wanted = kFoundShare * std::min(plan.within, returnable);
    plan.reach = std::numeric_limits<float>::infinity();
    plan.comparisons = kComparisonsOfList * std::pow(plan.within, kComparisonsGrowth);
  } else {
    const SegmentGraph::Effort effort = graph.effort(options.k, options.recall);
    plan.reach = options.reach != 0 ? options.reach : effort.reach;
    // A reach that is asked for by itself is for walks, whatever they take.
    if (options.reach == 0 || options.filter)
      plan.comparisons = std::max(static_cast<double>(effort.comparisons), kScannedMin);
    plan.within = k;
    plan.wanted = std::min(k, returnable);
  }
  // Of what a walk finds only a share may be returned: it looks at as many more, and some to spare.
  if (returnable > 0 && returnable < plan.rows) {
    const double share = returnable / plan.rows;
    plan.widen((1 + 2 * std::sqrt((1 - share) / k)) / share);
  }
  return plan;
}

float doubt_of(const SearchOptions& options, const SegmentGraph& graph) {
  if (options.doubt != 0) return options.doubt;
  const auto doubts = doubts_of_codes(graph);
  if (doubts.empty()) return untried_doubt(options, graph.codes.layout());
  const std::uint32_t few = doubts.front().k, many = doubts.back().k;
  if (options.k <= few) return tried_doubt(doubts, few, options);
  if (options.k >= many) return tried_doubt(doubts, many, options);
  return std::max(tried_doubt(doubts, few, options), tried_doubt(doubts, many, options));
}

}  // namespace similis::engine
