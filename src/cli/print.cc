#include "cli/print.h"

#include <algorithm>
#include <cstdio>

#include "cli/text.h"
#include "wire/archive.h"

namespace similis::cli {
namespace {

std::string as_sentence(std::string_view text) {
  std::string out(text);
  if (!out.empty() && std::string_view(".!?^\n").find(out.back()) == std::string_view::npos)
    out += '.';
  return out;
}

void append_wrapped(std::string& out, std::string_view line, std::size_t columns) {
  std::size_t used = 0;
  while (!line.empty()) {
    const std::size_t space = line.find(' ');
    const std::string_view word = line.substr(0, space);
    const std::size_t width = display_width(word);
    if (used > 0 && used + 1 + width > columns) {
      out += '\n';
      used = 0;
    } else if (used > 0) {
      out += ' ';
      ++used;
    }
    out += word;
    used += width;
    line.remove_prefix(space == std::string_view::npos ? line.size() : space + 1);
  }
}

}  // namespace

std::string wrapped(std::string_view text, std::size_t columns) {
  std::string out;
  while (true) {
    const std::size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    if (line.starts_with(' ')) {
      out += shorten_end(line, columns);
    } else {
      append_wrapped(out, line, columns);
    }
    if (end == std::string_view::npos) return out;
    out += '\n';
    text.remove_prefix(end + 1);
  }
}

std::string list_item(std::string_view text, std::size_t columns) {
  std::string lines;
  append_wrapped(lines, text, columns - std::min<std::size_t>(columns, 4));
  std::string out = "  ";
  for (const char c : lines) {
    out += c;
    if (c == '\n') out += "    ";
  }
  return out;
}

std::string error_text(const Error& error, const Terminal& terminal) {
  // Messages may quote file names; only our own line breaks (a filter's caret) are kept.
  std::string message;
  std::string_view rest = error.message;
  for (;;) {
    const std::size_t end = rest.find("\n  ");
    message += printable(rest.substr(0, end));
    if (end == std::string_view::npos) break;
    message += '\n';
    rest.remove_prefix(end + 1);
  }
  const bool shows_place = message.find('\n') != std::string::npos;
  std::string text = "similis: " + (shows_place ? message : as_sentence(message));
  if (!error.hint.empty()) text += (shows_place ? "\n" : " ") + as_sentence(printable(error.hint));
  return wrapped(text, terminal.columns) + "\n";
}

bool print_out(std::string_view text) {
  return std::fwrite(text.data(), 1, text.size(), stdout) == text.size() &&
         std::fflush(stdout) == 0;
}

void print_err(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stderr);
  std::fflush(stderr);
}

void print_json(const Json& answer) {
  print_out(wire::to_text(answer, 2) + "\n");
}

void print_json_line(const Json& answer) {
  print_out(wire::to_text(answer) + "\n");
}

}  // namespace similis::cli
