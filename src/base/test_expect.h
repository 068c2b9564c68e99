#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <utility>

#include "base/result.h"

namespace similis {

/// The value, or a failed test and a value made up.
template <typename T>
T value_of(Result<T> result) {
  if (result.ok()) return std::move(result).value();
  ADD_FAILURE() << error_code_name(result.error().code) << ": " << result.error().message;
  return T{};
}

MATCHER(IsOk, "") {
  if (arg.ok()) return true;
  *result_listener << error_code_name(arg.error().code) << ": " << arg.error().message;
  return false;
}
MATCHER_P(FailsWith, code, "") {
  if (arg.ok()) return false;
  *result_listener << error_code_name(arg.error().code) << ": " << arg.error().message;
  return arg.error().code == code && !arg.error().message.empty();
}

}  // namespace similis
