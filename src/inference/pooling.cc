#include "inference/pooling.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <numeric>

namespace similis {

std::string_view pooling_name(Pooling::Kind kind) {
  switch (kind) {
    case Pooling::Kind::none:
      return "none";
    case Pooling::Kind::avg:
      return "avg";
    case Pooling::Kind::max:
      return "max";
    case Pooling::Kind::gem:
      return "gem";
    case Pooling::Kind::cls:
      return "cls";
  }
  return "none";
}

void pool(const Pooling& pooling, bool tokens, std::span<const float> values, const Positions& at,
          std::span<float> out) {
  const std::size_t first =
      tokens && pooling.kind != Pooling::Kind::cls ? pooling.prefix_tokens : 0;
  assert(pooling.kind != Pooling::Kind::none && first < at.count && out.size() == at.channels);
  assert(values.size() >=
         (at.count - 1) * at.position_step + (at.channels - 1) * at.channel_step + 1);
  const auto pooled_count = static_cast<double>(at.count - first);
  for (std::size_t c = 0; c < at.channels; ++c) {
    const float* value = values.data() + c * at.channel_step + first * at.position_step;
    switch (pooling.kind) {
      case Pooling::Kind::none:
        break;
      case Pooling::Kind::cls:
        out[c] = *value;
        break;
      case Pooling::Kind::avg: {
        double sum = 0;
        for (std::size_t i = first; i < at.count; ++i, value += at.position_step) sum += *value;
        out[c] = static_cast<float>(sum / pooled_count);
        break;
      }
      case Pooling::Kind::max: {
        float largest = *value;
        for (std::size_t i = first; i < at.count; ++i, value += at.position_step)
          largest = std::max(largest, *value);
        out[c] = largest;
        break;
      }
      case Pooling::Kind::gem: {
        // p = 3 is what is used in practice, and pow() would cost more than a small model.
        const bool cube = pooling.gem_p == 3.0;
        double sum = 0;
        for (std::size_t i = first; i < at.count; ++i, value += at.position_step) {
          const double v = std::max(*value, kGemFloor);
          sum += cube ? v * v * v : std::pow(v, pooling.gem_p);
        }
        out[c] = static_cast<float>(std::pow(sum / pooled_count, 1.0 / pooling.gem_p));
        break;
      }
    }
  }
}

void l2_normalise(std::span<float> values) {
  double sum = 0;
  for (const float v : values) sum += static_cast<double>(v) * v;
  if (sum <= 0) return;
  const double factor = 1.0 / std::sqrt(sum);
  for (float& v : values) v = static_cast<float>(v * factor);
}

void softmax(std::span<float> values) {
  if (values.empty()) return;
  const float largest = *std::max_element(values.begin(), values.end());
  double sum = 0;
  for (float& v : values) {
    v = std::exp(v - largest);
    sum += v;
  }
  for (float& v : values) v = static_cast<float>(v / sum);
}

std::vector<std::pair<std::uint32_t, float>> top_values(std::span<const float> values,
                                                        std::size_t count) {
  count = std::min(count, values.size());
  std::vector<std::uint32_t> order(values.size());
  std::iota(order.begin(), order.end(), 0U);
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(count), order.end(),
                    [&](std::uint32_t a, std::uint32_t b) {
                      return values[a] != values[b] ? values[a] > values[b] : a < b;
                    });
  std::vector<std::pair<std::uint32_t, float>> top;
  top.reserve(count);
  for (std::size_t i = 0; i < count; ++i) top.emplace_back(order[i], values[order[i]]);
  return top;
}

double cosine(std::span<const float> a, std::span<const float> b) {
  assert(a.size() == b.size());
  double product = 0, aa = 0, bb = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    product += static_cast<double>(a[i]) * b[i];
    aa += static_cast<double>(a[i]) * a[i];
    bb += static_cast<double>(b[i]) * b[i];
  }
  return aa <= 0 || bb <= 0 ? 0.0 : product / std::sqrt(aa * bb);
}

}  // namespace similis
