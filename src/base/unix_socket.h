#pragma once

#include <sys/types.h>

#include <filesystem>

#include "base/file.h"
#include "base/result.h"

namespace similis {

/// A listening Unix stream socket at `path`, mode 0600 from its first moment. What is left there of
/// an earlier process is replaced: the caller holds the lock that says there is none now.
/// Paths beyond the 107 bytes of sockaddr_un are reached through their folder's descriptor.
Result<File> listen_unix(const std::filesystem::path& path);

/// A connection to it. unavailable when nobody listens there.
Result<File> connect_unix(const std::filesystem::path& path);

/// The user id of the process at the other end.
Result<uid_t> peer_uid(int fd);

}  // namespace similis
