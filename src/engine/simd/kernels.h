#pragma once

#include <string_view>
#include <vector>

#include "engine/simd/kernel_table.h"

namespace similis::engine::simd {

/// The best table this CPU runs, chosen at the first call.
/// SIMILIS_SIMD=scalar|avx2|avx512|avx512_vnni|neon forces one; a name this CPU or build lacks is
/// logged and ignored.
const Kernels& kernels();

/// Every table this CPU runs, best first; the scalar one is always the last.
std::vector<const Kernels*> available_kernels();

}  // namespace similis::engine::simd
