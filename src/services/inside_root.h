#pragma once

#include <cstdint>
#include <string>

#include "base/file.h"
#include "base/result.h"

namespace similis {

/// A regular file, open for reading, with its facts of that moment.
struct OpenedFile {
  File file;
  std::int64_t size_bytes = 0;
  std::int64_t mtime_ns = 0;
};

/// Opens the picture file at `path`, as folder_walk lists it: a regular file that really lies in
/// the folder `root` (absolute, itself no link), be it through a link. What is looked at is the
/// opened file itself, so that nothing put in its place meanwhile is read instead; pipes and
/// devices are never opened for reading.
/// not_found when it is not there, or is none (any more); else as File::open.
Result<OpenedFile> open_inside(const std::string& path, const std::string& root);

/// The same of a file that really lies at `path` (absolute, without links): nothing is followed.
Result<OpenedFile> open_at(const std::string& path);

}  // namespace similis
