#include "http/guard.h"

#include <arpa/inet.h>

#include <algorithm>

#include "wire/text.h"

namespace similis::http {

namespace {

bool is_ip_address(const std::string& host) {
  in6_addr scratch;
  return inet_pton(AF_INET, host.c_str(), &scratch) == 1 ||
         inet_pton(AF_INET6, host.c_str(), &scratch) == 1;
}

bool is_allowed(const std::string& host, const std::vector<std::string>& allow_hosts) {
  return std::any_of(allow_hosts.begin(), allow_hosts.end(),
                     [&](const std::string& allowed) { return host_of(allowed) == host; });
}

Error foreign(const std::string& what) {
  return {ErrorCode::permission_denied, what,
          "Only this server's own page and programs may ask. For another host name start it with "
          "--allow-host NAME."};
}

}  // namespace

std::string host_of(std::string_view authority) {
  std::string_view host = authority;
  std::string_view port;
  if (host.starts_with('[')) {
    const std::size_t end = host.find(']');
    if (end == std::string_view::npos) return {};
    port = host.substr(end + 1);
    host = host.substr(1, end - 1);
    if (!port.empty() && port.front() != ':') return {};
    if (!port.empty()) port.remove_prefix(1);
  } else if (const std::size_t colon = host.find(':'); colon != std::string_view::npos) {
    port = host.substr(colon + 1);
    host = host.substr(0, colon);
  }
  if (!std::all_of(port.begin(), port.end(), [](char c) { return c >= '0' && c <= '9'; }))
    return {};
  if (host.ends_with('.')) host.remove_suffix(1);
  std::string out;
  for (char c : host) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    const bool ok = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
                    c == '_' || c == ':';
    if (!ok) return {};
    out += c;
  }
  return out;
}

Status check_host(const RequestHead& head, const std::vector<std::string>& allow_hosts) {
  if (head.headers.count("Host") != 1) {
    return Error(ErrorCode::invalid_argument, "the request must have one Host header");
  }
  const std::string host = host_of(head.headers.get("Host"));
  if (host.empty()) return Error(ErrorCode::invalid_argument, "the Host header is malformed");
  if (host == "localhost" || host.ends_with(".localhost") || is_ip_address(host) ||
      is_allowed(host, allow_hosts)) {
    return {};
  }
  return foreign("this server is not called " + host);
}

Status check_origin(const RequestHead& head, const std::vector<std::string>& allow_hosts,
                    bool is_page) {
  if (const std::string* origin = head.headers.find("Origin")) {
    const std::size_t scheme = origin->find("://");
    const std::string authority =
        scheme == std::string::npos ? std::string() : origin->substr(scheme + 3);
    const std::string host = host_of(authority);
    const bool ours = !host.empty() && (equals_ignoring_case(authority, head.headers.get("Host")) ||
                                        is_allowed(host, allow_hosts));
    if (!ours) return foreign("a page of " + wire::display_text(origin->substr(0, 200)) + " asked");
  }
  // Browsers send this with every request, and no page can forge it.
  const std::string_view site = head.headers.get("Sec-Fetch-Site");
  if (site.empty() || site == "same-origin" || site == "none") return {};
  const bool is_link = is_page && (head.method == "GET" || head.method == "HEAD") &&
                       head.headers.get("Sec-Fetch-Mode") == "navigate" &&
                       head.headers.get("Sec-Fetch-Dest") == "document";
  if (is_link) return {};
  return foreign("a page of another origin asked");
}

void add_security_headers(Response& response, Audience audience) {
  Headers& headers = response.headers;
  headers.set("X-Content-Type-Options", "nosniff");
  headers.set("Referrer-Policy", "no-referrer");
  headers.set("Cross-Origin-Resource-Policy", "same-origin");
  headers.set("Cross-Origin-Opener-Policy", "same-origin");
  headers.set("X-Frame-Options", "DENY");
  switch (audience) {
    case Audience::page:
      headers.set("Content-Security-Policy",
                  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: "
                  "data:; font-src 'self'; connect-src 'self'; manifest-src 'self'; form-action "
                  "'self'; base-uri 'none'; frame-ancestors 'none'");
      break;
    case Audience::api:
      headers.set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; sandbox");
      break;
  }
}

}  // namespace similis::http
