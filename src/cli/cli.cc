#include "cli/cli.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <filesystem>

#include "cli/browser.h"
#include "cli/commands.h"
#include "cli/interrupt.h"
#include "cli/print.h"
#include "wire/archive.h"
#include "wire/error_table.h"

namespace similis::cli {
namespace {

/// CLI11's help, with an example under each command: footers hold them.
constexpr const char* kIndexExample = R"(Example:
  similis index ~/Pictures            index a folder, or bring it up to date
  similis index ~/Pictures --watch    and follow what changes in it
^C is safe at any moment; the same command goes on.)";

constexpr const char* kSearchExample = R"(Examples:
  similis search beach.jpg -k 20
  similis search id:412 --filter 'class = "tabby" and date >= 2024-01'
  similis search beach.jpg --paths | xargs -d '\n' cp -t found/
PICTURE is a file, - (standard input), or id:NUMBER.
Exit code: 0 good matches, 1 none, 4 the picture cannot be read.)";

constexpr const char* kServeExample = R"(Example:
  similis serve --listen 127.0.0.1:8420
The address that is printed holds a token of this start. Other addresses than
this machine's own need an API key: similis keys create NAME.)";

constexpr const char* kImportExample = R"(Examples:
  similis import holiday.zip          the pictures of an archive, as uploads
  similis import backup.tar -c photos what `similis export` wrote
A picture gets its folder's path in the archive as a tag. ^C is safe; the same
command goes on. Also POST /api/v1/collections/NAME/builds with the archive.)";

