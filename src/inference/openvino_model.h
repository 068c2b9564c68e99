#pragma once

// OpenVINO's own types: for openvino*.cc only.
#include <cstddef>
#include <filesystem>
#include <openvino/openvino.hpp>
#include <string>
#include <vector>

#include "base/result.h"
#include "inference/model_card.h"
#include "inference/openvino.h"

namespace similis {

/// The process's one OpenVINO core: opening it loads the CPU plugin.
ov::Core& openvino_core();

struct CompileOptions {
  std::size_t threads = 1;
  std::size_t streams = 1;
  bool bf16 = false;
  std::filesystem::path cache_dir;
};

/// A model for one picture (batch 1, f32 in and out): input 0, output 0 is
/// OutputHead::vector_tensor, output 1 its class_tensor where the card names one. From the cache
/// when it is there.
Result<ov::CompiledModel> compile_folder(const ModelFolder& folder, const CompileOptions& options);

/// All that decides whether something kept for a compiled model may be used again.
std::string compiled_key(const ModelFolder& folder, const CompileOptions& options);

/// A shape without the batch.
std::vector<std::size_t> picture_shape(const ov::Output<const ov::Node>& port);

Error openvino_error(ErrorCode code, const std::string& what, const std::exception& caught);

/// Runs `call`, turning what OpenVINO throws into an Error of `code` with `what` in front.
template <typename Call>
auto catching(ErrorCode code, const std::string& what, Call&& call) -> decltype(call()) {
  try {
    return call();
  } catch (const std::exception& caught) {
    return openvino_error(code, what, caught);
  }
}

}  // namespace similis
