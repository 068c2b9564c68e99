#include "app/data_transport.h"

#include <chrono>
#include <thread>

#include "app/local_transport.h"
#include "app/system.h"
#include "http/server.h"
#include "wire/json.h"

namespace similis {
namespace {

using Clock = std::chrono::steady_clock;

/// How long a process that holds the lock may take to open its socket, or to end: it may have a
/// batch of pictures under way.
constexpr std::chrono::seconds kPatience{30};
/// How long a server may take to start again.
constexpr std::chrono::seconds kServerPatience{5};
/// How long a command that is done stays for requests of others. Below kPatience, for they wait.
constexpr std::chrono::seconds kGrace{10};
constexpr std::chrono::milliseconds kLookAgain{20};
/// Holders that may end under one request: more is no coincidence.
constexpr int kAttempts = 20;

/// What may be sent again when its answer got lost: all but what then says "not found", or makes a
/// second key.
bool is_repeatable(const ApiRequest& request) {
  return request.method != "DELETE" &&
         !(request.method == "POST" && request.target.starts_with("/api/v1/keys"));
}

}  // namespace

/// The system in this process, reachable by others through the socket.
struct DataTransport::Owned {
  Owned(std::unique_ptr<System> open, std::unique_ptr<http::Server> listening)
      : system(std::move(open)), local(system->router()), server(std::move(listening)) {}
  std::unique_ptr<System> system;
  LocalTransport local;
  std::unique_ptr<http::Server> server;  // ends before the router it asks

  static Result<std::unique_ptr<Owned>> make(DataDirectory directory, const Settings& settings,
                                             const std::string& version) {
    ASSIGN_OR_RETURN(
        auto system,
        System::open(std::move(directory), settings,
                     {.version = version, .command = {}, .start_token = {}, .web_folder = {}}));
    http::ServerOptions options;
    options.unix_socket = socket_path(settings.data_dir);
    options.limits.grace = kGrace;
    ASSIGN_OR_RETURN(auto server, http::Server::listen(options, system->router()));
    server->start();
    system->start_jobs(JobScope::asked_here);
    return std::make_unique<Owned>(std::move(system), std::move(server));
  }
};

DataTransport::DataTransport(const Settings& settings, std::string version)
    : settings_(settings),
      version_(std::move(version)),
      socket_(ServerPlace{
          .unix_socket = socket_path(settings.data_dir), .host = {}, .port = 0, .credential = {}}) {
}

DataTransport::~DataTransport() = default;

Result<std::unique_ptr<Transport>> DataTransport::open(const Context& ctx, const Settings& settings,
                                                       std::string version) {
  std::unique_ptr<DataTransport> transport(new DataTransport(settings, std::move(version)));
  TRY(transport->reach(ctx));
  return std::unique_ptr<Transport>(std::move(transport));
}

Status DataTransport::check_version(const ApiResponse& health) const {
  const Json body = Json::parse(health.body, nullptr, false);
  const std::string theirs =
      body.is_object() ? body.value("version", std::string("an older one")) : "unknown";
  if (theirs == version_) return {};
  return Error(
      ErrorCode::conflict,
      "the version of the process that works on " + settings_.data_dir.native() + " (process " +
          std::to_string(holder_.pid) + ") is " + theirs + ", of this program " + version_,
      "Stop that process and start it again with this program, for example similis serve.");
}

Status DataTransport::reach(const Context& ctx) {
  const LockHolder lost = holder_;
  const auto begin = Clock::now();
  ApiRequest probe;
  probe.target = "/healthz";
  for (;;) {
    TRY(ctx.check());
    const auto waited = Clock::now() - begin;
    if (lock_holder(settings_.data_dir)) {
      const auto answer = socket_.request(ctx.with_timeout(std::chrono::seconds(2)), probe);
      // What the lock says may be of an earlier holder before the socket answers.
      const auto holder = lock_holder(settings_.data_dir);
      if (answer.ok() && answer->status == 200 && holder) {
        holder_ = *holder;
        return check_version(*answer);
      }
    } else if (!lost.serves) {
      auto directory = DataDirectory::lock(settings_.data_dir, HolderKind::command);
      if (directory.ok()) {
        ASSIGN_OR_RETURN(owned_, Owned::make(*std::move(directory), settings_, version_));
        return {};
      }
      if (directory.error().code != ErrorCode::conflict) return std::move(directory).error();
    } else if (waited > kServerPatience) {
      return Error(ErrorCode::unavailable,
                   "the server (process " + std::to_string(lost.pid) + ") has ended",
                   "Start it again with similis serve, or repeat the command: it works without a "
                   "server, too.");
    }
    if (waited > kPatience) {
      const auto holder = lock_holder(settings_.data_dir);
      return Error(ErrorCode::conflict,
                   "the data directory " + settings_.data_dir.native() + " is in use by " +
                       holder.value_or(LockHolder{}).to_string() + ", which does not answer",
                   "Wait for it, or stop it.");
    }
    std::this_thread::sleep_for(kLookAgain);
  }
}

Result<ApiResponse> DataTransport::request(const Context& ctx, const ApiRequest& request) {
  for (int attempt = 1;; ++attempt) {
    if (owned_) return owned_->local.request(ctx, request);
    auto answer = socket_.request(ctx, request);
    if (answer.ok() || answer.error().code != ErrorCode::unavailable) return answer;
    if (attempt == kAttempts || (socket_.was_sent() && !is_repeatable(request))) return answer;
    TRY(reach(ctx));
  }
}

Result<ApiResponse> DataTransport::stream(
    const Context& ctx, const ApiRequest& request,
    const std::function<bool(const ServerSentEvent&)>& on_event) {
  bool begun = false;
  const auto seen = [&](const ServerSentEvent& event) {
    begun = true;
    return on_event(event);
  };
  for (int attempt = 1;; ++attempt) {
    if (owned_) return owned_->local.stream(ctx, request, on_event);
    auto answer = socket_.stream(ctx, request, seen);
    if (answer.ok() || answer.error().code != ErrorCode::unavailable) return answer;
    // One that breaks off is the caller's to take up again, who knows what has come.
    if (attempt == kAttempts || begun) return answer;
    TRY(reach(ctx));
  }
}

}  // namespace similis
