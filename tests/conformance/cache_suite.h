#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>

#include "stores/cache/cache.h"

namespace similis {

struct CacheFactory {
  std::string name;
  std::function<std::unique_ptr<Cache>(std::int64_t bytes_max)> make;
};
inline void PrintTo(const CacheFactory& factory, std::ostream* out) {
  *out << factory.name;
}

/// What every cache does. A back end joins by INSTANTIATE_TEST_SUITE_P with its factory.
class CacheSuite : public testing::TestWithParam<CacheFactory> {
 protected:
  std::unique_ptr<Cache> make(std::int64_t bytes_max = 1 << 20) {
    return GetParam().make(bytes_max);
  }
  Context ctx_;
};

}  // namespace similis
