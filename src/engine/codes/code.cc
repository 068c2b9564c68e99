#include "engine/codes/code.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <numeric>

#include "engine/simd/kernels.h"

namespace similis::engine {
namespace {

// Steps of the grids in standard deviations of a coordinate. After a random rotation coordinates
// lie like normal ones: 4 bits with this step reach to 3.2 of them, so that the six bits that
// refine them are not cut off. The tail's is between the best for two bits (half of 0.996) and for
// three (0.586, Max 1960): one grid, of which some coordinates lack the last bit.
constexpr float kLeadStep = 0.40F;
constexpr float kTailStep = 0.53F;
constexpr int kLeadLevels = 64, kTailLevels = 8;

struct Head {
  float lead_factor, tail_factor, half_squared, lead_factor_fine;
};
struct Refinement {
  float tail_factor;
  std::uint16_t lead_error, tail_error;
};
static_assert(sizeof(Head) == 16 && sizeof(Refinement) == 8);

/// A f32 by its upper half, of any magnitude to four parts in a thousand.
std::uint16_t upper_half(float value) {
  return static_cast<std::uint16_t>((std::bit_cast<std::uint32_t>(value) + 0x8000U) >> 16);
}
float from_upper_half(std::uint16_t half) {
  return std::bit_cast<float>(std::uint32_t{half} << 16);
}

float squares(const float* values, std::size_t count) {
  return simd::kernels().extent(values, count).squares;
}

/// What the grid vector u makes of the run o: the sums <u, o> and <u, u>.
struct Fit {
  float product = 0, square = 0;
  void add(float u, float o) {
    product += u * o;
    square += u * u;
  }
  [[nodiscard]] float factor(float o_squared) const {
    return product > 0 ? o_squared / product : 0;
  }
  /// Spread of the estimate, for a query of length 1.
  [[nodiscard]] float error(float o_squared, std::size_t count) const {
    if (product <= 0 || count < 2) return 0;
    const float cosine_squared = std::min(1.0F, product * product / (square * o_squared));
    return std::sqrt(o_squared * (1 - cosine_squared) / cosine_squared /
                     static_cast<float>(count - 1));
  }
};

// The byte of leading coordinate i, and where in it its bits begin.
struct InByte {
  std::size_t at;
  unsigned shift;
};
InByte nibble(std::size_t i) {
  return {i / 64 * 32 + i % 32, i % 64 < 32 ? 0U : 4U};
}
InByte crumb(std::size_t i) {
  return {i / 64 * 16 + i % 16, static_cast<unsigned>(i % 64 / 16 * 2)};
}

// A record's parts.
template <typename Byte>
struct Parts {
  Byte* high;
  Byte* signs;
  Byte* low;
  Byte* second;
  Byte* third;
  Parts(const CodeLayout& layout, Byte* record)
      : high(record + sizeof(Head)),
        signs(high + layout.lead / 2),
        low(record + layout.refine_offset() + sizeof(Refinement)),
        second(low + layout.low_bytes()),
        third(second + std::size_t{8} * layout.second_words) {}
};

unsigned bits_at(const std::byte* bytes, InByte place, unsigned mask) {
  return static_cast<unsigned>(bytes[place.at]) >> place.shift & mask;
}

/// What leading coordinate i stands for by a record: odd numbers, or the middle of what its high
/// bits tell apart.
float lead_level(const CodeLayout& layout, const Parts<const std::byte>& parts, std::size_t i) {
  const unsigned high = bits_at(parts.high, nibble(i), 15) << 2;
  return layout.low_bits ? static_cast<float>(high | bits_at(parts.low, crumb(i), 3)) - 31.5F
                         : static_cast<float>(high) - 30.0F;
}

/// The same of a coordinate of the tail by the code of its three bits, of which it may lack one or
/// two: the middle, or the mean of what a sign tells apart where coordinates lie like normal ones.
constexpr float kSignLevel = 1.5F;
float tail_level(const CodeLayout& layout, std::size_t i, unsigned code) {
  if (i / 64 < layout.third_words) return static_cast<float>(code) - 3.5F;
  if (i / 64 < layout.second_words) return static_cast<float>(code & 6) - 3.0F;
  return (code & 4) != 0 ? kSignLevel : -kSignLevel;
}

/// The three bits of a coordinate of the tail; those that the record lacks are zero.
unsigned tail_code(const CodeLayout& layout, const Parts<const std::byte>& parts, std::size_t i) {
  const InByte place{i / 8, static_cast<unsigned>(i % 8)};
  unsigned code = bits_at(parts.signs, place, 1) << 2;
  if (i / 64 < layout.second_words) code |= bits_at(parts.second, place, 1) << 1;
  if (i / 64 < layout.third_words) code |= bits_at(parts.third, place, 1);
  return code;
}

template <typename T>
T read(const std::byte* from) {
  T out;
  std::memcpy(&out, from, sizeof out);
  return out;
}

}  // namespace

void encode_record(const CodeLayout& layout, std::span<const float> turned,
                   std::span<std::byte> record) {
  std::fill(record.begin(), record.end(), std::byte{0});
  Head head{};
  Refinement fine{};
  const Parts<std::byte> parts(layout, record.data());

  const float* lead = turned.data();
  const float lead_squared = squares(lead, layout.lead);
  if (lead_squared > 0) {
    const float deviation = std::sqrt(lead_squared / static_cast<float>(layout.lead));
    const float scale = 4 / (kLeadStep * deviation);  // of the fine grid
    Fit coarse_fit, fine_fit;
    for (std::size_t i = 0; i < layout.lead; ++i) {
      const auto level = static_cast<int>(std::floor(lead[i] * scale)) + kLeadLevels / 2;
      const auto code = static_cast<unsigned>(std::clamp(level, 0, kLeadLevels - 1));
      coarse_fit.add(static_cast<float>(code / 4) - 7.5F, lead[i]);
      fine_fit.add(layout.low_bits ? static_cast<float>(code) - 31.5F
                                   : static_cast<float>(code & ~3U) - 30.0F,
                   lead[i]);
      const InByte h = nibble(i), l = crumb(i);
      parts.high[h.at] |= static_cast<std::byte>(code / 4 << h.shift);
      if (layout.low_bits) parts.low[l.at] |= static_cast<std::byte>((code & 3) << l.shift);
    }
    head.lead_factor = coarse_fit.factor(lead_squared);
    head.lead_factor_fine = fine_fit.factor(lead_squared);
    fine.lead_error = upper_half(fine_fit.error(lead_squared, layout.lead));
  }

  const float* tail = turned.data() + layout.lead;
  const float tail_squared = squares(tail, layout.tail);
  if (tail_squared > 0) {
    const float deviation = std::sqrt(tail_squared / static_cast<float>(layout.tail));
    const float scale = 1 / (kTailStep * deviation);
    Fit sign_fit, fine_fit;
    for (std::size_t i = 0; i < layout.tail; ++i) {
      const auto level = static_cast<int>(std::floor(tail[i] * scale)) + kTailLevels / 2;
      const auto code = static_cast<unsigned>(std::clamp(level, 0, kTailLevels - 1));
      sign_fit.add((code & 4) != 0 ? 1.0F : -1.0F, tail[i]);
      fine_fit.add(tail_level(layout, i, code), tail[i]);
      const auto bit = static_cast<std::byte>(1U << (i % 8));
      if ((code & 4) != 0) parts.signs[i / 8] |= bit;
      if (i / 64 < layout.second_words && (code & 2) != 0) parts.second[i / 8] |= bit;
      if (i / 64 < layout.third_words && (code & 1) != 0) parts.third[i / 8] |= bit;
    }
    head.tail_factor = sign_fit.factor(tail_squared);
    fine.tail_factor = fine_fit.factor(tail_squared);
    fine.tail_error = upper_half(fine_fit.error(tail_squared, layout.tail));
  }
  head.half_squared = (lead_squared + tail_squared) / 2;
  std::memcpy(record.data(), &head, sizeof head);
  std::memcpy(record.data() + layout.refine_offset(), &fine, sizeof fine);
}

void decode_record(const CodeLayout& layout, const std::byte* record, std::span<float> turned) {
  const auto head = read<Head>(record);
  const auto fine = read<Refinement>(record + layout.refine_offset());
  const Parts<const std::byte> parts(layout, record);
  for (std::size_t i = 0; i < layout.lead; ++i)
    turned[i] = head.lead_factor_fine * lead_level(layout, parts, i);
  for (std::size_t i = 0; i < layout.tail; ++i)
    turned[layout.lead + i] = fine.tail_factor * tail_level(layout, i, tail_code(layout, parts, i));
}

void shorten_record(const CodeLayout& from, const std::byte* record, const CodeLayout& to,
                    std::byte* out) {
  auto head = read<Head>(record);
  auto fine = read<Refinement>(record + from.refine_offset());
  const Parts<const std::byte> parts(from, record);
  // What the longer record tells of the vector, at its scale, takes the vector's place.
  const auto add = [](float error, const Fit& fit, float squared, std::size_t count) {
    const float more = fit.error(squared, count);
    return upper_half(std::sqrt(error * error + more * more));
  };
  if (from.low_bits && !to.low_bits) {
    Fit fit;
    float squared = 0;
    for (std::size_t i = 0; i < from.lead; ++i) {
      const float told = head.lead_factor_fine * lead_level(from, parts, i);
      fit.add(lead_level(to, parts, i), told);
      squared += told * told;
    }
    // That factor is known exactly: a quarter of the walk's, whose levels lie four apart.
    head.lead_factor_fine = head.lead_factor / 4;
    fine.lead_error = add(from_upper_half(fine.lead_error), fit, squared, from.lead);
  }
  if (from.second_words != to.second_words || from.third_words != to.third_words) {
    // What a coordinate stands for is up to its sign one of four numbers, by the bits behind the
    // sign, which are turned round below 0: how often each is there is counted.
    Fit fit;
    float squared = 0;
    for (std::size_t w = 0; w < from.tail_words(); ++w) {
      const std::size_t left = from.tail - w * 64;
      const std::uint64_t there = left >= 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << left) - 1;
      const auto below = ~read<std::uint64_t>(parts.signs + w * 8);
      const auto word = [&](const std::byte* plane, std::uint32_t words) {
        return w < words ? read<std::uint64_t>(plane + w * 8) ^ below : 0;
      };
      const std::uint64_t second = word(parts.second, from.second_words);
      const std::uint64_t third = word(parts.third, from.third_words);
      for (unsigned bits = 0; bits < 4; ++bits) {
        const auto count = static_cast<float>(
            std::popcount((bits & 2 ? second : ~second) & (bits & 1 ? third : ~third) & there));
        const float told = fine.tail_factor * tail_level(from, w * 64, 4 | bits);
        const float kept = tail_level(to, w * 64, 4 | bits);
        fit.product += count * kept * told;
        fit.square += count * kept * kept;
        squared += count * told * told;
      }
    }
    fine.tail_error = add(from_upper_half(fine.tail_error), fit, squared, from.tail);
    fine.tail_factor = to.second_words == 0 ? head.tail_factor / kSignLevel : fit.factor(squared);
  }
  const std::byte* const low = parts.low;
  const std::byte* const second = parts.second;
  const std::byte* const third = parts.third;
  std::memmove(out, record, from.refine_offset());
  std::memcpy(out, &head, sizeof head);
  const Parts<std::byte> kept(to, out);
  std::memmove(out + to.refine_offset(), &fine, sizeof fine);
  std::memmove(kept.low, low, to.low_bytes());
  std::memmove(kept.second, second, std::size_t{8} * to.second_words);
  std::memmove(kept.third, third, std::size_t{8} * to.third_words);
}

