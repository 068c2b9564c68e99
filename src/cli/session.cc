#include "cli/session.h"

#include <unistd.h>

#include <cstdio>

#include "core/collection.h"
#include "wire/archive.h"
#include "wire/text.h"

namespace similis::cli {

Session::Session(GlobalOptions options, std::unique_ptr<Transport> transport,
                 std::string default_collection)
    : options_(std::move(options)),
      transport_(std::move(transport)),
      default_collection_(std::move(default_collection)),
      out_(Terminal::of(STDOUT_FILENO)),
      err_(Terminal::of(STDERR_FILENO)) {}

Result<Json> Session::call(std::string_view method, const std::string& target, const Json* body) {
  ApiRequest request;
  request.method = std::string(method);
  request.target = target;
  if (body != nullptr) {
    request.headers.emplace_back("Content-Type", "application/json");
    request.body = wire::to_text(*body);
  }
  return call(request);
}

Result<Json> Session::call(const ApiRequest& request) {
  ASSIGN_OR_RETURN(const ApiResponse response, transport_->request(context_, request));
  if (response.status < 200 || response.status > 299) return error_of(response);
  if (response.body.empty()) return Json(nullptr);
  Json parsed = Json::parse(response.body, nullptr, false);
  if (parsed.is_discarded()) {
    return Error(ErrorCode::internal, "the server's answer to " + request.target + " is not JSON",
                 "Is it a similis server of this version?");
  }
  return parsed;
}

Result<std::string> Session::collection(const std::string& asked) {
  const std::string& stated = asked.empty() ? default_collection_ : asked;
  if (!stated.empty()) {
    TRY(check_collection_name(stated));  // it becomes part of an address
    return stated;
  }
  ASSIGN_OR_RETURN(const Json answer, call("GET", "/api/v1/collections"));
  std::vector<std::string> names;
  for (const Json& collection : answer["collections"]) names.push_back(text_of(collection, "name"));
  if (names.size() == 1) return names.front();
  std::string list;
  for (const std::string& name : names) {
    if (name == "pictures") return name;
    list += (list.empty() ? "" : ", ") + name;
  }
  if (names.empty()) {
    return Error(ErrorCode::conflict, "nothing is indexed yet",
                 "Index a folder first: similis index DIR.");
  }
  return Error(ErrorCode::invalid_argument, "there are several collections: " + list,
               "Name one with --collection.");
}

Result<std::string> Session::collection_to_fill(const std::string& asked) {
  auto found = collection(asked);
  if (!found.ok() && found.error().code == ErrorCode::conflict) return std::string("pictures");
  return found;
}

Error error_of(const ApiResponse& response) {
  const Json problem = Json::parse(response.body, nullptr, false);
  if (problem.is_discarded() || !problem.is_object() || !problem.contains("code")) {
    return {ErrorCode::internal,
            "the server answered with status " + std::to_string(response.status),
            "Is it a similis server of this version?"};
  }
  return {error_code_from_name(text_of(problem, "code")), text_of(problem, "detail"),
          text_of(problem, "hint")};
}

std::string text_of(const Json& object, const char* member) {
  if (!object.is_object()) return {};
  const auto it = object.find(member);
  return it != object.end() && it->is_string() ? it->get<std::string>() : std::string();
}

std::string path_of(const Json& object, const std::string& member) {
  const auto bytes = wire::base64_decode(text_of(object, (member + "_bytes").c_str()));
  return bytes && !bytes->empty() ? *bytes : text_of(object, member.c_str());
}

double number_of(const Json& object, const char* member, double otherwise) {
  if (!object.is_object()) return otherwise;
  const auto it = object.find(member);
  return it != object.end() && it->is_number() ? it->get<double>() : otherwise;
}

std::int64_t count_of(const Json& object, const char* member) {
  return static_cast<std::int64_t>(number_of(object, member));
}

std::string percent_encoded(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '.' || c == '_' || c == '~';
    if (plain) {
      out += c;
    } else {
      char escape[4];
      std::snprintf(escape, sizeof escape, "%%%02X",
                    static_cast<unsigned>(static_cast<unsigned char>(c)));
      out += escape;
    }
  }
  return out;
}

}  // namespace similis::cli
