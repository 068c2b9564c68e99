#include "engine/codes/principal.h"

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <random>

#include "engine/simd/kernels.h"

namespace similis::engine {
namespace {

using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::ColMajor>;

// More directions than asked for, which makes the wanted ones settle sooner.
constexpr std::uint32_t kOversample = 16;
constexpr int kIterations = 8;
constexpr std::size_t kTile = 64;

/// The covariance of the sample times a scale that keeps fp16 exact enough, dimensions x
/// dimensions. `mean` is taken off. The products are made by the kernels that search uses: rows in
/// fp16.
Matrix covariance(std::span<const float> sample, std::span<const float> mean,
                  const std::function<bool()>& go_on) {
  const std::size_t dimensions = mean.size(), rows = sample.size() / dimensions;
  double squares = 0;
  std::vector<float> centred(sample.size());  // a dimension after another
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t d = 0; d < dimensions; ++d) {
      const float v = sample[r * dimensions + d] - mean[d];
      centred[d * rows + r] = v;
      squares += static_cast<double>(v) * v;
    }
  }
  const double scale = squares > 0 ? std::sqrt(static_cast<double>(sample.size()) / squares) : 1.0;
  for (float& v : centred) v = static_cast<float>(v * scale);
  std::vector<std::uint16_t> halves(centred.size());
  const auto& kernels = simd::kernels();
  kernels.to_half(centred.data(), centred.size(), halves.data());

  std::vector<const std::uint16_t*> left(dimensions);
  std::vector<const float*> right(dimensions);
  for (std::size_t d = 0; d < dimensions; ++d) {
    left[d] = halves.data() + d * rows;
    right[d] = centred.data() + d * rows;
  }
  Matrix out =
      Matrix::Zero(static_cast<Eigen::Index>(dimensions), static_cast<Eigen::Index>(dimensions));
  std::vector<float> tile(kTile * kTile);
  for (std::size_t a = 0; a < dimensions && go_on(); a += kTile) {
    const std::size_t rows_here = std::min(kTile, dimensions - a);
    for (std::size_t b = 0; b <= a; b += kTile) {
      const std::size_t columns_here = std::min(kTile, dimensions - b);
      kernels.dot(left.data() + a, rows_here, right.data() + b, columns_here, rows, tile.data());
      for (std::size_t i = 0; i < rows_here; ++i) {
        for (std::size_t j = 0; j < columns_here; ++j) {
          const float value = tile[i * columns_here + j] / static_cast<float>(rows);
          out(static_cast<Eigen::Index>(a + i), static_cast<Eigen::Index>(b + j)) = value;
          out(static_cast<Eigen::Index>(b + j), static_cast<Eigen::Index>(a + i)) = value;
        }
      }
    }
  }
  return out;
}

Matrix orthonormal(const Matrix& columns) {
  const Eigen::HouseholderQR<Matrix> qr(columns);
  return qr.householderQ() * Matrix::Identity(columns.rows(), columns.cols());
}

}  // namespace

PrincipalComponents learn_components(std::span<const float> sample, std::uint32_t dimensions,
                                     std::uint32_t count, std::uint64_t seed,
                                     const std::function<bool()>& go_on) {
  PrincipalComponents out;
  const std::size_t rows = sample.size() / dimensions;
  std::vector<double> sums(dimensions);
  for (std::size_t i = 0; i < rows * dimensions; ++i) sums[i % dimensions] += sample[i];
  for (const double sum : sums)
    out.mean.push_back(
        static_cast<float>(sum / static_cast<double>(std::max<std::size_t>(1, rows))));
  if (count == 0) return out;

  const Matrix spread = covariance(sample, out.mean, go_on);
  const auto wide = static_cast<Eigen::Index>(std::min(dimensions, count + kOversample));
  std::mt19937_64 random(seed);
  std::normal_distribution<float> normal;
  Matrix basis(static_cast<Eigen::Index>(dimensions), wide);
  for (Eigen::Index c = 0; c < wide; ++c)
    for (Eigen::Index r = 0; r < basis.rows(); ++r) basis(r, c) = normal(random);
  basis = orthonormal(basis);
  for (int i = 0; i < kIterations && go_on(); ++i) basis = orthonormal(spread * basis);
  // Within the subspace: the directions by their variance, of which the largest are taken.
  const Eigen::SelfAdjointEigenSolver<Matrix> inside(basis.transpose() * spread * basis);
  const Matrix turned = basis * inside.eigenvectors().rightCols(static_cast<Eigen::Index>(count));
  out.components.resize(std::size_t{count} * dimensions);
  for (std::uint32_t c = 0; c < count; ++c)
    for (std::uint32_t d = 0; d < dimensions; ++d)
      out.components[std::size_t{c} * dimensions + d] = turned(d, c);
  const float total = spread.trace();
  const float held = inside.eigenvalues().tail(static_cast<Eigen::Index>(count)).sum();
  out.share = total > 0 ? std::clamp(held / total, 0.0F, 1.0F) : 1.0F;
  return out;
}

std::uint64_t learning_bytes(std::uint64_t rows, std::uint32_t dimensions, std::uint32_t count) {
  // The sample, a copy that is centred, and one in fp16; the covariance; four bases.
  constexpr std::uint64_t kBytesAValue = 2 * sizeof(float) + sizeof(std::uint16_t), kBases = 4;
  return rows * dimensions * kBytesAValue +
         sizeof(float) * dimensions * (dimensions + kBases * (count + kOversample));
}

}  // namespace similis::engine
