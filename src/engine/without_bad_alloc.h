#pragma once

#include <new>

#include "base/result.h"

namespace similis::engine {

/// What `make` returns, a Result; resource_exhausted when memory runs out midway.
template <typename Make>
auto without_bad_alloc(const Make& make) -> decltype(make()) {
  try {
    return make();
  } catch (const std::bad_alloc&) {
    return Error(ErrorCode::resource_exhausted, "out of memory");
  }
}

}  // namespace similis::engine
