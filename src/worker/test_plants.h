#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

namespace similis {

/// What a planted file makes the tests' worker do.
enum class Plant : std::uint8_t {
  none,
  crash,
  abort,
  hang,
  touch_memory,
  allocate_at_once,
  leave,
  escape
};

inline constexpr std::string_view kPlantMark = "\xFF\xD8\xFF similis test plant ";

/// A file that is taken for a JPEG and carries a plant.
inline std::vector<std::byte> planted_file(Plant plant) {
  std::vector<std::byte> bytes(kPlantMark.size() + 1);
  std::memcpy(bytes.data(), kPlantMark.data(), kPlantMark.size());
  bytes.back() = static_cast<std::byte>(plant);
  return bytes;
}

inline Plant plant_of(std::span<const std::byte> bytes) {
  if (bytes.size() != kPlantMark.size() + 1 ||
      std::memcmp(bytes.data(), kPlantMark.data(), kPlantMark.size()) != 0) {
    return Plant::none;
  }
  return static_cast<Plant>(bytes.back());
}

}  // namespace similis
