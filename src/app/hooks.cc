#include "app/hooks.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <mutex>

#include "app/data_directory.h"
#include "app/data_transport.h"
#include "app/doctor.h"
#include "app/model_store.h"
#include "app/places.h"
#include "app/system.h"
#include "app/workers.h"
#include "base/file.h"
#include "base/log.h"
#include "cli/text.h"
#include "config/config.h"
#include "http/secrets.h"
#include "http/server.h"
#include "wire/json.h"
#include "worker/decoder.h"

namespace similis {
namespace {

constexpr const char* kVersion = SIMILIS_VERSION;

Result<Config> load_config(const cli::GlobalOptions& options,
                           std::map<std::string, std::string, std::less<>> flags) {
  ConfigSources sources;
  if (!options.config_file.empty()) sources.file = options.config_file;
  if (!options.data_dir.empty()) flags["data_dir"] = options.data_dir;
  sources.flags = std::move(flags);
  sources.environment = process_environment();
  return Config::load(sources);
}

void start_log(const cli::GlobalOptions& options) {
  const LogLevel least = options.verbose ? LogLevel::debug : LogLevel::warning;
  set_log_sink([least](LogLevel level, std::string_view message) {
    if (level < least) return;
    static std::mutex mutex;
    const std::lock_guard lock(mutex);
    std::fprintf(stderr, "similis: %.*s\n", static_cast<int>(message.size()), message.data());
  });
}

Result<cli::Connection> connect(const cli::GlobalOptions& options, std::stop_token stop) {
  Context ctx;
  ctx.cancel = std::move(stop);
  start_log(options);
  ASSIGN_OR_RETURN(const Settings settings, load_settings(options));
  cli::Connection out;
  out.default_collection = settings.collection;
  ASSIGN_OR_RETURN(out.transport, DataTransport::open(ctx, settings, kVersion));
  return out;
}

/// What the lines to copy search in and with: a collection, and one of its pictures if it has one.
struct Example {
  std::string collection;
  std::string option;   // " --collection NAME" where the command line needs it
  std::string picture;  // quoted for a shell
};

/// Three lines to copy: the page, a search from the shell, a search through the API.
std::string ready_text(const http::Server& server, const std::string& token,
                       const Example& example) {
  const std::string url = server.url();
  std::string out;
  if (server.port_moved()) out += "The configured port is taken; this is the next free one.\n";
  out += "  page  " + url + "/?token=" + token + "\n";
  out += "  find  " + cli::command_name() + " search " + example.picture + example.option + "\n";
  out += "  curl  curl -T " + example.picture + " -X POST \\\n        -H 'Authorization: Bearer " +
         token + "' \\\n        '" + url + "/api/v1/collections/" + example.collection +
         "/search?k=5'\n";
  out += "Stop it with Ctrl-C.\n";
  return out;
}

Result<Example> example_of(System& system, const Settings& settings) {
  Example example{settings.collection.empty() ? "pictures" : settings.collection, "", "PICTURE"};
  ASSIGN_OR_RETURN(const auto collections, system.metadata().list_collections(Context{}));
  if (collections.empty()) return example;
  const auto named = std::find_if(collections.begin(), collections.end(), [&](const Collection& c) {
    return c.name == example.collection;
  });
  const Collection& chosen = named != collections.end() ? *named : collections.front();
  if (named == collections.end() && (collections.size() > 1 || !settings.collection.empty()))
    example.option = " --collection " + chosen.name;
  example.collection = chosen.name;
  // A row that cannot be read is no reason not to serve.
  const auto rows = system.metadata().scan_images(Context{}, chosen.id, RowState::ready, 0, 1);
  if (rows.ok() && !rows->empty() && rows->front().folder != 0)
    example.picture = cli::shell_word(rows->front().path());
  return example;
}

Status serve(const cli::GlobalOptions& options, const cli::ServeOptions& serve_options,
             const std::stop_token& stop, const std::function<void(const std::string&)>& on_ready) {
  start_log(options);
  std::map<std::string, std::string, std::less<>> flags;
  if (!serve_options.listen.empty()) flags["server.listen"] = serve_options.listen;
  ASSIGN_OR_RETURN(Settings settings, load_settings(options, std::move(flags)));
  settings.server.allow_hosts.insert(settings.server.allow_hosts.end(),
                                     serve_options.allow_hosts.begin(),
                                     serve_options.allow_hosts.end());
  ASSIGN_OR_RETURN(http::ListenAddress address, http::parse_listen(settings.server.listen));
  // Beyond this machine there is no token: whoever reads the terminal of a server is not whoever
  // may use it.
  const std::string token = http::is_loopback(address.host) ? http::random_secret() : "";
  // Only a port that was asked for here must be that very one.
  address.port_given = !serve_options.listen.empty() && address.port_given;

  std::filesystem::path web = share_folder() / "web";
  std::error_code error;
  if (!std::filesystem::exists(web / "index.html", error)) web.clear();
  ASSIGN_OR_RETURN(DataDirectory directory,
                   DataDirectory::lock(settings.data_dir, HolderKind::server));
  ASSIGN_OR_RETURN(auto system, System::open(std::move(directory), settings,
                                             {.version = kVersion,
                                              .command = cli::command_name(),
                                              .start_token = token,
                                              .web_folder = web}));
  ASSIGN_OR_RETURN(const auto keys, system->metadata().list_keys(Context{}));
  http::ServerOptions server_options;
  server_options.listen = address;
  server_options.unix_socket = socket_path(settings.data_dir);
  server_options.has_api_key = !keys.empty();
  server_options.limits.handler_threads = system->server_threads();
  ASSIGN_OR_RETURN(auto server, http::Server::listen(server_options, system->router()));
  system->router().set_address(server->url(), server->port());
  server->start();
  system->start_jobs(JobScope::all);
  system->warm_up();

  ASSIGN_OR_RETURN(const Example example, example_of(*system, settings));
  on_ready(token.empty() ? "Listening on " + server->url() + " for API keys.\n"
                         : ready_text(*server, token, example));
  std::mutex mutex;
  std::condition_variable_any stopped;
  std::unique_lock lock(mutex);
  stopped.wait(lock, stop, [] { return false; });
  server->stop();
  return {};
}

Result<Json> config_values(const cli::GlobalOptions& options) {
  ASSIGN_OR_RETURN(const Config config, load_config(options, {}));
  Json values = Json::array();
  for (const ConfigValue& value : config.describe()) {
    values.push_back({{"key", value.key},
                      {"value", value.value},
                      {"source", value.source},
                      {"description", value.doc}});
  }
  return Json{{"values", std::move(values)}};
}

Result<std::string> licenses() {
  const std::filesystem::path folder = share_folder() / "licenses";
  auto table = read_text_file(folder / "licenses.txt");
  auto notices = read_text_file(folder / "notices.txt");
  if (!table.ok() || !notices.ok()) {
    return Error(ErrorCode::not_found, "the notices are not at " + folder.native(),
                 "Install similis again.");
  }
  return *table + "\n" + *notices;
}

Result<cli::Pixels> pixels(const cli::GlobalOptions& options, std::span<const std::byte> picture,
                           std::int32_t side_max) {
  ASSIGN_OR_RETURN(const Settings settings, load_settings(options));
  ASSIGN_OR_RETURN(const auto workers, start_single_worker(settings));
  DecodeJob job;
  job.source = picture;
  // Facts first, for the size that keeps the aspect ratio.
  ASSIGN_OR_RETURN(auto facts, workers->decode(Context{}, job));
  ASSIGN_OR_RETURN(const DecodedPicture head, picture_or_error(std::move(facts)));
  const double scale =
      std::min(1.0, static_cast<double>(side_max) / std::max({head.width_px, head.height_px, 1}));
  Preprocess size;
  size.width_px = std::max(1, static_cast<int>(head.width_px * scale));
  size.height_px = std::max(1, static_cast<int>(head.height_px * scale));
  job.request.tensors = {size};
  ASSIGN_OR_RETURN(auto outcome, workers->decode(Context{}, job));
  ASSIGN_OR_RETURN(DecodedPicture decoded, picture_or_error(std::move(outcome)));
  RgbImage& image = decoded.tensors.front();
  return cli::Pixels{image.width, image.height, std::move(image.pixels)};
}

std::filesystem::path bench_program() {
  return program_path().parent_path() / "similis-bench";
}

/// This process becomes the program, which so gets ^C and every other signal itself.
Result<int> bench(const std::vector<std::string>& arguments) {
  std::string program = bench_program().native();
  std::vector<char*> argv{program.data()};
  std::vector<std::string> copies = arguments;
  for (std::string& argument : copies) argv.push_back(argument.data());
  argv.push_back(nullptr);
  sigset_t none;
  ::sigemptyset(&none);
  ::pthread_sigmask(SIG_SETMASK, &none, nullptr);
  ::execv(program.c_str(), argv.data());
  return errno_error(errno, "start", program);
}

}  // namespace

Result<Settings> load_settings(const cli::GlobalOptions& options,
                               std::map<std::string, std::string, std::less<>> flags) {
  ASSIGN_OR_RETURN(const Config config, load_config(options, std::move(flags)));
  return config.settings();
}

cli::Hooks make_hooks() {
  cli::Hooks hooks;
  hooks.version = kVersion;
  hooks.connect = connect;
  hooks.serve = serve;
  hooks.config = config_values;
  hooks.default_config = [] { return Config::default_file(); };
  hooks.doctor = [](const cli::GlobalOptions& options,
                    const std::stop_token& stop) -> Result<Json> {
    ASSIGN_OR_RETURN(const Settings settings, load_settings(options));
    return examine(settings, stop);
  };
  hooks.licenses = licenses;
  hooks.add_model = [](const cli::GlobalOptions& options,
                       const std::string& folder) -> Result<Json> {
    ASSIGN_OR_RETURN(const Settings settings, load_settings(options));
    ASSIGN_OR_RETURN(const auto info, install_model(settings, folder));
    return Json{{"name", info.name}, {"version", info.version}, {"dimensions", info.dimensions}};
  };
  hooks.pixels = pixels;
  std::error_code error;
  if (std::filesystem::exists(bench_program(), error)) hooks.bench = bench;
  return hooks;
}

}  // namespace similis
