#include "base/unix_socket.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

namespace similis {

namespace {

constexpr int kBacklog = 128;

/// Calls bind or connect on an address that names `path`.
template <typename Call>
Status with_address(const std::filesystem::path& path, const char* operation, Call call) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  File folder;
  std::string name = path.native();
  if (name.size() >= sizeof address.sun_path) {
    ASSIGN_OR_RETURN(folder, File::open(path.parent_path(), O_PATH | O_DIRECTORY));
    name = "/proc/self/fd/" + std::to_string(folder.fd()) + "/" + path.filename().native();
    if (name.size() >= sizeof address.sun_path) {
      return Error(ErrorCode::invalid_argument, "the socket's name is too long: " + path.native());
    }
  }
  std::memcpy(address.sun_path, name.c_str(), name.size() + 1);
  if (call(reinterpret_cast<const sockaddr*>(&address), socklen_t{sizeof address}) != 0) {
    return errno_error(errno, operation, path.native());
  }
  return {};
}

Result<File> stream_socket() {
  File file(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!file.is_open()) return errno_error(errno, "make a socket for", "similis.sock");
  return file;
}

}  // namespace

Result<File> listen_unix(const std::filesystem::path& path) {
  ASSIGN_OR_RETURN(File socket, stream_socket());
  // Linux gives the name the mode of the socket itself, so there is no moment with another.
  if (::fchmod(socket.fd(), 0600) != 0) return errno_error(errno, "protect", path.native());
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) {
    return errno_error(errno, "replace", path.native());
  }
  TRY(with_address(path, "listen on", [&](const sockaddr* address, socklen_t length) {
    return ::bind(socket.fd(), address, length);
  }));
  if (::listen(socket.fd(), kBacklog) != 0) return errno_error(errno, "listen on", path.native());
  return socket;
}

Result<File> connect_unix(const std::filesystem::path& path) {
  ASSIGN_OR_RETURN(File socket, stream_socket());
  const Status connected =
      with_address(path, "connect to", [&](const sockaddr* address, socklen_t length) {
        return ::connect(socket.fd(), address, length);
      });
  if (!connected.ok()) {
    const ErrorCode code = connected.error().code;
    if (code == ErrorCode::permission_denied || code == ErrorCode::invalid_argument) {
      return connected.error();
    }
    return Error(ErrorCode::unavailable, connected.error().message);
  }
  return socket;
}

Result<uid_t> peer_uid(int fd) {
  ucred peer{};
  socklen_t length = sizeof peer;
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0) {
    return errno_error(errno, "ask who is at", "the socket");
  }
  return peer.uid;
}

}  // namespace similis
