#include "engine/codes/frame.h"

#include <Eigen/Dense>
#include <algorithm>
#include <bit>
#include <cmath>
#include <random>

#include "base/bytes.h"
#include "engine/codes/principal.h"
#include "engine/simd/kernels.h"

namespace similis::engine {
namespace {

using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::ColMajor>;

// Each round mixes every coordinate with all others of its block; two suffice for one block, and
// overlapping blocks need a round more to pass on what the other block holds.
constexpr std::size_t kRounds = 4;
constexpr std::uint32_t kDimensionsMax = 1 << 16;

/// A stream of bits that any platform makes alike (splitmix64, Steele et al. 2014).
class Bits {
 public:
  explicit Bits(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() {
    std::uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
  }

 private:
  std::uint64_t state_;
};

std::vector<std::uint16_t> halves_of(const float* values, std::size_t count) {
  std::vector<std::uint16_t> out(count);
  simd::kernels().to_half(values, count, out.data());
  return out;
}

}  // namespace

Frame Frame::learn(std::span<const float> sample, std::uint32_t dimensions, std::uint32_t lead,
                   std::uint64_t seed, const std::function<bool()>& go_on) {
  Frame frame;
  frame.dimensions_ = dimensions;
  frame.lead_ = lead;
  frame.seed_ = seed;
  PrincipalComponents learnt = learn_components(sample, dimensions, lead, seed, go_on);
  frame.mean_ = std::move(learnt.mean);
  frame.lead_share_ = learnt.share;
  frame.draw_signs();
  if (lead == 0) return frame;

  // The components, rotated among themselves, are the first columns of the map's transpose: their
  // QR decomposition has R = ±1 on the diagonal, and its Q is orthogonal on the whole space.
  const auto rows = static_cast<Eigen::Index>(dimensions);
  const auto columns = static_cast<Eigen::Index>(lead);
  std::mt19937_64 random(seed + 1);
  std::normal_distribution<float> normal;
  Matrix mix(columns, columns);
  for (Eigen::Index c = 0; c < columns; ++c)
    for (Eigen::Index r = 0; r < columns; ++r) mix(r, c) = normal(random);
  const Matrix rotation = Eigen::HouseholderQR<Matrix>(mix).householderQ();
  const Eigen::Map<const Matrix> components(learnt.components.data(), rows, columns);
  const Eigen::HouseholderQR<Matrix> qr(components * rotation);

  Matrix v = Matrix::Zero(rows, columns);
  for (Eigen::Index c = 0; c < columns; ++c) {
    v(c, c) = 1;
    v.col(c).tail(rows - c - 1) = qr.matrixQR().col(c).tail(rows - c - 1);
  }
  // Q = H1 H2 ... = I - V T V' with T upper triangular, grown a column at a time.
  Matrix t = Matrix::Zero(columns, columns);
  for (Eigen::Index c = 0; c < columns; ++c) {
    const float tau = qr.hCoeffs()(c);
    t(c, c) = tau;
    if (c > 0) {
      const Eigen::VectorXf overlap = v.leftCols(c).transpose() * v.col(c);
      t.col(c).head(c) = -tau * (t.topLeftCorner(c, c) * overlap);
    }
  }
  frame.reflectors_ = halves_of(v.data(), std::size_t{lead} * dimensions);
  frame.factor_ = halves_of(t.data(), std::size_t{lead} * lead);  // column c of T: row c of T'
  return frame;
}

void Frame::draw_signs() {
  const std::size_t tail = dimensions_ - lead_;
  signs_.resize(tail * kRounds);
  Bits bits(seed_);
  for (std::size_t i = 0; i < signs_.size(); i += 64) {
    const std::uint64_t word = bits.next();
    for (std::size_t j = i; j < std::min(i + 64, signs_.size()); ++j)
      signs_[j] = (word >> (j - i) & 1) != 0 ? 1.0F : -1.0F;
  }
}

void Frame::rotate_tail(float* tail) const {
  const std::size_t size = dimensions_ - lead_;
  if (size < 2) return;
  const std::size_t block = std::bit_floor(size);
  for (std::size_t round = 0; round < kRounds; ++round) {
    const float* signs = signs_.data() + round * size;
    for (std::size_t i = 0; i < size; ++i) tail[i] *= signs[i];
    simd::kernels().hadamard(tail + (round % 2 == 0 ? 0 : size - block), block);
    if (block == size && round == 1) break;
  }
}

void Frame::turn(std::span<const float> in, bool centred, std::span<float> out) const {
  const float* one = in.data();
  turn(std::span(&one, 1), centred, out);
}

void Frame::turn(std::span<const float* const> in, bool centred, std::span<float> out) const {
  const std::size_t count = in.size();
  for (std::size_t v = 0; v < count; ++v) {
    float* const to = out.data() + v * dimensions_;
    for (std::size_t i = 0; i < dimensions_; ++i) to[i] = centred ? in[v][i] - mean_[i] : in[v][i];
  }
  if (lead_ > 0) reflect(count, out.data());
  for (std::size_t v = 0; v < count; ++v) rotate_tail(out.data() + v * dimensions_ + lead_);
}

/// vectors -= V T' V' vectors
void Frame::reflect(std::size_t count, float* vectors) const {
  const auto& kernels = simd::kernels();
  thread_local std::vector<float> products, columns, weights;
  thread_local std::vector<const std::uint16_t*> rows;
  thread_local std::vector<const float*> pointers;
  thread_local std::vector<float*> outs;
  products.resize(lead_ * count);
  columns.resize(lead_ * count);
  weights.resize(lead_ * count);
  rows.resize(lead_);
  pointers.resize(count);
  const auto rows_at = [&](const std::uint16_t* from, std::size_t stride) {
    for (std::uint32_t i = 0; i < lead_; ++i) rows[i] = from + i * stride;
  };
  rows_at(reflectors_.data(), dimensions_);
  for (std::size_t v = 0; v < count; ++v) pointers[v] = vectors + v * dimensions_;
  kernels.dot(rows.data(), lead_, pointers.data(), count, dimensions_, products.data());
  for (std::uint32_t i = 0; i < lead_; ++i)  // a vector's products beside one another
    for (std::size_t v = 0; v < count; ++v) columns[v * lead_ + i] = products[i * count + v];
  rows_at(factor_.data(), lead_);
  for (std::size_t v = 0; v < count; ++v) pointers[v] = columns.data() + v * lead_;
  kernels.dot(rows.data(), lead_, pointers.data(), count, lead_, products.data());
  for (std::uint32_t i = 0; i < lead_; ++i)
    for (std::size_t v = 0; v < count; ++v) weights[v * lead_ + i] = -products[i * count + v];
  rows_at(reflectors_.data(), dimensions_);
  outs.resize(count);
  for (std::size_t v = 0; v < count; ++v) {
    pointers[v] = weights.data() + v * lead_;
    outs[v] = vectors + v * dimensions_;
  }
  kernels.add_rows(rows.data(), lead_, pointers.data(), count, dimensions_, outs.data());
}

std::uint64_t Frame::bytes_in_memory(std::uint32_t dimensions, std::uint32_t lead) {
  return (dimensions + kRounds * (dimensions - lead)) * sizeof(float) +
         std::uint64_t{lead} * (dimensions + lead) * sizeof(std::uint16_t);
}

std::string Frame::encode() const {
  ByteWriter out;
  out.put(dimensions_);
  out.put(lead_);
  out.put(seed_);
  out.put(lead_share_);
  out.put_raw(mean_.data(), mean_.size() * sizeof(float));
  out.put_raw(reflectors_.data(), reflectors_.size() * sizeof(std::uint16_t));
  out.put_raw(factor_.data(), factor_.size() * sizeof(std::uint16_t));
  return out.take();
}

Result<Frame> Frame::decode(std::string_view bytes, const std::string& name) {
  const Error bad(ErrorCode::corruption, name + ": the frame of its codes does not hold together");
  ByteReader in(bytes);
  Frame frame;
  frame.dimensions_ = in.get<std::uint32_t>();
  frame.lead_ = in.get<std::uint32_t>();
  frame.seed_ = in.get<std::uint64_t>();
  frame.lead_share_ = in.get<float>();
  if (!in.ok() || frame.dimensions_ == 0 || frame.dimensions_ > kDimensionsMax ||
      frame.lead_ > frame.dimensions_) {
    return bad;
  }
  const std::size_t lead = frame.lead_;
  constexpr std::size_t kHeadBytes = 20;
  const std::size_t body =
      std::size_t{4} * frame.dimensions_ + 2 * lead * (std::size_t{frame.dimensions_} + lead);
  if (bytes.size() != kHeadBytes + body) return bad;
  frame.mean_.resize(frame.dimensions_);
  frame.reflectors_.resize(lead * frame.dimensions_);
  frame.factor_.resize(lead * lead);
  in.get_raw(frame.mean_.data(), frame.mean_.size() * sizeof(float));
  in.get_raw(frame.reflectors_.data(), frame.reflectors_.size() * sizeof(std::uint16_t));
  in.get_raw(frame.factor_.data(), frame.factor_.size() * sizeof(std::uint16_t));
  for (const float value : frame.mean_)
    if (!std::isfinite(value)) return bad;
  frame.draw_signs();
  return frame;
}

}  // namespace similis::engine
