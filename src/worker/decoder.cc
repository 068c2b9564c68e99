#include "worker/decoder.h"

#include <utility>

namespace similis {

Result<DecodedPicture> picture_or_error(DecodeOutcome outcome) {
  if (auto* picture = std::get_if<DecodedPicture>(&outcome)) return std::move(*picture);
  if (auto* skipped = std::get_if<SkippedFile>(&outcome)) return not_a_picture_error(skipped->type);
  return std::get<Error>(std::move(outcome));
}

}  // namespace similis
