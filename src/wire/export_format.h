#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "core/collection.h"
#include "core/image.h"

namespace similis::wire {

/// What an exported collection looks like inside its tar file (docs/export_format.md):
///   similis.json                what this is; the first member
///   rows/000001.jsonl           up to kRowsPerPart pictures, one JSON object a line
///   embeddings/000001.npy       their embeddings, float32 [rows, dimensions], L2-normalised, in
///   the
///                               order of the lines
///   pictures/... uploads/...    their files, named in the lines
///   rows/000002.jsonl ...
inline constexpr std::size_t kRowsPerPart = 1000;
inline constexpr std::string_view kManifestName = "similis.json";

/// "rows/000001.jsonl", "embeddings/000001.npy". Parts count from 1.
std::string rows_name(std::size_t part);
std::string embeddings_name(std::size_t part);
bool is_rows_name(std::string_view name);
bool is_embeddings_name(std::string_view name);

inline constexpr std::size_t kManifestBytesMax = 64 << 10;
inline constexpr std::size_t kRowsBytesMax = 16 << 20;  // of a part

/// Where a row's file lies in the archive: "pictures/home/me/cat.jpg" for /home/me/cat.jpg,
/// "uploads/412/cat.jpg" for an upload. Bytes.
std::string exported_file_name(const ImageRow& row);

std::string export_manifest(const Collection& collection, const IndexInfo& index,
                            std::int64_t pictures, UnixSeconds at);
/// conflict when it is of a later format than this build reads, corruption when it is none.
Status check_export_manifest(std::string_view json);

/// One line with its end. `has_file`: whether the picture's file follows.
std::string export_row_line(const ImageRow& row, bool has_file);

/// What an import makes use of.
struct ExportedRow {
  std::string file;  // its member's name, bytes; "" without one
  std::string name;  // bytes, without folders
  ContentHash content_hash{};
  std::vector<std::string> tags;
};
/// The lines of one part; corruption names the line that is not one, or says that there are more
/// than a part may have.
Result<std::vector<ExportedRow>> read_export_rows(std::string_view lines);

/// The header of a NumPy file (format 1.0) of little-endian float32 [rows, columns] in C order.
std::string npy_header(std::size_t rows, std::size_t columns);

}  // namespace similis::wire
