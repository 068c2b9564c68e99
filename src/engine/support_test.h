#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <map>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "base/temporary_folder.h"
#include "engine/index.h"
#include "engine/simd/kernels.h"

namespace similis::engine {

inline std::span<const std::byte> as_bytes(const char* text) {
  return std::as_bytes(std::span(text, std::strlen(text)));
}

inline std::span<const std::byte> as_bytes(const std::string& text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

std::span<const std::byte> as_bytes(std::string&& gone_at_once) = delete;

inline std::vector<float> random_vector(std::mt19937_64& random, std::size_t dimensions) {
  std::normal_distribution<float> normal;
  std::vector<float> out(dimensions);
  for (float& v : out) v = normal(random);
  return out;
}

/// fp16 and back, as the index stores it.
inline std::vector<float> through_half(const std::vector<float>& values) {
  std::vector<std::uint16_t> half(values.size());
  std::vector<float> out(values.size());
  simd::kScalarKernels->to_half(values.data(), values.size(), half.data());
  simd::kScalarKernels->to_float(half.data(), half.size(), out.data());
  return out;
}

inline std::vector<float> unit(std::vector<float> v) {
  double sum = 0;
  for (const float x : v) sum += static_cast<double>(x) * x;
  if (sum == 0) return v;
  for (float& x : v) x = static_cast<float>(x / std::sqrt(sum));
  return v;
}

/// The plain truth beside an index: id → vector as given, and attributes.
struct Model {
  struct Row {
    std::vector<float> vector;
    std::string attributes;
  };
  std::map<std::uint64_t, Row> rows;

  static float score(Metric metric, const std::vector<float>& query,
                     const std::vector<float>& vector) {
    const auto q = metric == Metric::cosine ? unit(query) : query;
    const auto v = through_half(metric == Metric::cosine ? unit(vector) : vector);
    double sum = 0;
    for (std::size_t i = 0; i < q.size(); ++i) {
      const double d = static_cast<double>(q[i]) - v[i];
      sum += metric == Metric::l2 ? -d * d : static_cast<double>(q[i]) * v[i];
    }
    return static_cast<float>(sum);
  }
};

/// Every hit is a row that passes `wanted`, its score right, none missing that is clearly better
/// than the last.
template <typename Wanted>
void expect_exact(const std::vector<Hit>& hits, const Model& model, Metric metric,
                  const std::vector<float>& query, std::size_t k, Wanted wanted) {
  std::vector<std::pair<float, std::uint64_t>> truth;
  for (const auto& [id, row] : model.rows)
    if (wanted(id, row)) truth.push_back({-Model::score(metric, query, row.vector), id});
  std::sort(truth.begin(), truth.end());
  ASSERT_EQ(hits.size(), std::min(k, truth.size()));
  for (std::size_t i = 0; i < hits.size(); ++i) {
    const auto row = model.rows.find(hits[i].id);
    ASSERT_NE(row, model.rows.end()) << "id " << hits[i].id;
    ASSERT_TRUE(wanted(row->first, row->second)) << "id " << hits[i].id;
    const float expected = Model::score(metric, query, row->second.vector);
    const float tolerance = 1e-5F * std::max(1.0F, std::abs(expected));
    ASSERT_NEAR(hits[i].score, expected, tolerance);
    ASSERT_NEAR(hits[i].score, -truth[i].first, tolerance);
    if (i > 0) {
      ASSERT_TRUE(hits[i - 1].score > hits[i].score ||
                  (hits[i - 1].score == hits[i].score && hits[i - 1].id < hits[i].id));
    }
  }
}

}  // namespace similis::engine
