#include "inference/model_card.h"

#include <algorithm>
#include <charconv>
#include <sstream>

#include "base/file.h"
#include "base/hex.h"
#include "core/sha256.h"
#include "inference/toml_reader.h"

namespace similis {
namespace {

constexpr std::int64_t kCardFormat = 1;
constexpr std::uint64_t kCardBytesMax = 1 << 20;
constexpr std::uint64_t kLabelsBytesMax = 16 << 20;
constexpr std::uint32_t kTopClasses = 5;

bool is_model_word(std::string_view word) {
  if (word.empty() || word.size() > 64) return false;
  const auto alphanumeric = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  return alphanumeric(word[0]) && std::all_of(word.begin(), word.end(), [&](char c) {
           return alphanumeric(c) || c == '.' || c == '_' || c == '-';
         });
}

bool is_plain_file_name(std::string_view name) {
  return !name.empty() && name != "." && name != ".." && name.find('/') == std::string_view::npos &&
         name.find('\0') == std::string_view::npos;
}

bool is_sha256(std::string_view text) {
  return text.size() == 64 && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

void read_file_name(TomlReader& reader, std::string_view key, std::string& out) {
  const std::string before = out;
  reader.text(key, out);
  if (out != before && !is_plain_file_name(out)) {
    reader.fail(key, "must be the name of a file in the model's folder, without a path");
  }
}

void read_sha256(TomlReader& reader, std::string_view key, std::string& out) {
  reader.text(key, out);
  if (!out.empty() && !is_sha256(out)) {
    reader.fail(key, "must be 64 lower-case hexadecimal digits",
                "Leave it out and run `similis models add`.");
  }
}

Status read_model(const toml::table* table, const std::string& where, ModelCard& card) {
  TomlReader reader(table, where, "model.");
  read_file_name(reader, "file", card.file);
  read_sha256(reader, "sha256", card.sha256);
  read_file_name(reader, "data_file", card.data_file);
  read_sha256(reader, "data_sha256", card.data_sha256);
  if (!card.data_sha256.empty() && card.data_file.empty())
    reader.fail("data_sha256", "needs model.data_file");
  return reader.finish();
}

Status read_input(const toml::table* table, const std::string& where, ModelCard& card) {
  TomlReader reader(table, where, "input.");
  reader.text("name", card.input.name);
  std::int64_t width = 0, height = 0;
  reader.integer("width", width, 1, kTensorSideMaxPx, TomlReader::Need::required);
  reader.integer("height", height, 1, kTensorSideMaxPx, TomlReader::Need::required);
  Preprocess& steps = card.preprocess;
  steps.width_px = static_cast<int>(width);
  steps.height_px = static_cast<int>(height);

  using Fit = Preprocess::Fit;
  constexpr std::array kFits = {Fit::stretch, Fit::center_crop};
  steps.fit = kFits[reader.choice("fit", {"stretch", "center_crop"}, 0)];
  reader.number("crop_fraction", steps.crop_fraction, 0.01, 1.0);
  if (steps.crop_fraction != 1.0 && steps.fit != Fit::center_crop) {
    reader.fail("crop_fraction", "has a meaning only with input.fit = \"center_crop\"");
  }
  using Filter = Preprocess::Filter;
  constexpr std::array kFilters = {Filter::area, Filter::bilinear, Filter::bicubic};
  steps.filter = kFilters[reader.choice("filter", {"area", "bilinear", "bicubic"}, 0)];
  std::int64_t quality = 0;
  reader.integer("jpeg_quality", quality, 1, 100);
  if (quality != 0) steps.jpeg_quality = static_cast<int>(quality);
  reader.boolean("grayscale", steps.grayscale);
  reader.boolean("denoise", steps.denoise);

  card.input.channels_last = reader.choice("layout", {"nchw", "nhwc"}, 0) == 1;
  card.input.bgr = reader.choice("channels", {"rgb", "bgr"}, 0) == 1;
  reader.number("scale", card.input.scale, 1e-9, 1e9);
  reader.numbers3("mean", card.input.mean, -1e9, 1e9);
  reader.numbers3("std", card.input.std, 1e-9, 1e9);
  return reader.finish();
}

/// What pooling there is, given which tensors are named; checks that the two fit together.
void check_pooling(TomlReader& reader, ModelCard::Output& out, bool named) {
  using Kind = Pooling::Kind;
  if (out.embedding.empty() && out.feature_map.empty() && out.tokens.empty()) {
    return reader.fail("embedding", "is missing",
                       "Name one of output.embedding, output.feature_map, output.tokens.");
  }
  if (!out.feature_map.empty() && !out.tokens.empty()) {
    return reader.fail("tokens", "and output.feature_map exclude each other");
  }
  if (!named)
    out.pooling.kind = !out.embedding.empty() ? Kind::none
                       : !out.tokens.empty()  ? Kind::cls
                                              : Kind::avg;
  const Kind kind = out.pooling.kind;
  if (kind == Kind::none && out.embedding.empty()) {
    return reader.fail("pooling", "is \"none\", which needs output.embedding");
  }
  if (kind == Kind::cls && out.tokens.empty())
    reader.fail("pooling", "is \"cls\", which needs output.tokens");
  if (kind != Kind::none && out.feature_map.empty() && out.tokens.empty()) {
    reader.fail("pooling", "needs output.feature_map or output.tokens");
  }
}

Status read_output(const toml::table* table, const std::string& where, ModelCard& card) {
  TomlReader reader(table, where, "output.");
  ModelCard::Output& out = card.output;
  reader.text("embedding", out.embedding);
  reader.text("feature_map", out.feature_map);
  reader.text("tokens", out.tokens);
  reader.text("logits", out.logits);
  reader.text("probabilities", out.probabilities);
  using Kind = Pooling::Kind;
  // "gap" is what papers on CNNs call the same mean.
  constexpr std::array kKinds = {Kind::none, Kind::avg, Kind::avg, Kind::max, Kind::gem, Kind::cls};
  const std::size_t kind =
      reader.choice("pooling", {"none", "avg", "gap", "max", "gem", "cls"}, kKinds.size());
  if (kind < kKinds.size()) out.pooling.kind = kKinds[kind];
  check_pooling(reader, out, kind < kKinds.size());
  reader.number("gem_p", out.pooling.gem_p, 0.1, 100);
  std::int64_t prefix_tokens = out.pooling.prefix_tokens, dimensions = 0;
  reader.integer("prefix_tokens", prefix_tokens, 0, 1024);
  out.pooling.prefix_tokens = static_cast<std::uint32_t>(prefix_tokens);
  reader.integer("dimensions", dimensions, 1, kPcaDimensionsMax);
  out.dimensions = static_cast<std::uint32_t>(dimensions);
  read_file_name(reader, "labels", card.labels_file);
  read_file_name(reader, "pca", card.pca_file);
  if (!out.logits.empty() && !out.probabilities.empty()) {
    reader.fail("probabilities", "and output.logits exclude each other");
  }
  if (!card.labels_file.empty() && out.logits.empty() && out.probabilities.empty()) {
    reader.fail("labels", "needs output.logits or output.probabilities");
  }
  return reader.finish();
}

Status read_calibration(const toml::table* table, const std::string& where, Calibration& out) {
  TomlReader reader(table, where, "calibration.");
  double cut_off = out.cut_off, bar_from = out.bar_from;
  reader.number("cut_off", cut_off, -1, 1);
  reader.number("bar_from", bar_from, -1, 0.99);
  out.cut_off = static_cast<float>(cut_off);
  out.bar_from = static_cast<float>(bar_from);
  if (const toml::array* bands = reader.tables("bands")) {
    for (const toml::node& node : *bands) {
      TomlReader entry(node.as_table(), where, "calibration.bands.");
      ScoreBand band;
      double min_score = 2;
      entry.text("word", band.word, TomlReader::Need::required);
      entry.number("min_score", min_score, -1, 1);
      if (min_score > 1) entry.fail("min_score", "is missing");
      band.min_score = static_cast<float>(min_score);
      if (!out.bands.empty() && out.bands.back().min_score <= band.min_score) {
        entry.fail("min_score", "must fall from band to band");
      }
      reader.merge(entry.finish());
      out.bands.push_back(std::move(band));
    }
  }
  return reader.finish();
}

Result<toml::table> parse_toml(std::string_view text, std::string_view where) {
  toml::parse_result parsed = toml::parse(text, where);
  if (!parsed) {
    const toml::parse_error& error = parsed.error();
    return Error(ErrorCode::invalid_argument, std::string(where) + ":" +
                                                  std::to_string(error.source().begin.line) + ": " +
                                                  std::string(error.description()));
  }
  return std::move(parsed).table();
}

Result<std::vector<std::string>> read_labels(const std::filesystem::path& path) {
  ASSIGN_OR_RETURN(const std::string text, read_text_file(path, kLabelsBytesMax));
  std::vector<std::string> labels;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (!line.empty() && line.back() == '\r') line.pop_back();
    labels.push_back(std::move(line));
  }
  return labels;
}

/// The shortest digits that read back as the same number: the same text on every machine.
std::string exact(double value) {
  std::array<char, 32> buffer{};
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value).ptr;
  return std::string(buffer.data(), end);
}

std::string exact(const std::array<double, 3>& values) {
  return exact(values[0]) + "," + exact(values[1]) + "," + exact(values[2]);
}

enum class Hashes : std::uint8_t { must_be_stated, may_be_filled_in };

Status check_hash(const std::filesystem::path& path, std::string_view key, std::string& stated,
                  Hashes hashes) {
  if (stated.empty() && hashes == Hashes::must_be_stated) {
    return Error(
        ErrorCode::invalid_argument,
        (path.parent_path() / "card.toml").string() + " does not state " + std::string(key),
        "`similis models add " + path.parent_path().string() +
            "` computes it and installs the model.");
  }
  ASSIGN_OR_RETURN(const ContentHash hash, sha256_of_file(path));
  const std::string found = to_hex(hash);
  if (stated.empty()) stated = found;
  if (stated != found) {
    return Error(ErrorCode::corruption,
                 path.string() + " is not the file that its card describes: SHA-256 " + found +
                     ", expected " + stated,
                 "Fetch the file again; if it was replaced on purpose, take " + std::string(key) +
                     " out of the card and run `similis models add`.");
  }
  return {};
}

Result<ModelFolder> load(const std::filesystem::path& folder, Hashes hashes) {
  ModelFolder out;
  out.folder = folder;
  const std::filesystem::path card_path = folder / "card.toml";
  ASSIGN_OR_RETURN(const std::string text, read_text_file(card_path, kCardBytesMax));
  ASSIGN_OR_RETURN(out.card, parse_model_card(text, card_path.string()));
  ModelCard& card = out.card;
  TRY(check_hash(folder / card.file, "model.sha256", card.sha256, hashes));
  if (!card.data_file.empty())
    TRY(check_hash(folder / card.data_file, "model.data_sha256", card.data_sha256, hashes));
  if (!card.labels_file.empty()) {
    ASSIGN_OR_RETURN(out.labels, read_labels(folder / card.labels_file));
  }
  if (!card.pca_file.empty()) {
    ASSIGN_OR_RETURN(out.pca, read_pca(folder / card.pca_file));
  }
  ASSIGN_OR_RETURN(out.identity, model_identity(card, out.pca.digest));
  return out;
}

}  // namespace

