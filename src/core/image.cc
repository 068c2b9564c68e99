#include "core/image.h"

namespace similis {

Attributes attributes_of(const ImageRow& row) {
  Attributes out;
  out.folder = row.folder_path;
  out.date = row.facts.taken_at ? *row.facts.taken_at : row.mtime_ns / 1'000'000'000;
  out.size_bytes = row.facts.size_bytes;
  out.width = row.facts.width;
  out.height = row.facts.height;
  out.tags = row.tags;
  if (!row.classes.empty() && row.classes.front().probability >= kClearClassProbability) {
    out.class_name = row.classes.front().name;
  }
  return out;
}

}  // namespace similis
