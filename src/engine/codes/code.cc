#include "engine/codes/code.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "engine/simd/kernels.h"

namespace similis::engine {
namespace {

// Steps of the grids in standard deviations of a coordinate. After a random rotation coordinates
// lie like normal ones: 4 bits with this step reach to 3.2 of them, so that the eight bits that
// refine them are not cut off; the tail's are the best uniform steps for 2 and 3 bits (Max 1960).
constexpr float kLeadStep = 0.40F;
constexpr float kTailStep[] = {0, 2.0F, 0.996F, 0.586F};
constexpr int kLeadLevels = 256;

struct Head {
  float lead_factor, tail_factor, half_squared, lead_factor_fine;
};
struct Refinement {
  float tail_factor, lead_error, tail_error;
  std::uint32_t zero;
};

float squares(const float* values, std::size_t count) {
  float sum = 0;
  for (std::size_t i = 0; i < count; ++i) sum += values[i] * values[i];
  return sum;
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

std::int32_t nibble_at(std::size_t i) {  // the byte of coordinate i
  return static_cast<std::int32_t>(i / 64 * 32 + i % 32);
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
  std::byte* const high = record.data() + sizeof(Head);
  std::byte* const signs = high + layout.lead / 2;
  std::byte* const low = record.data() + layout.refine_offset() + sizeof(Refinement);
  std::byte* const planes = low + layout.lead / 2;

  const float* lead = turned.data();
  const float lead_squared = squares(lead, layout.lead);
  if (lead_squared > 0) {
    const float deviation = std::sqrt(lead_squared / static_cast<float>(layout.lead));
    const float scale = 16 / (kLeadStep * deviation);  // of the fine grid
    Fit coarse_fit, fine_fit;
    for (std::size_t i = 0; i < layout.lead; ++i) {
      const auto level = static_cast<int>(std::floor(lead[i] * scale)) + kLeadLevels / 2;
      const auto code = static_cast<unsigned>(std::clamp(level, 0, kLeadLevels - 1));
      coarse_fit.add(static_cast<float>(code / 16) - 7.5F, lead[i]);
      fine_fit.add(static_cast<float>(code) - 127.5F, lead[i]);
      const unsigned shift = i % 64 < 32 ? 0 : 4;
      high[nibble_at(i)] |= static_cast<std::byte>(code / 16 << shift);
      low[nibble_at(i)] |= static_cast<std::byte>((code & 15) << shift);
    }
    head.lead_factor = coarse_fit.factor(lead_squared);
    head.lead_factor_fine = fine_fit.factor(lead_squared);
    fine.lead_error = fine_fit.error(lead_squared, layout.lead);
  }

  const float* tail = turned.data() + layout.lead;
  const float tail_squared = squares(tail, layout.tail);
  if (tail_squared > 0) {
    const int levels = 1 << layout.tail_bits;
    const float deviation = std::sqrt(tail_squared / static_cast<float>(layout.tail));
    const float scale = 1 / (kTailStep[layout.tail_bits] * deviation);
    const float middle = static_cast<float>(levels - 1) / 2;
    const std::size_t plane_bytes = 8 * layout.tail_words();
    Fit sign_fit, fine_fit;
    for (std::size_t i = 0; i < layout.tail; ++i) {
      // One bit: any step, the sign alone counts.
      const auto level = static_cast<int>(std::floor(tail[i] * scale)) + levels / 2;
      const auto code = static_cast<unsigned>(std::clamp(level, 0, levels - 1));
      const unsigned sign = code >> (layout.tail_bits - 1);
      sign_fit.add(sign != 0 ? 1.0F : -1.0F, tail[i]);
      fine_fit.add(static_cast<float>(code) - middle, tail[i]);
      const auto bit = static_cast<std::byte>(1U << (i % 8));
      if (sign != 0) signs[i / 8] |= bit;
      for (std::uint32_t p = 0; p + 1 < layout.tail_bits; ++p)
        if ((code >> (layout.tail_bits - 2 - p) & 1) != 0) planes[p * plane_bytes + i / 8] |= bit;
    }
    head.tail_factor = sign_fit.factor(tail_squared);
    fine.tail_factor = fine_fit.factor(tail_squared);
    fine.tail_error = fine_fit.error(tail_squared, layout.tail);
  }
  head.half_squared = (lead_squared + tail_squared) / 2;
  std::memcpy(record.data(), &head, sizeof head);
  std::memcpy(record.data() + layout.refine_offset(), &fine, sizeof fine);
}

void decode_record(const CodeLayout& layout, const std::byte* record, std::span<float> turned) {
  const auto head = read<Head>(record);
  const auto fine = read<Refinement>(record + layout.refine_offset());
  const std::byte* const high = record + sizeof(Head);
  const std::byte* const signs = high + layout.lead / 2;
  const std::byte* const low = record + layout.refine_offset() + sizeof(Refinement);
  const std::byte* const planes = low + layout.lead / 2;
  for (std::size_t i = 0; i < layout.lead; ++i) {
    const unsigned shift = i % 64 < 32 ? 0 : 4;
    const unsigned code = (static_cast<unsigned>(high[nibble_at(i)]) >> shift & 15) << 4 |
                          (static_cast<unsigned>(low[nibble_at(i)]) >> shift & 15);
    turned[i] = head.lead_factor_fine * (static_cast<float>(code) - 127.5F);
  }
  const float middle = static_cast<float>((1 << layout.tail_bits) - 1) / 2;
  const std::size_t plane_bytes = 8 * layout.tail_words();
  for (std::size_t i = 0; i < layout.tail; ++i) {
    const auto bit = [&](const std::byte* plane) {
      return static_cast<unsigned>(plane[i / 8]) >> (i % 8) & 1;
    };
    unsigned code = bit(signs);
    for (std::uint32_t p = 0; p + 1 < layout.tail_bits; ++p)
      code = code << 1 | bit(planes + p * plane_bytes);
    turned[layout.lead + i] = fine.tail_factor * (static_cast<float>(code) - middle);
  }
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
    float largest = 0;
    for (std::size_t i = 0; i < count; ++i) largest = std::max(largest, std::abs(values[i]));
    step = largest / top;
    const float scale = largest > 0 ? top / largest : 0;
    sum = static_cast<float>(kernels.to_bytes(values, count, scale, out));
  };
  constexpr auto kLargest = static_cast<float>((1 << (kPlanes - 1)) - 1);
  const float* lead = turned.data();
  const float* tail = lead + layout_.lead;
  quantise(lead, layout_.lead, 127, lead_.data(), lead_step_, lead_sum_);
  quantise(tail, layout_.tail, kLargest, tail_.data(), tail_step_, tail_sum_);
  plane_count_ = kPlanes;
  dropped_ = kDropped;
  kernels.to_planes(tail_.data(), layout_.tail_words(), kPlanes, planes_.data());
  const float lead_squared = squares(lead, layout_.lead);
  const float tail_squared = squares(tail, layout_.tail);
  lead_length_ = std::sqrt(lead_squared);
  tail_length_ = std::sqrt(tail_squared);
  squared_length_ = lead_squared + tail_squared;
}

void QueryCode::set_record(const std::byte* record) {
  const auto head = read<Head>(record);
  const auto fine = read<Refinement>(record + layout_.refine_offset());
  const std::byte* const high = record + sizeof(Head);
  const std::byte* const signs = high + layout_.lead / 2;
  const std::byte* const low = record + layout_.refine_offset() + sizeof(Refinement);
  const std::byte* const lower = low + layout_.lead / 2;
  std::int32_t sum = 0;
  for (std::size_t i = 0; i < layout_.lead; ++i) {
    const unsigned shift = i % 64 < 32 ? 0 : 4;
    const auto value =
        static_cast<int>((static_cast<unsigned>(high[nibble_at(i)]) >> shift & 15) << 4 |
                         (static_cast<unsigned>(low[nibble_at(i)]) >> shift & 15)) -
        128;
    lead_[i] = static_cast<std::int8_t>(std::max(value, -127));
    sum += lead_[i];
  }
  lead_sum_ = static_cast<float>(sum);
  lead_step_ = head.lead_factor_fine;

  // A code c of b bits stands for the odd number 2c - (2^b - 1): in two's complement its lowest bit
  // is one, the next are c's lower bits, and all above are the inverse of c's highest, its sign.
  const std::size_t words = layout_.tail_words();
  plane_count_ = layout_.tail_bits + 1;
  dropped_ = 0;
  std::int32_t twice = 0;
  for (std::size_t w = 0; w < words; ++w) {
    const std::size_t left = layout_.tail - w * 64;
    const std::uint64_t there = left >= 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << left) - 1;
    planes_[w] = there;
    for (std::uint32_t p = 0; p + 1 < layout_.tail_bits; ++p)  // the record's highest comes first
      planes_[(layout_.tail_bits - 1 - p) * words + w] =
          read<std::uint64_t>(lower + (p * words + w) * 8);
    planes_[layout_.tail_bits * words + w] = ~read<std::uint64_t>(signs + w * 8) & there;
    for (std::size_t p = 0; p < plane_count_; ++p) {
      const int count = std::popcount(planes_[p * words + w]);
      twice += (p + 1 == plane_count_ ? -count : count) * (1 << p);
    }
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
  const std::byte* const high = record + sizeof(Head);
  const std::byte* const low = record + layout_.refine_offset() + sizeof(Refinement);
  const std::size_t words = layout_.tail_words();
  const auto nibbles = [&](const std::byte* codes) {
    return kernels.dot_nibbles(reinterpret_cast<const std::uint8_t*>(codes), lead_.data(),
                               layout_.lead);
  };
  const auto plane = [&](const std::byte* bits) {
    return kernels.dot_planes(reinterpret_cast<const std::uint64_t*>(bits), planes_.data(),
                              plane_count_, words);
  };
  const auto lead = static_cast<float>(16 * nibbles(high) + nibbles(low)) - 127.5F * lead_sum_;
  std::int32_t tail = plane(high + layout_.lead / 2);
  for (std::uint32_t p = 0; p + 1 < layout_.tail_bits; ++p)
    tail = 2 * tail + plane(low + layout_.lead / 2 + p * words * 8);
  const float middle = static_cast<float>((1 << layout_.tail_bits) - 1) / 2;
  Estimate out;
  out.nearness = head.lead_factor_fine * lead_step_ * lead +
                 fine.tail_factor * tail_step_ * (static_cast<float>(tail) - middle * tail_sum_) -
                 head.half_squared;
  const float lead_error = fine.lead_error * lead_length_;
  const float tail_error = fine.tail_error * tail_length_;
  out.error = std::sqrt(lead_error * lead_error + tail_error * tail_error);
  return out;
}

}  // namespace similis::engine