Result<ModelCard> parse_model_card(std::string_view text, std::string_view where_view) {
  const std::string where(where_view);
  ASSIGN_OR_RETURN(const toml::table root, parse_toml(text, where));
  ModelCard card;
  TomlReader reader(&root, where, "");
  std::int64_t format = 0;
  reader.integer("card", format, 1, kCardFormat, TomlReader::Need::required);
  reader.text("name", card.name, TomlReader::Need::required);
  reader.text("version", card.version, TomlReader::Need::required);
  const std::string words = "must be lower-case letters, digits, '.', '_' and '-', at most 64";
  if (!card.name.empty() && !is_model_word(card.name)) reader.fail("name", words);
  if (!card.version.empty() && !is_model_word(card.version)) reader.fail("version", words);
  reader.text("description", card.description);
  reader.text("licence", card.licence);
  reader.text("source", card.source);
  reader.merge(read_model(reader.table("model"), where, card));
  reader.merge(read_input(reader.table("input"), where, card));
  reader.merge(read_output(reader.table("output"), where, card));
  reader.merge(read_calibration(reader.table("calibration"), where, card.calibration));
  TRY(reader.finish());
  return card;
}

Result<std::string> model_identity(const ModelCard& card, std::string_view pca_digest) {
  const Preprocess& p = card.preprocess;
  std::ostringstream text;
  text << "similis-model-identity 1\n"
       << "model " << card.sha256 << ' ' << card.data_sha256 << '\n'
       << "input " << card.input.name << ' ' << p.width_px << 'x' << p.height_px
       << (card.input.channels_last ? " nhwc" : " nchw") << (card.input.bgr ? " bgr" : " rgb")
       << ' ' << exact(card.input.scale) << ' ' << exact(card.input.mean) << ' '
       << exact(card.input.std) << '\n'
       << "preprocess " << static_cast<int>(p.fit) << ' ' << exact(p.crop_fraction) << ' '
       << static_cast<int>(p.filter) << ' ' << p.jpeg_quality.value_or(0) << ' ' << p.grayscale
       << ' ' << p.denoise << '\n'
       << "pooling " << pooling_name(card.output.pooling.kind);
  switch (card.output.pooling.kind) {
    case Pooling::Kind::none:
      text << ' ' << card.output.embedding;
      break;
    case Pooling::Kind::gem:
      text << ' ' << exact(card.output.pooling.gem_p);
      [[fallthrough]];
    case Pooling::Kind::avg:
    case Pooling::Kind::max:
    case Pooling::Kind::cls:
      text << ' ' << card.output.feature_map << ' ' << card.output.tokens << ' '
           << card.output.pooling.prefix_tokens;
  }
  text << "\npca " << pca_digest << '\n';
  ASSIGN_OR_RETURN(const ContentHash digest, sha256(text.str()));
  return to_hex(digest);
}

