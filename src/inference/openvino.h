#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "inference/embedder.h"
#include "inference/model_card.h"

namespace similis {

enum class Precision : std::uint8_t {
  automatic,  // bf16 where the CPU has it, a self-test finds it true to f32, and it is faster; else
              // f32
  f32,
  bf16,  // refused where the CPU lacks it or the self-test fails
};

struct OpenVinoOptions {
  /// Threads for inference in all; 0: as many as the process may run on.
  std::size_t threads = 0;
  /// Pictures that run side by side when several wait, each on its share of the threads; 0: one a
  /// thread.
  std::size_t lanes = 0;
  /// What preferred_batch() tells bulk callers to gather; 0: four pictures a lane, at least 8.
  std::size_t batch = 0;
  Precision precision = Precision::automatic;
  /// Compiled models are kept here (made when absent), so that the next start need not compile;
  /// empty: nowhere. Whatever is wrong with a kept one (damaged, of another version or CPU) costs
  /// only its compilation.
  std::filesystem::path cache_dir;
};

/// How close a faster precision must come to f32 on the probe pictures, as a cosine.
inline constexpr double kSelfTestCosineMin = 0.999;

/// Runs models in this process on the CPU. The embedder starts `lanes` threads; what it needs
/// beyond a lone query is compiled at the first need. Errors: invalid_argument when the model
/// cannot be read, or does not fit its card, or the precision is refused; internal when the runtime
/// itself fails.
Result<std::unique_ptr<Embedder>> open_openvino(const ModelFolder& folder,
                                                const OpenVinoOptions& options);

/// "2026.4.1-…", for `similis doctor`.
std::string openvino_version();

}  // namespace similis
