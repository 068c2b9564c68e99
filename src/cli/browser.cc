#include "cli/browser.h"

#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <span>

#include "base/file.h"

namespace similis::cli {

Result<std::filesystem::path> temporary_page() {
  std::error_code error;
  const auto folder = std::filesystem::temp_directory_path(error);
  if (error) return errno_error(error.value(), "find", "the temporary folder");
  std::string pattern = (folder / "similis-XXXXXX.html").native();
  const int fd = ::mkstemps(pattern.data(), 5);
  if (fd < 0) return errno_error(errno, "make a file in", folder.native());
  ::close(fd);
  return std::filesystem::path(pattern);
}

Status open_in_browser(const std::string& file) {
  if (std::getenv("DISPLAY") == nullptr && std::getenv("WAYLAND_DISPLAY") == nullptr) {
    return Error(ErrorCode::unavailable, "there is no desktop to open a browser on",
                 "Open " + file + " yourself, or use --html FILE.");
  }
  std::string program = "xdg-open", argument = file;
  std::array<char*, 3> arguments{program.data(), argument.data(), nullptr};
  // This program blocks the signals that end it (see Interrupt); a browser must not inherit that.
  posix_spawnattr_t attributes;
  if (const int error = ::posix_spawnattr_init(&attributes); error != 0)
    return errno_error(error, "start", program);
  sigset_t none;
  ::sigemptyset(&none);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  pid_t child = 0;
  const int error =
      ::posix_spawnp(&child, program.c_str(), nullptr, &attributes, arguments.data(), environ);
  ::posix_spawnattr_destroy(&attributes);
  if (error != 0) return errno_error(error, "start", program);
  int status = 0;
  ::waitpid(child, &status, 0);
  if (status != 0) {
    return Error(ErrorCode::unavailable, "xdg-open could not open a browser",
                 "Open " + file + " yourself.");
  }
  return {};
}

Result<std::filesystem::path> open_address(std::string_view address) {
  ASSIGN_OR_RETURN(const auto page, temporary_page());
  const std::string text =
      "<!doctype html><meta charset=\"utf-8\"><title>similis</title>"
      "<meta http-equiv=\"refresh\" content=\"0; url=" +
      std::string(address) + "\">\n";
  Status status = publish_file(page, std::as_bytes(std::span(text)));
  if (status.ok()) status = open_in_browser(page.native());
  if (!status.ok()) {
    std::error_code ignored;
    std::filesystem::remove(page, ignored);
    return std::move(status).error();
  }
  return page;
}

}  // namespace similis::cli
