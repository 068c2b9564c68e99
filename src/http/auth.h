#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "core/context.h"
#include "core/image.h"
#include "http/message.h"
#include "wire/documents.h"

namespace similis::http {

/// Where API keys are kept. Only hashes are stored; the application puts the metadata store behind
/// it.
class KeyRing {
 public:
  virtual ~KeyRing() = default;
  virtual Result<wire::KeyDoc> create(const Context& ctx, std::string_view name,
                                      std::string_view prefix, const ContentHash& hash) = 0;
  virtual Result<std::vector<wire::KeyDoc>> list(const Context& ctx) = 0;
  virtual Status remove(const Context& ctx, std::int64_t id) = 0;
  /// The key with this hash; unauthenticated when there is none.
  virtual Result<wire::KeyDoc> use(const Context& ctx, const ContentHash& hash) = 0;
};

/// Who asks.
struct Principal {
  enum class Kind : std::uint8_t {
    nobody,
    owner,  // in process, or over the Unix socket with the owner's user id
    token,  // the token of this start: a person at this machine's browser or shell
    key,    // an API key
  };
  Kind kind = Kind::nobody;
  std::string key_name;
};

/// What a principal may do beyond using the collections.
struct Permissions {
  bool see_paths = false;    // file paths of this machine in answers
  bool any_folder = false;   // index folders outside the configured roots
  bool manage_keys = false;  // and whatever else only the owner does
};
Permissions permissions_of(const Principal& principal, bool keys_see_paths);

/// Finds out who asks: a bearer credential, else the session's cookie.
class Authenticator {
 public:
  /// `start_token` "": there is none. `keys` outlives this.
  Authenticator(std::string start_token, KeyRing& keys);

  /// Before serving: the cookie's name carries the port, since a browser keeps one jar for all
  /// ports of a host.
  void set_port(std::uint16_t port);

  /// unauthenticated when a credential is wrong; a Principal of kind nobody when there is none.
  Result<Principal> identify(const Context& ctx, const RequestHead& head) const;
  /// The principal of a start token or an API key.
  Result<Principal> check(const Context& ctx, std::string_view credential) const;
  /// The Set-Cookie that carries a credential which check() has accepted.
  [[nodiscard]] std::string session_cookie(std::string_view credential) const;

 private:
  const std::string start_token_;
  KeyRing& keys_;
  std::string cookie_name_ = "similis_session";
};

/// The value of a cookie in a Cookie header.
std::optional<std::string> cookie_value(std::string_view header, std::string_view name);

}  // namespace similis::http