float half_squared_length(const std::byte* record) {
  return read<Head>(record).half_squared;
}

QueryCode::QueryCode(const CodeLayout& layout)
    : layout_(layout),
      lead_(layout.lead),
      tail_(64 * layout.tail_words()),
      planes_(kPlanes * layout.tail_words()) {}

void QueryCode::set(std::span<const float> turned) {
  const auto& kernels = simd::kernels();
  const auto quantise = [&](const float* values, std::size_t count, float top, std::int8_t* out,
                            float& step, float& sum) {
    const simd::Extent extent = kernels.extent(values, count);
    step = extent.largest / top;
    const float scale = extent.largest > 0 ? top / extent.largest : 0;
    sum = static_cast<float>(kernels.to_bytes(values, count, scale, out));
    return extent.squares;
  };
  constexpr auto kLargest = static_cast<float>((1 << (kPlanes - 1)) - 1);
  const float* lead = turned.data();
  const float* tail = lead + layout_.lead;
  const float lead_squared = quantise(lead, layout_.lead, 127, lead_.data(), lead_step_, lead_sum_);
  const float tail_squared =
      quantise(tail, layout_.tail, kLargest, tail_.data(), tail_step_, tail_sum_);
  const auto sum_of = [&](std::size_t begin, std::size_t end) {
    return static_cast<float>(
        std::accumulate(tail_.data() + 64 * begin, tail_.data() + 64 * end, std::int32_t{0}));
  };
  tail_shift_ = 3.5F * sum_of(0, layout_.third_words) +
                3.0F * sum_of(layout_.third_words, layout_.second_words) +
                kSignLevel * sum_of(layout_.second_words, layout_.tail_words());
  plane_count_ = kPlanes;
  dropped_ = kDropped;
  kernels.to_planes(tail_.data(), layout_.tail_words(), kPlanes, planes_.data());
  lead_length_ = std::sqrt(lead_squared);
  tail_length_ = std::sqrt(tail_squared);
  squared_length_ = lead_squared + tail_squared;
}

