#pragma once

#include <cstdint>

namespace similis::engine {

/// How much of an index a memory limit for making graphs allows at a time. A graph is made of one
/// segment, in memory: the limit is kept by how large segments grow.
struct BuildPlan {
  std::uint64_t rows_max = 0;     // of a graph; 0: the limit suffices for none
  std::uint32_t sample_rows = 0;  // that its frame is learnt from, at most
};
/// `bytes`: what making or extending a graph may take for a while, beside what searches need.
BuildPlan plan_building(std::uint64_t bytes, std::uint32_t dimensions);

}  // namespace similis::engine
