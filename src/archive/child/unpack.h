#pragma once

namespace similis::archive {

/// The main of similis-unpack: reads the archive at kArchiveFd with libarchive, in a sandbox, and
/// tells of it at kSocketFd. Arguments: the parent's pid, the most bytes a member may have, the
/// most bytes of memory to take.
int run_unpack(int argc, char** argv);

}  // namespace similis::archive