void QueryCode::set_record(const std::byte* record) {
  const auto head = read<Head>(record);
  const auto fine = read<Refinement>(record + layout_.refine_offset());
  const Parts<const std::byte> parts(layout_, record);
  std::int32_t sum = 0;
  for (std::size_t i = 0; i < layout_.lead; ++i) {
    lead_[i] = static_cast<std::int8_t>(2 * lead_level(layout_, parts, i));
    sum += lead_[i];
  }
  lead_sum_ = static_cast<float>(sum);
  lead_step_ = head.lead_factor_fine / 2;

  // Twice what a coordinate stands for, in two's complement. That is 2c - 7 of a code c of three
  // bits: its highest bit is the inverse of the sign, the next the second bit, then the third and a
  // one; of two bits 2c - 6 (the third is zero): a one and a zero in their place. Of a sign alone
  // it is 3 or -3, 0011 or 1101.
  const std::size_t words = layout_.tail_words();
  plane_count_ = 4;
  dropped_ = 0;
  std::int32_t twice = 0;
  tail_shift_ = 0;
  for (std::size_t w = 0; w < words; ++w) {
    const bool has_third = w < layout_.third_words, has_second = w < layout_.second_words;
    const std::size_t left = layout_.tail - w * 64;
    const std::uint64_t there = left >= 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << left) - 1;
    const auto sign = read<std::uint64_t>(parts.signs + w * 8);
    planes_[w] = has_second && !has_third ? 0 : there;
    planes_[words + w] = sign;
    if (has_second) planes_[words + w] = there;
    if (has_third) planes_[words + w] = read<std::uint64_t>(parts.third + w * 8);
    planes_[2 * words + w] = has_second ? read<std::uint64_t>(parts.second + w * 8) : ~sign & there;
    planes_[3 * words + w] = ~sign & there;
    std::int32_t here = 0;
    for (std::size_t p = 0; p < plane_count_; ++p) {
      const int count = std::popcount(planes_[p * words + w]);
      here += (p + 1 == plane_count_ ? -count : count) * (1 << p);
    }
    twice += here;
    tail_shift_ += static_cast<float>(here) * (has_third ? 3.5F : has_second ? 3.0F : kSignLevel);
  }
  tail_sum_ = static_cast<float>(twice);
  tail_step_ = fine.tail_factor / 2;
  squared_length_ = 2 * head.half_squared;
  lead_length_ = tail_length_ = std::sqrt(squared_length_);
}

