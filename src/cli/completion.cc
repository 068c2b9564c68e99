#include <array>
#include <span>
#include <string_view>

#include "cli/commands.h"

namespace similis::cli {
namespace {

struct Word {
  std::string_view name;
  std::string_view options;
};

constexpr std::string_view kGlobal = "--data-dir --config --json --quiet --verbose --help";

/// Kept in step with the parser by a test that asks --help of every command.
constexpr std::array<Word, 16> kAllCommands{{
    {"index", "--collection --model --watch --hidden --retry-failed --strict"},
    {"search",
     "--collection -k --filter --min-score --crop --exclude-self --collapse --paths -0 --show "
     "--open --html"},
    {"serve", "--listen --allow-host --open"},
    {"status", "--collection --failures"},
    {"verify", ""},
    {"import", "--collection --model"},
    {"export", "--collection --no-pictures"},
    {"jobs", "pause resume cancel"},
    {"collections", "delete"},
    {"keys", "create list delete"},
    {"models", "add"},
    {"config", "--default"},
    {"doctor", ""},
    {"licenses", ""},
    {"completion", "bash zsh fish"},
    {"bench", "ingest query table writes filters"},
}};

/// The last, bench, is not everywhere.
std::span<const Word> commands_of(bool has_bench) {
  return std::span(kAllCommands).first(kAllCommands.size() - (has_bench ? 0 : 1));
}

std::string names(std::span<const Word> commands) {
  std::string out;
  for (const Word& command : commands) out += (out.empty() ? "" : " ") + std::string(command.name);
  return out;
}

std::string bash(std::span<const Word> commands) {
  std::string out = R"(# similis completion for bash
_similis() {
  local current="${COMP_WORDS[COMP_CWORD]}" words=""
  if [ "$COMP_CWORD" -eq 1 ]; then
    words=")" + names(commands) +
                    R"( --help --version"
  else
    case "${COMP_WORDS[1]}" in
)";
  for (const Word& command : commands) {
    out += "      " + std::string(command.name) + ") words=\"" + std::string(command.options) +
           "\" ;;\n";
  }
  out += "    esac\n    words=\"$words " + std::string(kGlobal) + R"("
  fi
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -o bashdefault -F _similis similis
)";
  return out;
}

std::string zsh(std::span<const Word> commands) {
  std::string out =
      "#compdef similis\n# similis completion for zsh\n_similis() {\n  if (( CURRENT == 2 )); "
      "then\n"
      "    compadd -- " +
      names(commands) + " --help --version\n    return\n  fi\n  case $words[2] in\n";
  for (const Word& command : commands) {
    if (!command.options.empty()) {
      out += "    " + std::string(command.name) + ") compadd -- " + std::string(command.options) +
             " ;;\n";
    }
  }
  out += "  esac\n  compadd -- " + std::string(kGlobal) + "\n  _files\n}\n_similis \"$@\"\n";
  return out;
}

std::string fish(std::span<const Word> commands) {
  std::string out = "# similis completion for fish\n";
  for (const Word& command : commands) {
    out += "complete -c similis -n __fish_use_subcommand -a " + std::string(command.name) + "\n";
    std::string_view rest = command.options;
    while (!rest.empty()) {
      const std::size_t end = rest.find(' ');
      const std::string_view word = rest.substr(0, end);
      rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
      const std::string kind = word.starts_with("--")  ? "-l " + std::string(word.substr(2))
                               : word.starts_with('-') ? "-s " + std::string(word.substr(1))
                                                       : "-a " + std::string(word);
      out += "complete -c similis -n '__fish_seen_subcommand_from " + std::string(command.name) +
             "' " + kind + "\n";
    }
  }
  for (const char* option : {"data-dir", "config", "json", "quiet", "verbose", "help"}) {
    out += std::string("complete -c similis -l ") + option + "\n";
  }
  return out;
}

}  // namespace

Result<std::string> completion_script(const std::string& shell, bool has_bench) {
  const std::span<const Word> commands = commands_of(has_bench);
  if (shell == "bash") return bash(commands);
  if (shell == "zsh") return zsh(commands);
  if (shell == "fish") return fish(commands);
  return Error(ErrorCode::invalid_argument, "there is no completion for \"" + shell + "\"",
               "Name bash, zsh or fish.");
}

}  // namespace similis::cli
