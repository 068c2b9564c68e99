#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace similis {

/// A few words for people: "Not found".
std::string_view error_title(ErrorCode code);

namespace wire {

/// An RFC 9457 problem: `application/problem+json`.
struct Problem {
  int status = 500;
  std::string title;
  std::string code;  // error_code_name
  std::string detail;
  std::string hint;  // "" when nothing can be advised
  std::string request_id;
};

/// `status` 0: the code's own.
std::string problem_json(const Error& error, std::string_view request_id, int status = 0);
/// The error that a problem tells of. An answer that is none (a proxy's page, nothing) becomes
/// `unavailable` for 502 to 504 and `internal` otherwise, with its status in the message.
Error error_from_problem(int status, std::string_view body);

}  // namespace wire
}  // namespace similis
