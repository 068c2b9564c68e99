#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "engine/codes/code.h"

namespace similis::engine {

/// How many bits of its codes an index keeps in memory, the most first. Each holds the next
/// (CodeLayout::holds), so that files have the first and memory what there is room for. All walk
/// alike; shorter ones leave more rows in doubt, which are read.
enum class CodeTier : std::uint8_t { large, middle, small, smallest };
inline constexpr std::size_t kCodeTiers = 4;

std::string_view name_of(CodeTier tier);
CodeLayout layout_of(CodeTier tier, std::uint32_t dimensions);

/// What one graph takes besides codes, and how many of these it has.
struct GraphSize {
  std::uint64_t rows = 0;
  std::uint64_t bytes_beside_codes = 0;
};
/// The most that a graph of so many rows can take, before it is made.
GraphSize graph_size_at_most(std::uint64_t rows, std::uint32_t dimensions, std::uint32_t degree);

struct MemoryPlan {
  std::optional<CodeTier> tier;                   // the first that fits; none does
  std::array<std::uint64_t, kCodeTiers> bytes{};  // of all graphs with the codes of each tier
  std::uint64_t available = 0;                    // to them
};
/// Chooses for all graphs of an index together. `available`: what its memory limit leaves them.
MemoryPlan plan_codes(std::span<const GraphSize> graphs, std::uint32_t dimensions,
                      std::uint64_t available);

}  // namespace similis::engine
