#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"

namespace similis {

/// A linear reduction learnt from a collection's embeddings: out = components * (in - mean);
/// whitening, where wanted, is already multiplied into the components.
///
/// File, little-endian: 8 bytes "SIMPCA1\n", u32 dimensions in, u32 dimensions out, f32 mean[in],
/// f32 components[out][in], u32 CRC-32C over all before it.
struct Pca {
  std::uint32_t dimensions_in = 0;
  std::uint32_t dimensions_out = 0;
  std::vector<float> mean;        // [in]
  std::vector<float> components;  // [out][in]
  std::string digest;             // SHA-256 (hex) of the file; "" when it was never read

  [[nodiscard]] bool empty() const { return dimensions_out == 0; }
  /// `in` has dimensions_in values, the answer dimensions_out. Sums in double.
  [[nodiscard]] std::vector<float> apply(std::span<const float> in) const;
};

inline constexpr std::uint32_t kPcaDimensionsMax = 65536;

/// corruption when the bytes are not such a file, whole, with finite values; otherwise as
/// read_file().
Result<Pca> read_pca(const std::filesystem::path& path);
/// Publishes the file (see publish_file()). invalid_argument when the sizes do not fit together.
Status write_pca(const std::filesystem::path& path, const Pca& pca);

}  // namespace similis
