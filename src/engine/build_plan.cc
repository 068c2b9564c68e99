#include "engine/build_plan.h"

#include <algorithm>

#include "engine/codes/principal.h"
#include "engine/graph/build.h"
#include "engine/memory_plan.h"

namespace similis::engine {
namespace {

// More say little more about the principal components, fewer too little.
constexpr std::uint64_t kSampleRowsMost = 8192, kSampleRowsLeast = 1024;
// A row's fingerprint, kind, and place in the order of copies.
constexpr std::uint64_t kMakerBytesARow = 24;

}  // namespace

BuildPlan plan_building(std::uint64_t bytes, std::uint32_t dimensions) {
  BuildPlan out;
  const CodeLayout layout = layout_of(CodeTier::large, dimensions);
  const std::uint64_t fixed = learning_bytes(0, dimensions, layout.lead);
  const std::uint64_t each = learning_bytes(1, dimensions, layout.lead) - fixed;
  const std::uint64_t sample = bytes > fixed ? (bytes - fixed) / each : 0;
  if (sample < kSampleRowsLeast) return out;
  out.sample_rows = static_cast<std::uint32_t>(std::min(sample, kSampleRowsMost));
  out.rows_max = bytes / (layout.record_bytes() + kMakerBytesARow + build_bytes_a_row({}));
  return out;
}

}  // namespace similis::engine
