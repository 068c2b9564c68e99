#pragma once

#include <memory>
#include <string>

#include "app/data_directory.h"
#include "client/socket_transport.h"
#include "config/settings.h"

namespace similis {

/// The command line's way to a data directory, whoever works on it: nobody, then this process does,
/// for its own command and for others that come meanwhile; else the process that holds the lock is
/// asked through its socket. When a command that held it has ended, this process takes its place
/// and asks again; a server that has gone is waited for, and its place is not taken.
class DataTransport final : public Transport {
 public:
  /// `version` is this program's. Errors: those of System::open; conflict when the holder is
  /// of another version or does not answer.
  static Result<std::unique_ptr<Transport>> open(const Context& ctx, const Settings& settings,
                                                 std::string version);
  ~DataTransport() override;

  Result<ApiResponse> request(const Context& ctx, const ApiRequest& request) override;
  Result<ApiResponse> stream(const Context& ctx, const ApiRequest& request,
                             const std::function<bool(const ServerSentEvent&)>& on_event) override;
  [[nodiscard]] bool is_remote() const override { return !owned_ && holder_.serves; }

 private:
  struct Owned;
  DataTransport(const Settings& settings, std::string version);

  /// Finds the holder, or becomes it.
  Status reach(const Context& ctx);
  Status check_version(const ApiResponse& health) const;

  const Settings settings_;
  const std::string version_;
  SocketTransport socket_;
  LockHolder holder_;             // as last reached through the socket
  std::unique_ptr<Owned> owned_;  // set once this process holds the lock
};

}  // namespace similis
