#pragma once

#include <algorithm>
#include <cstddef>
#include <mutex>
#include <string>
#include <vector>

#include "base/error.h"
#include "core/image.h"

namespace similis {

/// What failed in a job whose failures have no rows in the database: kept by the process that does
/// the work. Safe from several threads.
class FailureLog {
 public:
  /// Of more, only the job's counter tells.
  static constexpr std::size_t kFailuresMax = 1000;

  /// `name` of a file that has no row.
  void add(std::string name, const Error& error) {
    ImageRow row;
    row.name = std::move(name);
    add(std::move(row), error);
  }
  void add(ImageRow row, const Error& error) {
    std::lock_guard lock(mutex_);
    if (rows_.size() >= kFailuresMax) return;
    row.state = RowState::failed;
    row.attempts = 1;
    row.error_code = error_code_name(error.code);
    row.error = error.message;
    row.error_hint = error.hint;
    rows_.push_back(std::move(row));
  }
  /// At most `limit` from `begin` on.
  [[nodiscard]] std::vector<ImageRow> part(std::size_t begin, std::size_t limit) const {
    std::lock_guard lock(mutex_);
    const std::size_t from = std::min(begin, rows_.size());
    const std::size_t to = from + std::min(limit, rows_.size() - from);
    return {rows_.begin() + static_cast<std::ptrdiff_t>(from),
            rows_.begin() + static_cast<std::ptrdiff_t>(to)};
  }

 private:
  mutable std::mutex mutex_;
  std::vector<ImageRow> rows_;
};

}  // namespace similis
