#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "worker/decoder.h"

namespace similis {

/// What pool and worker say to each other over a SOCK_SEQPACKET pair, one message a packet, fields
/// as in base/bytes.h. Pixels and encoded pictures lie in the arena, a memfd that both map, in the
/// order: tensors, thumbnail, preview. The pool trusts nothing a worker says: a hostile file may
/// have taken it over.
///
/// The file of a job travels as a descriptor beside the message.

inline constexpr std::uint32_t kWorkerProtocol = 1;
inline constexpr int kWorkerSocketFd = 3;
inline constexpr int kWorkerArenaFd = 4;
inline constexpr std::size_t kArenaBytes = std::size_t{32} << 20;
inline constexpr std::size_t kMessageBytesMax = std::size_t{16} << 10;
/// A worker that runs out of memory ends itself with this status.
inline constexpr int kExitOutOfMemory = 86;

/// A worker's first message: it is ready.
struct WorkerHello {
  std::uint32_t protocol = kWorkerProtocol;
  std::uint64_t anonymous_bytes = 0;  // resident, at rest
  std::string missing_sandbox;        // what the kernel refused, in words; "" when all is in place
};

struct JobMessage {
  std::uint64_t id = 0;
  std::uint64_t file_bytes = 0;
  std::string name;
  DecodeRequest request;
  DecodeLimits limits;
};

struct ReplyMessage {
  std::uint64_t id = 0;
  DecodeOutcome outcome;  // of a picture, the bytes were copied out of the arena
};

std::string to_bytes(const WorkerHello& hello);
std::string to_bytes(const JobMessage& job);
/// Puts the outcome's pixels into the arena. An outcome that does not fit becomes a failed one.
std::string to_bytes(ReplyMessage reply, std::span<std::byte> arena);

/// `corruption` on anything that was not written by the above.
Result<WorkerHello> read_hello(std::string_view bytes);
Result<JobMessage> read_job(std::string_view bytes);
/// Also `corruption` when the reply is not one to this request: other tensors, outputs nobody asked
/// for, lengths beyond the arena.
Result<ReplyMessage> read_reply(std::string_view bytes, std::span<const std::byte> arena,
                                const DecodeRequest& request);

}  // namespace similis
