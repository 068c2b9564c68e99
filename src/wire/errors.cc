#include "wire/errors.h"

#include <array>

#include "wire/archive.h"
#include "wire/error_table.h"

namespace similis {

namespace {

constexpr std::array kTitles = {
    "Invalid argument", "Unsupported media", "Unreadable media",   "Too large",
    "Not found",        "Already exists",    "Conflict",           "Gone",
    "Unauthenticated",  "Permission denied", "Resource exhausted", "Deadline exceeded",
    "Cancelled",        "Unavailable",       "Corruption",         "Input/output error",
    "Internal error",
};
static_assert(kTitles.size() == static_cast<std::size_t>(ErrorCode::internal) + 1);

}  // namespace

std::string_view error_title(ErrorCode code) {
  return kTitles[static_cast<std::size_t>(code)];
}

namespace wire {

template <typename A, Of<Problem> X>
void describe(A& a, X& x) {
  std::string type = "about:blank";
  a.defaulted("type", type);
  a.defaulted("title", x.title);
  a.defaulted("status", x.status);
  a.field("code", x.code);
  a.field("detail", x.detail);
  a.defaulted("hint", x.hint);
  a.defaulted("request_id", x.request_id);
}

std::string problem_json(const Error& error, std::string_view request_id, int status) {
  return write_document(Problem{.status = status != 0 ? status : http_status(error.code),
                                .title = std::string(error_title(error.code)),
                                .code = std::string(error_code_name(error.code)),
                                .detail = error.message,
                                .hint = error.hint,
                                .request_id = std::string(request_id)});
}

Error error_from_problem(int status, std::string_view body) {
  const auto problem = read_document<Problem>(body, JsonReader::Unknown::ignored);
  if (!problem.ok()) {
    const bool away = status >= 502 && status <= 504;
    return {away ? ErrorCode::unavailable : ErrorCode::internal,
            "the server answered status " + std::to_string(status) + " without saying why",
            "Look into the server's log."};
  }
  return {error_code_from_name(problem->code), problem->detail, problem->hint};
}

}  // namespace wire
}  // namespace similis
