#pragma once

#include <cstddef>
#include <cstdint>

namespace similis::archive {

/// What similis-unpack says, over a stream socket: a kind, the payload's length (u32, little
/// endian), the payload. After `member` it waits for one byte, kTake or kPass. The side that
/// listens trusts nothing of it: a hostile archive may have taken the other over.
enum class Frame : std::uint8_t {
  ready = 1,  // payload: what the kernel refused of the sandbox, in words
  member,     // i64 size (-1: not known yet), i64 time in Unix seconds (-1: unknown), the name
  data,       // bytes of the member
  end,        // of the member
  too_large,  // of the member: there is more than may be read; its first bytes were sent
  broken,     // of the member: why, in words
  busy,       // at work, with nothing to say
  failed,     // u8 ErrorCode, then why the archive cannot be read on, in words; the last frame
  done,       // the last frame
};

inline constexpr std::uint8_t kTake = 1;
inline constexpr std::uint8_t kPass = 0;
inline constexpr std::size_t kHeadBytes = 5;
inline constexpr std::uint32_t kPayloadBytesMax = 1 << 20;

inline constexpr int kSocketFd = 3;
inline constexpr int kArchiveFd = 4;

}  // namespace similis::archive
