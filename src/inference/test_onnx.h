#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace similis {

/// A small network as an ONNX file, for tests: written byte by byte after onnx.proto, so that no
/// test needs Python or a file in the repository.
///
///   picture [N,3,H,W] -> 1x1 convolution to `channels` (+ bias) -> Relu = map [N,C,H,W]
///   map -> GlobalAveragePool, Flatten = embedding [N,C] -> Gemm = scores [N,classes]
///   map -> Reshape, Transpose = tokens [N,H*W,C]
///
/// Weights follow a formula; map is an inner tensor, the others are outputs.
class TinyOnnx {
 public:
  std::size_t height = 6;
  std::size_t width = 8;
  std::size_t channels = 5;
  std::size_t classes = 3;

  [[nodiscard]] float kernel(std::size_t out, std::size_t in) const {
    return 0.25F * static_cast<float>((out * 5 + in * 3) % 7) - 0.5F;
  }
  [[nodiscard]] float bias(std::size_t out) const { return 0.1F * static_cast<float>(out); }
  [[nodiscard]] float classifier(std::size_t out, std::size_t in) const {
    return static_cast<float>((out * 3 + in) % 5) - 2.0F;
  }
  /// map of one picture, [C][H][W], from its normalised floats [3][H][W].
  [[nodiscard]] std::vector<float> map(const std::vector<float>& picture) const {
    const std::size_t area = height * width;
    std::vector<float> out(channels * area);
    for (std::size_t c = 0; c < channels; ++c) {
      for (std::size_t i = 0; i < area; ++i) {
        float sum = bias(c);
        for (std::size_t k = 0; k < 3; ++k) sum += kernel(c, k) * picture[k * area + i];
        out[c * area + i] = sum > 0 ? sum : 0;
      }
    }
    return out;
  }

  [[nodiscard]] std::string bytes() const {
    std::vector<float> kernels, biases, weights;
    for (std::size_t c = 0; c < channels; ++c) {
      for (std::size_t k = 0; k < 3; ++k) kernels.push_back(kernel(c, k));
      biases.push_back(bias(c));
    }
    for (std::size_t o = 0; o < classes; ++o) {
      for (std::size_t c = 0; c < channels; ++c) weights.push_back(classifier(o, c));
    }
    const auto number = [](std::size_t n) { return static_cast<std::int64_t>(n); };
    std::string graph;
    graph += field(1, node("Conv", {"picture", "kernels", "biases"}, "convolved",
                           ints("kernel_shape", {1, 1})));
    graph += field(1, node("Relu", {"convolved"}, "map"));
    graph += field(1, node("GlobalAveragePool", {"map"}, "gap"));
    graph += field(1, node("Flatten", {"gap"}, "embedding"));
    graph += field(1, node("Gemm", {"embedding", "weights"}, "scores", integer("transB", 1)));
    graph += field(1, node("Reshape", {"map", "columns"}, "flat"));
    graph += field(1, node("Transpose", {"flat"}, "tokens", ints("perm", {0, 2, 1})));
    graph += field(2, "tiny");
    graph += field(5, floats("kernels", {number(channels), 3, 1, 1}, kernels));
    graph += field(5, floats("biases", {number(channels)}, biases));
    graph += field(5, floats("weights", {number(classes), number(channels)}, weights));
    graph += field(5, int64s("columns", {0, number(channels), -1}));
    graph += field(11, value("picture", {3, number(height), number(width)}));
    graph += field(12, value("embedding", {number(channels)}));
    graph += field(12, value("scores", {number(classes)}));
    graph += field(12, value("tokens", {number(height * width), number(channels)}));
    const std::string opset = field(1, "") + field(2, 13);
    return field(1, 8) + field(7, graph) + field(8, opset);
  }

 private:
  using Shape = std::vector<std::int64_t>;

  // Protocol buffers' wire format: a key (field number and kind), then a varint or a length and
  // bytes.
  static std::string varint(std::uint64_t value) {
    std::string out;
    for (; value >= 0x80; value >>= 7) out += static_cast<char>((value & 0x7F) | 0x80);
    return out + static_cast<char>(value);
  }
  static std::string field(unsigned number, std::int64_t value) {
    return varint(number << 3) + varint(static_cast<std::uint64_t>(value));
  }
  static std::string field(unsigned number, std::string_view bytes) {
    return varint(number << 3 | 2) + varint(bytes.size()) + std::string(bytes);
  }

  static std::string node(std::string_view type, const std::vector<std::string>& inputs,
                          std::string_view output, const std::string& attribute = {}) {
    std::string out;
    for (const std::string& input : inputs) out += field(1, input);
    out += field(2, output) + field(3, std::string("node_") + std::string(output)) + field(4, type);
    return attribute.empty() ? out : out + field(5, attribute);
  }
  static std::string integer(std::string_view name, std::int64_t value) {
    return field(1, name) + field(3, value) + field(20, 2);
  }
  static std::string ints(std::string_view name, const Shape& values) {
    std::string out = field(1, name);
    for (const std::int64_t v : values) out += field(8, v);
    return out + field(20, 7);
  }
  static std::string floats(std::string_view name, const Shape& shape,
                            const std::vector<float>& values) {
    std::string out;
    for (const std::int64_t side : shape) out += field(1, side);
    const std::string_view raw(reinterpret_cast<const char*>(values.data()),
                               values.size() * sizeof(float));
    return out + field(2, 1) + field(8, name) + field(9, raw);
  }
  static std::string int64s(std::string_view name, const Shape& values) {
    const std::string_view raw(reinterpret_cast<const char*>(values.data()),
                               values.size() * sizeof(std::int64_t));
    return field(1, static_cast<std::int64_t>(values.size())) + field(2, 7) + field(8, name) +
           field(9, raw);
  }
  /// A float tensor whose first side is N.
  static std::string value(std::string_view name, const Shape& shape) {
    std::string sides = field(1, field(2, "N"));
    for (const std::int64_t side : shape) sides += field(1, field(1, side));
    const std::string tensor = field(1, 1) + field(2, sides);
    return field(1, name) + field(2, field(1, tensor));
  }
};

}  // namespace similis
