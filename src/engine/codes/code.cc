#include "engine/codes/code.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

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
        second(low + layout.lead / 4),
        third(second + 8 * layout.tail_words()) {}
  [[nodiscard]] unsigned lead_code(std::size_t i) const {
    const InByte h = nibble(i), l = crumb(i);
    return (static_cast<unsigned>(high[h.at]) >> h.shift & 15) << 2 |
           (static_cast<unsigned>(low[l.at]) >> l.shift & 3);
  }
};

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
      fine_fit.add(static_cast<float>(code) - 31.5F, lead[i]);
      const InByte h = nibble(i), l = crumb(i);
      parts.high[h.at] |= static_cast<std::byte>(code / 4 << h.shift);
      parts.low[l.at] |= static_cast<std::byte>((code & 3) << l.shift);
    }
    head.lead_factor = coarse_fit.factor(lead_squared);
    head.lead_factor_fine = fine_fit.factor(lead_squared);
    fine.lead_error = fine_fit.error(lead_squared, layout.lead);
  }

  const float* tail = turned.data() + layout.lead;
  const float tail_squared = squares(tail, layout.tail);
  if (tail_squared > 0) {
    const float deviation = std::sqrt(tail_squared / static_cast<float>(layout.tail));
    const float scale = 1 / (kTailStep * deviation);
    const std::size_t fine_count = std::size_t{64} * layout.fine_words;
    Fit sign_fit, fine_fit;
    for (std::size_t i = 0; i < layout.tail; ++i) {
      const auto level = static_cast<int>(std::floor(tail[i] * scale)) + kTailLevels / 2;
      const auto code = static_cast<unsigned>(std::clamp(level, 0, kTailLevels - 1));
      sign_fit.add((code & 4) != 0 ? 1.0F : -1.0F, tail[i]);
      // Without the last bit: the middle of what it tells apart.
      fine_fit.add(i < fine_count ? static_cast<float>(code) - 3.5F
                                  : static_cast<float>(code / 2 * 2) - 3.0F,
                   tail[i]);
      const auto bit = static_cast<std::byte>(1U << (i % 8));
      if ((code & 4) != 0) parts.signs[i / 8] |= bit;
      if ((code & 2) != 0) parts.second[i / 8] |= bit;
      if (i < fine_count && (code & 1) != 0) parts.third[i / 8] |= bit;
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
  const Parts<const std::byte> parts(layout, record);
  for (std::size_t i = 0; i < layout.lead; ++i)
    turned[i] = head.lead_factor_fine * (static_cast<float>(parts.lead_code(i)) - 31.5F);
  const std::size_t fine_count = std::size_t{64} * layout.fine_words;
  for (std::size_t i = 0; i < layout.tail; ++i) {
    const auto bit = [&](const std::byte* plane) {
      return static_cast<float>(static_cast<unsigned>(plane[i / 8]) >> (i % 8) & 1);
    };
    const float last = i < fine_count ? bit(parts.third) : 0.5F;
    turned[layout.lead + i] =
        fine.tail_factor * (4 * bit(parts.signs) + 2 * bit(parts.second) + last - 3.5F);
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
  rough_sum_ = 0;
  for (std::size_t i = std::size_t{64} * layout_.fine_words; i < layout_.tail; ++i)
    rough_sum_ += static_cast<float>(tail_[i]);
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
  const Parts<const std::byte> parts(layout_, record);
  std::int32_t sum = 0;
  for (std::size_t i = 0; i < layout_.lead; ++i) {
    lead_[i] = static_cast<std::int8_t>(2 * static_cast<int>(parts.lead_code(i)) - 63);
    sum += lead_[i];
  }
  lead_sum_ = static_cast<float>(sum);
  lead_step_ = head.lead_factor_fine / 2;

  // Twice what a coordinate stands for, 2c - 7 of a code c of three bits and 4c - 6 of one of two,
  // in two's complement: its highest bit is the inverse of the sign, the next the second bit; then
  // the third and a one, or a one and a zero.
  const std::size_t words = layout_.tail_words();
  plane_count_ = 4;
  dropped_ = 0;
  std::int32_t twice = 0, rough = 0;
  for (std::size_t w = 0; w < words; ++w) {
    const bool is_fine = w < layout_.fine_words;
    const std::size_t left = layout_.tail - w * 64;
    const std::uint64_t there = left >= 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << left) - 1;
    planes_[w] = is_fine ? there : 0;
    planes_[words + w] = is_fine ? read<std::uint64_t>(parts.third + w * 8) : there;
    planes_[2 * words + w] = read<std::uint64_t>(parts.second + w * 8);
    planes_[3 * words + w] = ~read<std::uint64_t>(parts.signs + w * 8) & there;
    std::int32_t here = 0;
    for (std::size_t p = 0; p < plane_count_; ++p) {
      const int count = std::popcount(planes_[p * words + w]);
      here += (p + 1 == plane_count_ ? -count : count) * (1 << p);
    }
    twice += here;
    if (!is_fine) rough += here;
  }
  tail_sum_ = static_cast<float>(twice);
  rough_sum_ = static_cast<float>(rough);
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
  // The query's planes lie `words` apart: of the third bits the rest of each is left out.
  const auto plane = [&](const std::byte* bits) {
    return kernels.dot_planes(reinterpret_cast<const std::uint64_t*>(bits), planes_.data(),
                              plane_count_, words);
  };
  const std::int32_t lead = 4 * kernels.dot_nibbles(bytes(parts.high), lead_.data(), layout_.lead) +
                            kernels.dot_crumbs(bytes(parts.low), lead_.data(), layout_.lead);
  std::int32_t third = 0;
  for (std::size_t p = 0; p < plane_count_ && layout_.fine_words > 0; ++p) {
    const std::int32_t count =
        kernels.dot_planes(reinterpret_cast<const std::uint64_t*>(parts.third),
                           planes_.data() + p * words, 1, layout_.fine_words);
    // A plane alone is the last one of its number, and so counts negative.
    third += (p + 1 == plane_count_ ? count : -count) * (1 << p);
  }
  const auto tail = static_cast<float>(4 * plane(parts.signs) + 2 * plane(parts.second) + third) +
                    rough_sum_ / 2 - 3.5F * tail_sum_;
  Estimate out;
  out.nearness =
      head.lead_factor_fine * lead_step_ * (static_cast<float>(lead) - 31.5F * lead_sum_) +
      fine.tail_factor * tail_step_ * tail - head.half_squared;
  const float lead_error = fine.lead_error * lead_length_;
  const float tail_error = fine.tail_error * tail_length_;
  out.error = std::sqrt(lead_error * lead_error + tail_error * tail_error);
  return out;
}

}  // namespace similis::engine
