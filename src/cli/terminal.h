#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace similis::cli {

/// What an output can show, found out once.
struct Terminal {
  bool is_terminal = false;
  bool colour = false;  // a terminal, and NO_COLOR is not set
  bool utf8 = true;
  std::size_t columns = 80;  // min(real or COLUMNS, 100)

  static Terminal of(int fd);

  [[nodiscard]] std::string bold(std::string_view text) const { return paint("1", text); }
  [[nodiscard]] std::string dim(std::string_view text) const { return paint("2", text); }
  [[nodiscard]] std::string red(std::string_view text) const { return paint("31", text); }
  [[nodiscard]] std::string green(std::string_view text) const { return paint("32", text); }
  [[nodiscard]] std::string yellow(std::string_view text) const { return paint("33", text); }
  [[nodiscard]] std::string blue(std::string_view text) const { return paint("34", text); }

  /// The middle dot of summaries: " · ", or " - " where the terminal is not UTF-8.
  [[nodiscard]] std::string_view dot() const { return utf8 ? " · " : " - "; }
  /// A horizontal rule.
  [[nodiscard]] std::string rule(std::size_t width) const;
  /// A bar `width` columns wide of which `share` (0..1) is filled, in eighths of a column; '#'
  /// where not UTF-8.
  [[nodiscard]] std::string bar(double share, std::size_t width) const;

 private:
  [[nodiscard]] std::string paint(std::string_view code, std::string_view text) const;
};

}  // namespace similis::cli
