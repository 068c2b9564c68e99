#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace similis::engine {

/// The frame that codes are made in: a vector is centred on the mean of the collection and turned
/// by an orthogonal map, so that its first lead() coordinates span the leading principal components
/// and the others what is orthogonal to them. Both runs are rotated at random inside, so that a
/// coordinate of a run is like any other of it, as the codes' error bounds ask for.
///
/// The turn is a product of Householder reflections in compact form (I - V T V', Schreiber and Van
/// Loan 1989), read once a vector: 2 * dimensions * lead multiplications in place of dimensions^2.
/// The tail is rotated by random signs and fast Hadamard transforms on overlapping blocks of a
/// power of two. V and T are kept in fp16: inner products survive the turn to about 1e-4 of the
/// product of the norms.
///
/// Threads: const functions from any.
class Frame {
 public:
  /// `sample`: rows of `dimensions` values each, one after another, at least one row. `lead` is a
  /// multiple of 32 and at most `dimensions`; 0: no principal components. `seed` fixes the random
  /// rotations. `go_on` is asked now and then, as it takes a minute with thousands of dimensions;
  /// once it says no the frame is any.
  static Frame learn(
      std::span<const float> sample, std::uint32_t dimensions, std::uint32_t lead,
      std::uint64_t seed, const std::function<bool()>& go_on = [] { return true; });

  [[nodiscard]] std::uint32_t dimensions() const { return dimensions_; }
  [[nodiscard]] std::uint32_t lead() const { return lead_; }
  [[nodiscard]] std::span<const float> mean() const { return mean_; }
  [[nodiscard]] std::uint64_t bytes_in_memory() const {
    return bytes_in_memory(dimensions_, lead_);
  }
  static std::uint64_t bytes_in_memory(std::uint32_t dimensions, std::uint32_t lead);

  /// out = turn(in - mean); out = turn(in) when not `centred`. Both of dimensions() values; may not
  /// overlap.
  void turn(std::span<const float> in, bool centred, std::span<float> out) const;
  /// The same for several vectors, whose turns share what is read of the map. `out`: a vector after
  /// the other.
  void turn(std::span<const float* const> in, bool centred, std::span<float> out) const;

  /// The share of the sample's variance that the leading coordinates hold, 0..1.
  [[nodiscard]] float lead_share() const { return lead_share_; }

  /// Everything a file needs to make the same frame again, little-endian.
  [[nodiscard]] std::string encode() const;
  /// `corruption` when the bytes do not hold together. `name` is said in the error.
  static Result<Frame> decode(std::string_view bytes, const std::string& name);

 private:
  Frame() = default;
  void reflect(std::size_t count, float* vectors) const;
  void rotate_tail(float* tail) const;
  void draw_signs();

  std::uint32_t dimensions_ = 0;
  std::uint32_t lead_ = 0;
  std::uint64_t seed_ = 0;
  float lead_share_ = 0;
  std::vector<float> mean_;
  std::vector<std::uint16_t> reflectors_;  // lead rows of dimensions values: the columns of V
  std::vector<std::uint16_t> factor_;      // lead rows of lead values: T'
  std::vector<float> signs_;               // a round after another, of the tail's length; from seed
};

}  // namespace similis::engine