float QueryCode::walk(const std::byte* record) const {
  float nearness = 0;
  walk(std::span(&record, 1), std::span(&nearness, 1));
  return nearness;
}

void QueryCode::walk(std::span<const std::byte* const> records, std::span<float> nearness) const {
  const std::uint8_t* codes[kWalkMax];
  std::int32_t nibbles[kWalkMax], signs[kWalkMax];
  for (std::size_t i = 0; i < records.size(); ++i)
    codes[i] = reinterpret_cast<const std::uint8_t*>(records[i]) + sizeof(Head);
  const std::size_t words = layout_.tail_words();
  simd::kernels().dot_codes(codes, records.size(), lead_.data(), layout_.lead,
                            planes_.data() + dropped_ * words, plane_count_ - dropped_, words,
                            nibbles, signs);
  // Two planes left out are worth 1.5 a set bit on average, and half of the bits are set.
  const float twice_dropped = dropped_ == 0 ? 0 : 1.5F * static_cast<float>(layout_.tail);
  const auto scale = static_cast<float>(2 << dropped_);
  for (std::size_t i = 0; i < records.size(); ++i) {
    const auto head = read<Head>(records[i]);
    nearness[i] =
        head.lead_factor * lead_step_ * (static_cast<float>(nibbles[i]) - 7.5F * lead_sum_) +
        head.tail_factor * tail_step_ *
            (scale * static_cast<float>(signs[i]) + twice_dropped - tail_sum_) -
        head.half_squared;
  }
}

