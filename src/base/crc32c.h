#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace similis {

/// CRC-32C (Castagnoli, reflected polynomial 0x82F63B78), as in iSCSI (RFC 3720 appendix B.4).
/// `crc` continues an earlier call: crc32c(b, crc32c(a)) == crc32c(a ++ b).
std::uint32_t crc32c(std::span<const std::byte> bytes, std::uint32_t crc = 0);

}  // namespace similis
