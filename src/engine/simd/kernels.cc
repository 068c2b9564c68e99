#include "engine/simd/kernels.h"

#include <cstdlib>
#include <string>

#include "base/log.h"

namespace similis::engine::simd {
namespace {

const Kernels& choose() {
  const std::vector<const Kernels*> available = available_kernels();
  if (const char* forced = std::getenv("SIMILIS_SIMD"); forced != nullptr && *forced != '\0') {
    for (const Kernels* table : available)
      if (std::string_view(table->name) == forced) return *table;
    std::string names;
    for (const Kernels* table : available) names += std::string(" ") + table->name;
    log(LogLevel::warning, std::string("SIMILIS_SIMD=") + forced +
                               " is not available here and is ignored; this CPU runs:" + names);
  }
  return *available.front();
}

}  // namespace

std::vector<const Kernels*> available_kernels() {
  std::vector<const Kernels*> out;
#if defined(__x86_64__)
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                    __builtin_cpu_supports("f16c");
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") &&
                      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
  const bool vnni =
      avx512 && __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512vpopcntdq");
  if (vnni && avx512_vnni_kernels() != nullptr) out.push_back(avx512_vnni_kernels());
  if (avx512 && kAvx512Kernels != nullptr) out.push_back(kAvx512Kernels);
  if (avx2 && kAvx2Kernels != nullptr) out.push_back(kAvx2Kernels);
#endif
  if (kNeonKernels != nullptr) out.push_back(kNeonKernels);
  out.push_back(kScalarKernels);
  return out;
}

const Kernels& kernels() {
  static const Kernels& chosen = choose();
  return chosen;
}

}  // namespace similis::engine::simd
