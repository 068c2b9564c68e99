#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace similis {

/// How a model's answer becomes one vector.
struct Pooling {
  enum class Kind : std::uint8_t {
    none,  // the model's embedding as it is
    avg,   // mean over the positions of a feature map (global average pooling), or over the patch
           // tokens
    max,   // largest value over them
    gem,   // generalised mean over them, exponent p (Radenovic et al., arXiv 1711.02512); p = 1 is
           // avg, p -> inf is max
    cls,   // the first token
  };
  Kind kind = Kind::none;
  double gem_p = 3.0;  // > 0
  /// How many tokens stand before the patch tokens (class and register tokens); avg, max and gem
  /// skip them.
  std::uint32_t prefix_tokens = 1;

  bool operator==(const Pooling&) const = default;
};

std::string_view pooling_name(Pooling::Kind kind);

/// Values below this count as this in the generalised mean, which is defined for positive values
/// only.
inline constexpr float kGemFloor = 1e-6F;

/// How the values of one picture's feature map or token sequence lie in memory: value (position,
/// channel) is at position * position_step + channel * channel_step.
struct Positions {
  std::size_t count = 0;     // positions: height * width, or tokens
  std::size_t channels = 0;  // length of the pooled vector
  std::size_t position_step = 0;
  std::size_t channel_step = 0;

  /// [C][H][W]
  static Positions channels_first(std::size_t channels, std::size_t area) {
    return {area, channels, 1, area};
  }
  /// [H][W][C], [T][D]
  static Positions channels_last(std::size_t positions, std::size_t channels) {
    return {positions, channels, channels, 1};
  }
};

/// Pools one picture's values to at.channels values, sums in double. `pooling.kind` is not none;
/// for cls, avg, max and gem over tokens the caller says so by `tokens`. Needs at least one
/// position left to pool.
void pool(const Pooling& pooling, bool tokens, std::span<const float> values, const Positions& at,
          std::span<float> out);

/// Divides by the L2 norm; a zero vector stays zero.
void l2_normalise(std::span<float> values);

/// exp(x - max) / sum.
void softmax(std::span<float> values);

/// The `count` largest (index, value), largest first, equal ones by index.
std::vector<std::pair<std::uint32_t, float>> top_values(std::span<const float> values,
                                                        std::size_t count);

/// Cosine of two vectors of equal length; 0 when one is zero.
double cosine(std::span<const float> a, std::span<const float> b);

}  // namespace similis
