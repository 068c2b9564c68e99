#include "engine/memory_plan.h"

#include <algorithm>

#include "engine/codes/frame.h"
#include "engine/graph/graph.h"

namespace similis::engine {
namespace {

// The leading coordinates, with six bits each, hold three quarters of the variance of image
// features (docs/engine.md); the rest take two, and three quarters of them a third.
constexpr std::uint32_t kLead = 256;
// Two lists beside the edges: copies, and rows without direction.
constexpr std::uint64_t kListBytesARow = 12;

}  // namespace

std::string_view name_of(CodeTier tier) {
  constexpr std::string_view kNames[kCodeTiers] = {"large", "middle", "small", "smallest"};
  return kNames[static_cast<std::size_t>(tier)];
}

CodeLayout layout_of(CodeTier tier, std::uint32_t dimensions) {
  CodeLayout out;
  out.lead = std::min(kLead, dimensions / 64 * 64);
  out.tail = dimensions - out.lead;
  const auto words = static_cast<std::uint32_t>(out.tail_words());
  if (tier == CodeTier::large) {
    out.second_words = words;
    out.third_words = words * 3 / 4;
  } else if (tier == CodeTier::middle) {
    out.second_words = words;
  }
  out.low_bits = tier != CodeTier::smallest;
  return out;
}

GraphSize graph_size_at_most(std::uint64_t rows, std::uint32_t dimensions, std::uint32_t degree) {
  const std::uint32_t lead = layout_of(CodeTier::large, dimensions).lead;
  return {rows, Frame::bytes_in_memory(dimensions, lead) +
                    Edges::bytes_in_memory(static_cast<std::uint32_t>(rows), rows * degree) +
                    rows * kListBytesARow};
}

MemoryPlan plan_codes(std::span<const GraphSize> graphs, std::uint32_t dimensions,
                      std::uint64_t available) {
  MemoryPlan out;
  out.available = available;
  for (std::size_t t = 0; t < kCodeTiers; ++t) {
    const auto tier = static_cast<CodeTier>(t);
    const std::uint64_t record = layout_of(tier, dimensions).record_bytes();
    for (const GraphSize& graph : graphs)
      out.bytes[t] += graph.rows * record + graph.bytes_beside_codes;
    if (!out.tier && out.bytes[t] <= available) out.tier = tier;
  }
  return out;
}

}  // namespace similis::engine
