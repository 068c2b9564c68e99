#include "http/auth.h"

#include <algorithm>

#include "http/secrets.h"

namespace similis::http {

namespace {

constexpr std::size_t kCredentialBytesMax = 200;

Error wrong_credential() {
  return {ErrorCode::unauthenticated, "the credential is not valid",
          "Open the address that `similis serve` printed, or send an API key made by `similis keys "
          "create`."};
}

bool cookie_safe(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  });
}

}  // namespace

Permissions permissions_of(const Principal& principal, bool keys_see_paths) {
  switch (principal.kind) {
    case Principal::Kind::owner:
      return {true, true, true};
    case Principal::Kind::token:
      return {true, false, false};
    case Principal::Kind::key:
      return {keys_see_paths, false, false};
    case Principal::Kind::nobody:
      break;
  }
  return {};
}

Authenticator::Authenticator(std::string start_token, KeyRing& keys)
    : start_token_(std::move(start_token)), keys_(keys) {}

void Authenticator::set_port(std::uint16_t port) {
  cookie_name_ = "similis_session_" + std::to_string(port);
}

Result<Principal> Authenticator::identify(const Context& ctx, const RequestHead& head) const {
  if (head.via != Via::tcp) return Principal{Principal::Kind::owner, {}};
  if (const std::string* header = head.headers.find("Authorization")) {
    constexpr std::string_view kScheme = "Bearer ";
    if (!equals_ignoring_case(std::string_view(*header).substr(0, kScheme.size()), kScheme)) {
      return Error(ErrorCode::unauthenticated, "only Bearer credentials are understood",
                   "Send `Authorization: Bearer ...` with a token or an API key.");
    }
    return check(ctx, std::string_view(*header).substr(kScheme.size()));
  }
  for (const auto& [name, value] : head.headers) {
    if (!equals_ignoring_case(name, "Cookie")) continue;
    if (const auto credential = cookie_value(value, cookie_name_)) return check(ctx, *credential);
  }
  return Principal{};
}

Result<Principal> Authenticator::check(const Context& ctx, std::string_view credential) const {
  if (credential.empty() || credential.size() > kCredentialBytesMax || !cookie_safe(credential)) {
    return wrong_credential();
  }
  if (!start_token_.empty() && equal_in_constant_time(credential, start_token_)) {
    return Principal{Principal::Kind::token, {}};
  }
  if (!credential.starts_with("sim_")) return wrong_credential();
  auto key = keys_.use(ctx, hash_of(credential));
  if (!key.ok()) {
    if (key.error().code == ErrorCode::unauthenticated) return wrong_credential();
    return std::move(key).error();
  }
  return Principal{Principal::Kind::key, key->name};
}

std::string Authenticator::session_cookie(std::string_view credential) const {
  // Not Secure: plain HTTP on loopback is the normal case, and a browser would drop it there.
  return cookie_name_ + "=" + std::string(credential) + "; Path=/; HttpOnly; SameSite=Strict";
}

std::optional<std::string> cookie_value(std::string_view header, std::string_view name) {
  while (!header.empty()) {
    const std::size_t end = std::min(header.find(';'), header.size());
    std::string_view pair = header.substr(0, end);
    header.remove_prefix(std::min(end + 1, header.size()));
    while (!pair.empty() && pair.front() == ' ') pair.remove_prefix(1);
    while (!pair.empty() && pair.back() == ' ') pair.remove_suffix(1);
    const std::size_t equals = pair.find('=');
    if (equals != std::string_view::npos && pair.substr(0, equals) == name) {
      return std::string(pair.substr(equals + 1));
    }
  }
  return std::nullopt;
}

}  // namespace similis::http
