#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/bench_data.h"
#include "manifold.h"

namespace similis::bench {

/// The surface that measurements are made on, and where seeds of queries begin; those of rows do
/// at 0.
inline constexpr std::uint64_t kManifoldSeed = 1;
inline constexpr std::uint64_t kQuerySeed = 1'000'000'000;

/// The generator's vectors of `count` seeds from `first_seed` on, made on all cores.
engine::Table<float> make_vectors(const ManifoldGenerator& generator, std::size_t count,
                                  std::uint64_t first_seed);

/// Adds rows of the kinds that make search hard, of `rows` of unit vectors: a twentieth as many
/// that lie a thousandth from others, a tenth as many copies of one, 500 groups of four copies,
/// 1000 zeros, and 200 that lie far from all others.
void add_hard_rows(engine::Table<float>& rows, std::uint64_t seed);

/// Of each query the indexes of the k rows of the largest inner product in f32, best first; equal
/// ones by index. Fewer rows than k: fewer columns.
engine::Table<std::int64_t> nearest_rows(const engine::Table<float>& rows,
                                         const engine::Table<float>& queries, std::size_t k);

}  // namespace similis::bench
