#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace similis::engine {

/// How a turned vector (frame.h) is written down. The leading coordinates take four high bits each,
/// and two low ones if `low_bits`. Of the others each takes a sign; those of the first
/// `second_words` words of 64 a bit more, those of the first `third_words` another one. The first
/// part of a record, the high bits and the signs, is all that a walk reads; the second refines it.
/// Layouts of the same lead and tail differ in what they leave out of the second part.
///
///   0   f32   factor of the leading coordinates by their high bits
///   4   f32   factor of the tail by its signs
///   8   f32   half of the squared length
///   12  f32   factor of the leading coordinates by all their bits
///   16        high bits of the leading coordinates (simd dot_nibbles), then the signs
///   refine_offset()
///       f32   factor of the tail by all its bits
///       u16   error of the leading coordinates, u16 error of the tail, both by all bits: the upper
///             half of a f32
///             low bits of the leading coordinates (simd dot_crumbs), then the planes of the tail's
///             second and third bits
struct CodeLayout {
  std::uint32_t lead = 0;          // a multiple of 64
  std::uint32_t tail = 0;          // coordinates
  std::uint32_t second_words = 0;  // at most tail_words()
  std::uint32_t third_words = 0;   // at most second_words
  bool low_bits = true;

  [[nodiscard]] std::size_t tail_words() const { return (std::size_t{tail} + 63) / 64; }
  [[nodiscard]] std::size_t refine_offset() const { return 16 + lead / 2 + 8 * tail_words(); }
  [[nodiscard]] std::size_t low_bytes() const { return low_bits ? lead / 4 : 0; }
  [[nodiscard]] std::size_t record_bytes() const {
    return refine_offset() + 8 + low_bytes() + 8 * (std::size_t{second_words} + third_words);
  }
  /// Whether this has every bit of the other one.
  [[nodiscard]] bool holds(const CodeLayout& other) const {
    return lead == other.lead && tail == other.tail && second_words >= other.second_words &&
           third_words >= other.third_words && low_bits >= other.low_bits;
  }
  friend bool operator==(const CodeLayout&, const CodeLayout&) = default;
};

/// Writes the record of a turned vector of lead + tail values, centred. `record`: record_bytes().
///
/// Each run of coordinates o is replaced by a vector u on a grid of small odd numbers along o, and
/// a factor f = |o|^2 / <u, o>, so that <o, q> is estimated by f <u, q> without bias; the error's
/// spread is `error` * |q| (Gao and Long, "RaBitQ", 2024, theorem 3.2; Gao et al. 2024 for more
/// than one bit). Runs of their own grids: Li et al., "SAQ", 2025.
void encode_record(const CodeLayout& layout, std::span<const float> turned,
                   std::span<std::byte> record);

/// The turned vector as far as its record tells: what each run was replaced by, at the scale that
/// makes inner products unbiased. `turned`: lead + tail values.
void decode_record(const CodeLayout& layout, const std::byte* record, std::span<float> turned);

/// Leaves out of a record what `to` lacks; `from` holds `to`. The factors become those of the bits
/// that stay, as far as the others tell, and what the longer record did not know of its vector adds
/// to the errors. `out`: to.record_bytes(), in front of the record or apart from it.
void shorten_record(const CodeLayout& from, const std::byte* record, const CodeLayout& to,
                    std::byte* out);

/// Half of the squared length of what the record was made of.
[[nodiscard]] float half_squared_length(const std::byte* record);

/// A query against records.
class QueryCode {
 public:
  explicit QueryCode(const CodeLayout& layout);

  /// Of a turned vector, centred.
  void set(std::span<const float> turned);
  /// Of a row, as far as its record tells. Estimates then miss what both records lost; their errors
  /// speak of the other record alone.
  void set_record(const std::byte* record);

  /// What is estimated is nearness: <o, q> - |o|^2 / 2 = (|q|^2 - |o - q|^2) / 2; of vectors of
  /// length 1 before centring, the cosine is 1 - |q|^2 / 2 + nearness.
  [[nodiscard]] float squared_length() const { return squared_length_; }

  /// From the first part of the record alone.
  [[nodiscard]] float walk(const std::byte* record) const;
  /// The same of many. At most kWalkMax.
  static constexpr std::size_t kWalkMax = 128;
  void walk(std::span<const std::byte* const> records, std::span<float> nearness) const;

  struct Estimate {
    float nearness = 0;
    float error = 0;  // the spread: one standard deviation of the estimate, nearly
  };
  /// From the whole record.
  [[nodiscard]] Estimate refine(const std::byte* record) const;

 private:
  // Of a vector the tail's values are signed integers of so many bits; a walk leaves out the lowest
  // two.
  static constexpr std::size_t kPlanes = 6, kDropped = 2;

  CodeLayout layout_;
  std::vector<std::int8_t> lead_;
  std::vector<std::int8_t> tail_;      // of whole words, zeros behind the end
  std::vector<std::uint64_t> planes_;  // of tail_, the lowest first
  std::size_t plane_count_ = kPlanes;
  std::size_t dropped_ = kDropped;  // planes a walk leaves out
  float lead_step_ = 0;             // of lead_'s integers
  float tail_step_ = 0;
  float lead_sum_ = 0;    // of lead_'s integers
  float tail_sum_ = 0;    // of the tail's integers
  float tail_shift_ = 0;  // of them times what a coordinate stands for whose bits are all zero
  float lead_length_ = 0;
  float tail_length_ = 0;
  float squared_length_ = 0;
};

}  // namespace similis::engine
