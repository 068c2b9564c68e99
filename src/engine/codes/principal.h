#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace similis::engine {

/// What was learnt of a sample.
struct PrincipalComponents {
  std::vector<float> mean;        // dimensions values
  std::vector<float> components;  // count rows of dimensions values, orthonormal
  float share = 0;                // of the variance that the components hold, 0..1
};

/// The mean and the `count` leading principal components of rows of `dimensions` values each, by
/// subspace iteration on the covariance (Halko, Martinsson and Tropp 2011, algorithm 4.4). `count`
/// at most `dimensions`. Directions without variance are filled up by any orthonormal ones.
/// `go_on` is asked now and then; once it says no they are any, soon.
PrincipalComponents learn_components(std::span<const float> sample, std::uint32_t dimensions,
                                     std::uint32_t count, std::uint64_t seed,
                                     const std::function<bool()>& go_on);

/// The memory that learning from so many rows takes, their own included.
std::uint64_t learning_bytes(std::uint64_t rows, std::uint32_t dimensions, std::uint32_t count);

}  // namespace similis::engine