constexpr const char* kExportExample = R"(Examples:
  similis export backup.tar                 pictures, tags and embeddings
  similis export vectors.tar --no-pictures  for NumPy: embeddings/*.npy, rows/*.jsonl
It is a plain tar file; `similis import` takes it in again.)";

struct Parsed {
  GlobalOptions global;
  IndexOptions index;
  SearchOptions search;
  ImportOptions import_;
  ExportOptions export_;
  StatusOptions status;
  ServeOptions serve;
  bool serve_open = false;
  std::string job_id, job_action;
  std::string delete_collection;
  bool yes = false;
  std::string key_name, key_id;
  std::string model_folder;
  std::string shell;
  bool config_default = false;
  std::vector<std::string> bench_arguments;
};

using Command = std::function<Result<int>(Parsed&, const Hooks&, std::stop_token)>;

/// A command that asks the API: connects first.
template <typename Run>
Command with_session(Run run) {
  return [run](Parsed& parsed, const Hooks& hooks, std::stop_token stop) -> Result<int> {
    ASSIGN_OR_RETURN(Connection connection, hooks.connect(parsed.global, stop));
    Session session(parsed.global, std::move(connection.transport),
                    std::move(connection.default_collection));
    Context context;
    context.cancel = std::move(stop);
    session.set_context(context);
    return run(session, parsed, hooks);
  };
}

void add_global_options(CLI::App& app, GlobalOptions& global) {
  app.add_option("--data-dir", global.data_dir, "Where similis keeps its data (SIMILIS_DATA_DIR)")
      ->type_name("DIR");
  app.add_option("--config", global.config_file, "Read this configuration file")->type_name("FILE");
  app.add_flag("--json", global.json, "Answer in JSON");
  app.add_flag("--quiet,-q", global.quiet, "Print results and errors only");
  app.add_flag("--verbose,-v", global.verbose, "Also print what is being done");
}

/// One command: its parser and what to run when it was named.
struct Registered {
  CLI::App* app;
  Command run;
};

CLI::App* add_command(CLI::App& root, std::vector<Registered>& commands, Parsed& parsed,
                      const char* name, const char* description, Command run) {
  CLI::App* app = root.add_subcommand(name, description);
  add_global_options(*app, parsed.global);
  commands.push_back({app, std::move(run)});
  return app;
}

void add_index(CLI::App& root, std::vector<Registered>& commands, Parsed& parsed) {
  CLI::App* app = add_command(root, commands, parsed, "index",
                              "Index folders of pictures, or bring them up to date",
                              with_session([](Session& session, Parsed& p, const Hooks&) {
                                return run_index(session, p.index);
                              }));
  IndexOptions& o = parsed.index;
  app->add_option("DIR", o.folders, "Folders to index")->required()->type_name("");
  app->add_option("--collection,-c", o.collection, "Collection (SIMILIS_COLLECTION)")
      ->type_name("NAME");
  app->add_option("--model", o.model,
                  "Model of a new collection, with steps if wanted: NAME+grayscale")
      ->type_name("NAME");
  app->add_flag("--watch", o.watch, "Stay and follow changes");
  app->add_flag("--hidden", o.hidden, "Also files and folders that begin with a dot");
  app->add_flag("--retry-failed", o.retry_failed, "Also files that failed before");
  app->add_flag("--strict", o.strict, "Exit code 1 when a file failed");
  app->footer(kIndexExample);
}

void add_search(CLI::App& root, std::vector<Registered>& commands, Parsed& parsed) {
  CLI::App* app =
      add_command(root, commands, parsed, "search", "Find the pictures that look like one",
                  with_session([](Session& session, Parsed& p, const Hooks& hooks) {
                    return run_search(session, p.search, hooks);
                  }));
  SearchOptions& o = parsed.search;
  app->add_option("PICTURE", o.picture, "A file, - or id:NUMBER")->required()->type_name("");
  app->add_option("--collection,-c", o.collection, "Collection (SIMILIS_COLLECTION)")
      ->type_name("NAME");
  app->add_option("-k", o.k, "How many hits, 1 to 1000")
      ->type_name("N")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000));
  app->add_option("--filter", o.filter, "Only pictures that pass, e.g. 'class = \"tabby\"'")
      ->type_name("TEXT");
  app->add_option_function<double>(
         "--min-score", [&o](double score) { o.min_score = score; },
         "Cut-off instead of the model's")
      ->type_name("SCORE")
      ->check(CLI::Range(-1.0, 1.0));
  app->add_option("--crop", o.crop, "Search by a part of it, as shares of its size")
      ->type_name("X,Y,W,H");
  app->add_flag("--exclude-self", o.exclude_self, "Leave the picture itself out");
  app->add_flag("--collapse", o.collapse, "One hit for files of the same bytes");
  app->add_flag("--paths", o.paths, "Print paths only, one a line");
  app->add_flag("-0", o.zero, "Print paths only, each ended by a NUL");
  app->add_flag("--show", o.show, "Draw the pictures in the terminal");
  app->add_flag("--open", o.open, "Show the pictures in the browser");
  app->add_option("--html", o.html, "Write a page that shows them")->type_name("FILE");
  app->footer(kSearchExample);
}

void add_archives(CLI::App& root, std::vector<Registered>& commands, Parsed& parsed) {
  CLI::App* import = add_command(root, commands, parsed, "import",
                                 "Take in the pictures of an archive, or an exported collection",
                                 with_session([](Session& session, Parsed& p, const Hooks&) {
                                   return run_import(session, p.import_);
                                 }));
  import->add_option("ARCHIVE", parsed.import_.archives, "zip or tar files")
      ->required()
      ->type_name("");
  import
      ->add_option("--collection,-c", parsed.import_.collection, "Collection (SIMILIS_COLLECTION)")
      ->type_name("NAME");
  import->add_option("--model", parsed.import_.model, "Model of a new collection")
      ->type_name("NAME");
  import->footer(kImportExample);

  CLI::App* out = add_command(root, commands, parsed, "export",
                              "Write a collection to a tar file: pictures, tags, embeddings",
                              with_session([](Session& session, Parsed& p, const Hooks&) {
                                return run_export(session, p.export_);
                              }));
  out->add_option("FILE", parsed.export_.file, "The file to make")->required()->type_name("");
  out->add_option("--collection,-c", parsed.export_.collection, "Collection (SIMILIS_COLLECTION)")
      ->type_name("NAME");
  out->add_flag("--no-pictures", parsed.export_.no_pictures, "Leave the pictures' files out");
  out->footer(kExportExample);
}

/// Opens the address in the text that a server prints; the private page that leads there, or "". A
/// desktop without a browser is no reason not to serve.
std::filesystem::path show_page(const std::string& text) {
  const std::size_t begin = text.find("http");
  if (begin == std::string::npos) return {};
  auto page = open_address(text.substr(begin, text.find_first_of(" \n", begin) - begin));
  if (!page.ok()) print_err(error_text(page.error(), Terminal::of(STDERR_FILENO)));
  return page.ok() ? *page : std::filesystem::path();
}

void add_serve(CLI::App& root, std::vector<Registered>& commands, Parsed& parsed) {
  CLI::App* app =
      add_command(root, commands, parsed, "serve", "Serve the web page and the REST API",
                  [](Parsed& p, const Hooks& hooks, std::stop_token stop) -> Result<int> {
                    std::filesystem::path page;
                    const auto on_ready = [&](const std::string& text) {
                      if (!p.global.quiet) print_out(text);
                      if (p.serve_open) page = show_page(text);
                    };
                    const Status status = hooks.serve(p.global, p.serve, std::move(stop), on_ready);
                    std::error_code ignored;  // a page that is gone need not be removed
                    if (!page.empty()) std::filesystem::remove(page, ignored);
                    TRY(status);
                    return kExitOk;
                  });
  app->add_option("--listen", parsed.serve.listen, "Address and port (configured: 127.0.0.1:8420)")
      ->type_name("ADDRESS");
  app->add_option("--allow-host", parsed.serve.allow_hosts,
                  "A further name this server is called by")
      ->type_name("NAME");
  app->add_flag("--open", parsed.serve_open, "Show the page in the browser");
  app->footer(kServeExample);
}

void add_administration(CLI::App& root, std::vector<Registered>& commands, Parsed& parsed) {
  CLI::App* status =
      add_command(root, commands, parsed, "status", "Show what is indexed, and how it is doing",
                  with_session([](Session& session, Parsed& p, const Hooks&) {
                    return run_status(session, p.status);
                  }));
  status->add_option("--collection,-c", parsed.status.collection, "Only this collection")
      ->type_name("NAME");
  status->add_flag("--failures", parsed.status.failures,
                   "List the files that failed, with the reason");
  status->footer("Example:\n  similis status --failures");

  CLI::App* verify = add_command(
      root, commands, parsed, "verify", "Check every stored byte, mend what can be derived",
      with_session([](Session& session, Parsed&, const Hooks&) { return run_verify(session); }));
  verify->footer("Example:\n  similis verify\nExit code 1 when something was found.");

  CLI::App* jobs =
      add_command(root, commands, parsed, "jobs", "List jobs; pause, resume or cancel one",
                  with_session([](Session& session, Parsed& p, const Hooks&) {
                    return run_jobs(session, p.job_action, p.job_id);
                  }));
  for (const char* action : {"pause", "resume", "cancel"}) {
    CLI::App* sub = jobs->add_subcommand(action, std::string(action) + " a job");
    sub->add_option("ID", parsed.job_id, "The job's number")->required()->type_name("");
    sub->callback([&parsed, action] { parsed.job_action = action; });
  }
  jobs->require_subcommand(0, 1);
  jobs->footer("Example:\n  similis jobs cancel 17");

  CLI::App* collections =
      add_command(root, commands, parsed, "collections", "List collections, or delete one",
                  with_session([](Session& session, Parsed& p, const Hooks&) {
                    return run_collections(session, p.delete_collection, p.yes);
                  }));
  CLI::App* remove =
      collections->add_subcommand("delete", "Delete a collection; pictures in folders stay");
  remove->add_option("NAME", parsed.delete_collection, "The collection")->required()->type_name("");
  remove->add_flag("--yes", parsed.yes, "Do not ask");
  collections->require_subcommand(0, 1);
  collections->footer("Example:\n  similis collections delete holidays --yes");

  CLI::App* keys = root.add_subcommand("keys", "API keys for other machines and programs");
  keys->require_subcommand(1);
  CLI::App* create = add_command(*keys, commands, parsed, "create", "Make a key; it is shown once",
                                 with_session([](Session& session, Parsed& p, const Hooks&) {
                                   return run_keys_create(session, p.key_name);
                                 }));
  create->add_option("NAME", parsed.key_name, "What it is for")->required()->type_name("");
  add_command(
      *keys, commands, parsed, "list", "List keys",
      with_session([](Session& session, Parsed&, const Hooks&) { return run_keys_list(session); }));
  CLI::App* revoke = add_command(*keys, commands, parsed, "delete", "Withdraw a key",
                                 with_session([](Session& session, Parsed& p, const Hooks&) {
                                   return run_keys_delete(session, p.key_id);
                                 }));
  revoke->add_option("ID", parsed.key_id, "The key's number")->required()->type_name("");
  keys->footer("Example:\n  similis keys create 'photo frame'");

  CLI::App* models =
      add_command(root, commands, parsed, "models", "List models, or add one",
                  [](Parsed& p, const Hooks& hooks, std::stop_token stop) -> Result<int> {
                    if (p.model_folder.empty()) {
                      return with_session([](Session& session, Parsed&, const Hooks&) {
                        return run_models(session);
                      })(p, hooks, std::move(stop));
                    }
                    ASSIGN_OR_RETURN(const Json model, hooks.add_model(p.global, p.model_folder));
                    print_out(p.global.json ? wire::to_text(model, 2) + "\n"
                                            : "Added " + text_of(model, "name") + " " +
                                                  text_of(model, "version") + ".\n");
                    return kExitOk;
                  });
  CLI::App* add = models->add_subcommand("add", "Add a folder with model.onnx and card.toml");
  add->add_option("DIR", parsed.model_folder, "The model's folder")->required()->type_name("");
  models->require_subcommand(0, 1);
  models->footer("Example:\n  similis models add ./dinov2-small");
}

void add_local(CLI::App& root, std::vector<Registered>& commands, Parsed& parsed, bool has_bench) {
  CLI::App* config = add_command(
      root, commands, parsed, "config", "Show each setting, its value and where it comes from",
      [](Parsed& p, const Hooks& hooks, const std::stop_token&) -> Result<int> {
        if (p.config_default) return print_out(hooks.default_config()), kExitOk;
        ASSIGN_OR_RETURN(const Json values, hooks.config(p.global));
        return print_config(values, p.global, Terminal::of(1));
      });
  config->add_flag("--default", parsed.config_default, "Print the commented default file");
  config->footer("Example:\n  similis config --default > ~/.config/similis/config.toml");

  CLI::App* doctor = add_command(
      root, commands, parsed, "doctor", "Check this machine, and say what each finding costs",
      [](Parsed& p, const Hooks& hooks, std::stop_token stop) -> Result<int> {
        ASSIGN_OR_RETURN(const Json checks, hooks.doctor(p.global, std::move(stop)));
        return print_doctor(checks, p.global, Terminal::of(1));
      });
  doctor->footer("Example:\n  similis doctor");

  CLI::App* licenses =
      add_command(root, commands, parsed, "licenses", "Print the notices of all that is inside",
                  [](Parsed&, const Hooks& hooks, const std::stop_token&) -> Result<int> {
                    ASSIGN_OR_RETURN(const std::string text, hooks.licenses());
                    print_out(text);
                    return kExitOk;
                  });
  licenses->footer("Example:\n  similis licenses | less");

  CLI::App* completion = add_command(
      root, commands, parsed, "completion", "Print a completion script: bash, zsh or fish",
      [](Parsed& p, const Hooks& hooks, const std::stop_token&) -> Result<int> {
        ASSIGN_OR_RETURN(const std::string script,
                         completion_script(p.shell, static_cast<bool>(hooks.bench)));
        print_out(script);
        return kExitOk;
      });
  completion->add_option("SHELL", parsed.shell, "bash, zsh or fish")->required()->type_name("");
  completion->footer(
      "Example:\n  similis completion bash > ~/.local/share/bash-completion/completions/similis");

  if (!has_bench) return;
  CLI::App* bench =
      root.add_subcommand("bench", "Measure this machine: ingest, query, table, writes, filters");
  commands.push_back(
      {bench, [](Parsed& p, const Hooks& hooks, const std::stop_token&) -> Result<int> {
         return hooks.bench(p.bench_arguments);
       }});
  // All that follows is the program's own, its options and --help too: none may go to the root.
  bench->fallthrough(false);
  bench->prefix_command();
  bench->footer("Example:\n  similis bench ingest --help");
}

const Registered* chosen(const std::vector<Registered>& commands) {
  for (const Registered& command : commands)
    if (command.app->parsed()) return &command;
  return nullptr;
}

}  // namespace

int run(int argc, const char* const* argv, const Hooks& hooks) {
  const Interrupt interrupt;
  CLI::App app("Finds the pictures that look alike, on your own machine.", "similis");
  app.set_version_flag("--version", "similis " + hooks.version);
  app.require_subcommand(1);
  app.fallthrough();
  app.footer("Begin with:\n  similis index ~/Pictures\n  similis search PICTURE");
  app.failure_message(CLI::FailureMessage::simple);
  Parsed parsed;
  std::vector<Registered> commands;
  add_index(app, commands, parsed);
  add_search(app, commands, parsed);
  add_serve(app, commands, parsed);
  add_archives(app, commands, parsed);
  add_administration(app, commands, parsed);
  add_local(app, commands, parsed, static_cast<bool>(hooks.bench));
  const Terminal err = Terminal::of(2);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    if (e.get_exit_code() == 0)
      return app.exit(e) == 0 ? kExitOk : kExitUsage;  // --help, --version
    print_err(error_text(Error(ErrorCode::invalid_argument, e.what(),
                               "See similis --help, or --help after a command."),
                         err));
    return kExitUsage;
  }
  const Registered* command = chosen(commands);
  if (command == nullptr) return kExitUsage;
  parsed.bench_arguments = command->app->remaining();
  const auto guarded = [&]() -> Result<int> {
    try {
      return command->run(parsed, hooks, interrupt.token());
    } catch (const std::exception& e) {  // of a library: none of ours throws
      return Error(ErrorCode::internal, e.what());
    }
  };
  const auto result = guarded();
  if (result.ok()) return *result;
  if (interrupt.token().stop_requested()) return kExitInterrupted;
  if (parsed.global.json) {
    const Error& error = result.error();
    print_err(wire::to_text(Json{{"code", error_code_name(error.code)},
                                 {"detail", error.message},
                                 {"hint", error.hint}}) +
              "\n");
  } else {
    print_err(error_text(result.error(), err));
  }
  return exit_code(result.error().code);
}

}  // namespace similis::cli
