#pragma once

#include <exception>
#include <string>
#include <utility>

#include "base/error.h"
#include "base/result.h"

namespace similis::sql {

/// How code inside a transaction gives up: SOCI throws anyway, so one way out serves both. Caught
/// in Database::read and Database::write, where the transaction is rolled back; never leaves the
/// room.
class Failure final : public std::exception {
 public:
  explicit Failure(Error error) : error_(std::move(error)) {}
  [[nodiscard]] const char* what() const noexcept override { return error_.message.c_str(); }
  [[nodiscard]] const Error& error() const { return error_; }

 private:
  Error error_;
};

[[noreturn]] inline void fail(ErrorCode code, std::string message, std::string hint = {}) {
  throw Failure(Error(code, std::move(message), std::move(hint)));
}

inline void check(Status status) {
  if (!status.ok()) throw Failure(std::move(status).error());
}

template <typename T>
T check(Result<T> result) {
  if (!result.ok()) throw Failure(std::move(result).error());
  return std::move(result).value();
}

}  // namespace similis::sql
