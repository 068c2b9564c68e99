#pragma once

#include "base/error.h"

namespace similis {

/// The HTTP status an error answers with.
int http_status(ErrorCode code);

/// The exit code a command ends with: 2 usage, 3 environment, 4 a picture that cannot be read, 130
/// interrupted.
int exit_code(ErrorCode code);

inline constexpr int kExitOk = 0;
inline constexpr int kExitNoMatch = 1;  // also: work that was done with failures under --strict
inline constexpr int kExitUsage = 2;
inline constexpr int kExitEnvironment = 3;
inline constexpr int kExitUnreadable = 4;
inline constexpr int kExitInterrupted = 130;

}  // namespace similis
