#include "wire/export_format.h"

#include <cstdio>

#include "base/hex.h"
#include "wire/archive.h"

namespace similis::wire {

namespace {

constexpr std::int64_t kFormat = 1;
constexpr std::size_t kLineBytesMax = 64 << 10;
constexpr std::string_view kRowsFolder = "rows/";
constexpr std::string_view kEmbeddingsFolder = "embeddings/";
/// NumPy's format wants the data to begin at a multiple of this.
constexpr std::size_t kNpyAlignment = 64;

std::string part_name(std::string_view folder, std::size_t part, const char* extension) {
  char number[32];
  std::snprintf(number, sizeof number, "%06zu.%s", part, extension);
  return std::string(folder) + number;
}

/// A field of bytes: as text, and in base64 beside it where they are not UTF-8.
void put_bytes(JsonWriter& writer, const std::string& name, const std::string& bytes) {
  writer.field(name.c_str(), display_text(bytes));
  if (!is_utf8(bytes)) writer.field((name + "_bytes").c_str(), base64_encode(bytes));
}

Error bad_line(std::size_t number, const std::string& why) {
  return {ErrorCode::corruption, "line " + std::to_string(number) + " " + why,
          "Export the collection again."};
}

bool is_file_name(std::string_view name) {
  return !name.empty() && name != "." && name != ".." &&
         name.find_first_of(std::string_view("/\0", 2)) == std::string_view::npos;
}

std::optional<std::string> read_bytes(const Json& row, const std::string& name) {
  const auto bytes = row.find(name + "_bytes");
  if (bytes != row.end() && bytes->is_string()) return base64_decode(bytes->get<std::string>());
  const auto text = row.find(name);
  if (text == row.end() || !text->is_string()) return std::nullopt;
  return text->get<std::string>();
}

Result<ExportedRow> read_row(std::string_view line, std::size_t number) {
  const Json json = Json::parse(line, nullptr, false);
  if (json.is_discarded() || !json.is_object()) return bad_line(number, "is not a JSON object");
  ExportedRow row;
  const auto name = read_bytes(json, "name");
  const auto hash = json.find("sha256");
  if (!name || hash == json.end() || !hash->is_string() ||
      !from_hex(hash->get<std::string>(), row.content_hash)) {
    return bad_line(number, "lacks name or sha256");
  }
  if (!is_file_name(*name)) return bad_line(number, "has a name that is no file's");
  row.name = *name;
  row.file = read_bytes(json, "file").value_or("");
  if (const auto tags = json.find("tags"); tags != json.end() && tags->is_array()) {
    for (const Json& tag : *tags) {
      if (!tag.is_string()) return bad_line(number, "has a tag that is not text");
      row.tags.push_back(tag.get<std::string>());
    }
  }
  return row;
}

}  // namespace

std::string rows_name(std::size_t part) {
  return part_name(kRowsFolder, part, "jsonl");
}

std::string embeddings_name(std::size_t part) {
  return part_name(kEmbeddingsFolder, part, "npy");
}

bool is_rows_name(std::string_view name) {
  return name.starts_with(kRowsFolder) && name.ends_with(".jsonl");
}

bool is_embeddings_name(std::string_view name) {
  return name.starts_with(kEmbeddingsFolder) && name.ends_with(".npy");
}

std::string exported_file_name(const ImageRow& row) {
  if (row.folder == 0) {
    const std::string name(is_file_name(row.name) ? std::string_view(row.name) : "picture");
    return "uploads/" + std::to_string(row.id) + "/" + name;
  }
  return "pictures" + row.folder_path + (row.folder_path.ends_with('/') ? "" : "/") + row.name;
}

std::string export_manifest(const Collection& collection, const IndexInfo& index,
                            std::int64_t pictures, UnixSeconds at) {
  JsonWriter model;
  model.field("name", index.model_name);
  model.field("version", index.model_version);
  model.field("identity", index.identity);
  model.field("dimensions", index.dimensions);
  JsonWriter writer;
  writer.field("similis_export", kFormat);
  writer.field("collection", collection.name);
  writer.time("exported_at", at);
  writer.field("pictures", pictures);
  writer.json["model"] = std::move(model.json);
  return to_text(writer.json, 2) + "\n";
}

Status check_export_manifest(std::string_view json) {
  const Json manifest = Json::parse(json, nullptr, false);
  const auto format = manifest.is_object() ? manifest.find("similis_export") : manifest.end();
  if (!manifest.is_object() || format == manifest.end() || !format->is_number_integer()) {
    return Error(ErrorCode::corruption,
                 "similis.json in the archive does not say which format it has",
                 "Export the collection again.");
  }
  if (format->get<std::int64_t>() <= kFormat) return {};
  return Error(ErrorCode::conflict, "the archive was exported by a newer similis",
               "Import it with that version.");
}

std::string export_row_line(const ImageRow& row, bool has_file) {
  JsonWriter writer;
  writer.id("id", row.id);
  if (has_file) {
    put_bytes(writer, "file", exported_file_name(row));
  }
  put_bytes(writer, "name", row.name);
  if (row.folder != 0) put_bytes(writer, "path", row.path());
  const PictureFacts& facts = row.facts;
  writer.field("sha256", to_hex(facts.content_hash));
  char hash[17];
  std::snprintf(hash, sizeof hash, "%016llx",
                static_cast<unsigned long long>(facts.perceptual_hash));
  writer.field("perceptual_hash", std::string(hash));
  writer.field("format", facts.format);
  writer.field("bytes", facts.size_bytes);
  writer.field("width", facts.width);
  writer.field("height", facts.height);
  writer.nullable_time("taken_at", facts.taken_at);
  writer.time("modified_at", row.mtime_ns / 1'000'000'000);
  writer.time("added_at", row.added_at);
  if (!facts.camera.empty()) writer.field("camera", facts.camera);
  if (facts.gps) {
    writer.json["gps"] = {{"latitude", facts.gps->latitude}, {"longitude", facts.gps->longitude}};
  }
  writer.field("tags", row.tags);
  Json classes = Json::array();
  for (const ClassScore& score : row.classes) {
    classes.push_back(
        {{"name", score.name}, {"probability", rounded(static_cast<double>(score.probability))}});
  }
  writer.json["classes"] = std::move(classes);
  return to_text(writer.json) + "\n";
}

Result<std::vector<ExportedRow>> read_export_rows(std::string_view lines) {
  std::vector<ExportedRow> rows;
  for (std::size_t number = 1; !lines.empty(); ++number) {
    const std::size_t end = lines.find('\n');
    const std::string_view line = lines.substr(0, end);
    lines.remove_prefix(end == std::string_view::npos ? lines.size() : end + 1);
    if (line.empty()) continue;
    if (rows.size() == kRowsPerPart || line.size() > kLineBytesMax) {
      return bad_line(number, "is one too many, or too long");
    }
    ASSIGN_OR_RETURN(ExportedRow row, read_row(line, number));
    rows.push_back(std::move(row));
  }
  return rows;
}

std::string npy_header(std::size_t rows, std::size_t columns) {
  std::string text = "{'descr': '<f4', 'fortran_order': False, 'shape': (" + std::to_string(rows) +
                     ", " + std::to_string(columns) + "), }";
  // Magic, version 1.0, and the length of what follows: 10 bytes.
  while ((10 + text.size() + 1) % kNpyAlignment != 0) text += ' ';
  text += '\n';
  std::string out("\x93NUMPY\x01\x00", 8);
  out += static_cast<char>(text.size() & 0xFF);
  out += static_cast<char>(text.size() >> 8);
  return out + text;
}

}  // namespace similis::wire
