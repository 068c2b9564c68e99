#pragma once

#include <cstddef>
#include <functional>
#include <span>

namespace similis {

/// Called with a file's bytes before they are decoded. The product's worker has none; the tests'
/// worker crashes, hangs and hogs memory there.
using BeforeDecode = std::function<void(std::span<const std::byte>)>;

/// The decode worker's life: prepares the decoders, enters the sandbox, greets, and answers jobs
/// until the pool hangs up. Arguments as the pool gives them (see process.cc). The process' exit
/// status.
int run_worker(int argc, char** argv, const BeforeDecode& before_decode = {});

}  // namespace similis
