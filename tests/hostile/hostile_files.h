#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "hostile/encode.h"

namespace similis::hostile {

/// What must become of a file.
enum class Expect {
  picture,  // decoded
  failed,   // a failure with a reason
  skipped,  // not a picture: counted by type
  typed,    // any of these, but never silence: random damage may hit what nobody looks at
};

struct HostileFile {
  std::string name;  // unique; tells what is odd about it
  Bytes bytes;
  Expect expect = Expect::typed;
  std::string reason;  // a failure's message must contain this
};

/// More than 200 small files of every supported format and of what is not: whole ones in their
/// odder forms, truncated at many points, with random bits flipped (by `seed`), with headers that
/// promise 50,000 x 50,000 pixels, under wrong names, and strangers. The same files come for the
/// same seed on every machine with the same libraries.
std::vector<HostileFile> make_hostile_files(std::uint64_t seed);

}  // namespace similis::hostile
