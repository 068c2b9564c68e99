#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "http/message.h"

namespace similis::http {

// What keeps a web site in the user's browser away from a server on the user's machine.

/// The host of "name:port", "1.2.3.4", "[::1]:80", in lower case without brackets and trailing dot;
/// "" when it is not one.
std::string host_of(std::string_view authority);

/// The Host header must name this machine: an IP address (a name that was rebound to us is not
/// one), localhost, or one of `allow_hosts`. invalid_argument when it is missing or malformed,
/// permission_denied when it is foreign.
Status check_host(const RequestHead& head, const std::vector<std::string>& allow_hosts);

/// A request made by a page of another origin is refused, reads too: permission_denied.
/// `is_page`: the target is part of the page's own shell, to which a link elsewhere may lead.
Status check_origin(const RequestHead& head, const std::vector<std::string>& allow_hosts,
                    bool is_page);

/// What an answer is for, which decides its security headers.
enum class Audience : std::uint8_t {
  page,  // a document or its parts
  api,   // JSON, events, text, pictures
};
void add_security_headers(Response& response, Audience audience);

}  // namespace similis::http
