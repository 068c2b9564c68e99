#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "http/message.h"
#include "http/services.h"

namespace similis::http {

struct Deps;

/// The API and the page as one request handler without sockets: parses, calls one service, renders.
/// The socket server and the command line of a process without server both go through it.
class Router : public RequestHandler {
 public:
  /// Reads the page's files. Errors of StaticFiles::load.
  static Result<std::unique_ptr<Router>> create(const RouterServices& services,
                                                RouterOptions options);
  ~Router() override;

  /// Before serving: where the server can be reached ("http://127.0.0.1:8420"), for the status and
  /// the cookie's name.
  void set_address(std::string address, std::uint16_t port);

  std::unique_ptr<Exchange> open(RequestHead head) override;
  Response refuse(const Error& error, int status) override;

  /// Everything in one step, for callers that hold the whole request.
  Response handle(RequestHead head, RequestBody body, std::stop_token cancel = {});

  /// "GET /api/v1/jobs/{id}" for each route, in no order that matters.
  static std::vector<std::string> operations();

 private:
  explicit Router(std::unique_ptr<Deps> deps);
  std::unique_ptr<Deps> deps_;
};

}  // namespace similis::http