Result<ModelFolder> load_model_folder(const std::filesystem::path& folder) {
  return load(folder, Hashes::must_be_stated);
}

Result<ModelFolder> load_new_model_folder(const std::filesystem::path& folder) {
  return load(folder, Hashes::may_be_filled_in);
}

Result<std::string> completed_card_text(std::string_view text, const ModelCard& card) {
  ASSIGN_OR_RETURN(const ModelCard before, parse_model_card(text, "card.toml"));
  std::string for_model, for_output;
  if (before.sha256.empty()) for_model += "sha256 = \"" + card.sha256 + "\"\n";
  if (!card.data_file.empty() && before.data_sha256.empty()) {
    for_model += "data_sha256 = \"" + card.data_sha256 + "\"\n";
  }
  if (before.output.dimensions == 0 && card.output.dimensions != 0) {
    for_output += "dimensions = " + std::to_string(card.output.dimensions) + "\n";
  }
  // Line by line, so that comments and order stay as their writer left them.
  std::string out;
  std::istringstream lines{std::string(text)};
  for (std::string line; std::getline(lines, line);) {
    out += line + "\n";
    const std::string head = line.substr(0, line.find('#'));
    const auto is_header = [&head](std::string_view name) {
      const std::size_t begin = head.find_first_not_of(" \t");
      const std::size_t end = head.find_last_not_of(" \t\r");
      return begin != std::string::npos &&
             std::string_view(head).substr(begin, end - begin + 1) == name;
    };
    if (is_header("[model]")) out += std::exchange(for_model, {});
    if (is_header("[output]")) out += std::exchange(for_output, {});
  }
  if (!for_model.empty()) out += "\n[model]\n" + for_model;
  const Result<ModelCard> after = parse_model_card(out, "card.toml");
  if (!after || after->sha256 != card.sha256 || after->data_sha256 != card.data_sha256 ||
      !for_output.empty()) {
    return Error(ErrorCode::invalid_argument, "the card's hash could not be written into it",
                 "Write its tables as lines of their own: [model], [output].");
  }
  return out;
}

ModelInfo ModelFolder::info() const {
  ModelInfo info;
  info.name = card.name;
  info.version = card.version;
  info.identity = identity;
  info.model_sha256 = card.sha256;
  info.dimensions = card.output.dimensions;
  info.preprocess = card.preprocess;
  info.top_classes_max =
      card.output.logits.empty() && card.output.probabilities.empty() ? 0 : kTopClasses;
  info.labels = labels;
  info.calibration = card.calibration;
  info.licence = card.licence;
  info.source = card.source;
  return info;
}

}  // namespace similis