QueryCode::Estimate QueryCode::refine(const std::byte* record) const {
  const auto& kernels = simd::kernels();
  const auto head = read<Head>(record);
  const auto fine = read<Refinement>(record + layout_.refine_offset());
  const Parts<const std::byte> parts(layout_, record);
  const std::size_t words = layout_.tail_words();
  const auto bytes = [](const std::byte* codes) {
    return reinterpret_cast<const std::uint8_t*>(codes);
  };
  // Of the words [begin, end) of the tail, whose bits begin at `plane`.
  const auto dot = [&](const std::byte* plane, std::size_t begin, std::size_t end) {
    return begin == end
               ? 0
               : kernels.dot_planes(reinterpret_cast<const std::uint64_t*>(plane) + begin,
                                    planes_.data() + begin, plane_count_, end - begin, words);
  };
  const std::int32_t high = 4 * kernels.dot_nibbles(bytes(parts.high), lead_.data(), layout_.lead);
  // Above the lowest level.
  const float lead = layout_.low_bits
                         ? static_cast<float>(high + kernels.dot_crumbs(bytes(parts.low),
                                                                        lead_.data(), layout_.lead))
                         : static_cast<float>(high) + 1.5F * lead_sum_;
  const std::size_t second = layout_.second_words;
  std::int32_t tail = 0;
  if (second > 0)
    tail = 4 * dot(parts.signs, 0, second) + 2 * dot(parts.second, 0, second) +
           dot(parts.third, 0, layout_.third_words);
  if (second < words) tail += static_cast<int>(2 * kSignLevel) * dot(parts.signs, second, words);
  Estimate out;
  out.nearness = head.lead_factor_fine * lead_step_ * (lead - 31.5F * lead_sum_) +
                 fine.tail_factor * tail_step_ * (static_cast<float>(tail) - tail_shift_) -
                 head.half_squared;
  const float lead_error = from_upper_half(fine.lead_error) * lead_length_;
  const float tail_error = from_upper_half(fine.tail_error) * tail_length_;
  out.error = std::sqrt(lead_error * lead_error + tail_error * tail_error);
  return out;
}

}  // namespace similis::engine
