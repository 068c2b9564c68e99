#include "http/views.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "base/hex.h"
#include "core/filter.h"
#include "wire/text.h"

namespace similis::http {

namespace {

constexpr std::chrono::seconds kFactsLife{10};
constexpr std::size_t kFactsMax = 1000;
/// So much of the content hash in an address makes it another address when the picture changes.
constexpr std::size_t kVersionBytes = 8;

std::optional<std::string> bytes_if_needed(std::string_view path) {
  if (wire::is_utf8(path)) return std::nullopt;
  return wire::base64_encode(path);
}

std::string last_name(std::string_view path) {
  while (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
  return std::string(path.substr(path.find_last_of('/') + 1));
}

/// `folder` below the longest root that holds it: "" for the root itself; its own last name when no
/// root does (the collection's roots have changed meanwhile).
std::string relative_folder(const std::string& folder, const std::vector<std::string>& roots) {
  const std::string* best = nullptr;
  for (const std::string& root : roots) {
    if (is_under(folder, root) && (!best || root.size() > best->size())) best = &root;
  }
  if (!best) return wire::display_text(last_name(folder));
  std::string_view rest = std::string_view(folder).substr(best->size());
  while (rest.starts_with('/')) rest.remove_prefix(1);
  return wire::display_text(rest);
}

std::vector<wire::ClassDoc> class_docs(const std::vector<ClassScore>& classes) {
  std::vector<wire::ClassDoc> out;
  out.reserve(classes.size());
  for (const ClassScore& one : classes) out.push_back({one.name, one.probability});
  return out;
}

wire::CalibrationDoc calibration_doc(const Calibration& calibration) {
  wire::CalibrationDoc out{calibration.cut_off, calibration.bar_from, {}};
  for (const ScoreBand& band : calibration.bands) out.bands.push_back({band.word, band.min_score});
  return out;
}

std::optional<UnixSeconds> if_set(UnixSeconds time) {
  if (time == 0) return std::nullopt;
  return time;
}

void fill_image(wire::ImageDoc& doc, const ImageRow& row, const View& view) {
  doc.id = row.id;
  doc.name = wire::display_text(row.name);
  if (row.folder != 0) {
    doc.folder = relative_folder(row.folder_path, view.collection.roots);
    if (view.permissions.see_paths) {
      const std::string path = row.path();
      doc.path = wire::display_text(path);
      doc.path_bytes = bytes_if_needed(path);
    }
  }
  const Attributes attributes = attributes_of(row);
  doc.date = attributes.date;
  doc.width = row.facts.width;
  doc.height = row.facts.height;
  doc.bytes = row.facts.size_bytes;
  doc.format = row.facts.format;
  if (!attributes.class_name.empty()) {
    doc.class_name = wire::ClassDoc{attributes.class_name, row.classes.front().probability};
  }
  doc.tags = row.tags;
  const std::string base =
      "/api/v1/collections/" + view.collection.name + "/images/" + std::to_string(row.id);
  const std::string version = "?v=" + to_hex(row.facts.content_hash).substr(0, kVersionBytes);
  doc.thumbnail_url = base + "/thumbnail" + version;
  doc.preview_url = base + "/preview" + version;
  doc.file_url = base + "/file" + version;
}

}  // namespace

Result<std::shared_ptr<const CollectionFacts>> FactsCache::get(const Context& ctx,
                                                               std::string_view name) {
  const std::string key(name);
  {
    std::lock_guard lock(mutex_);
    const auto found = entries_.find(key);
    if (found != entries_.end() && found->second.until > Context::Clock::now()) {
      return found->second.facts;
    }
  }
  ASSIGN_OR_RETURN(const CollectionSummary summary, library_.get_collection(ctx, name));
  auto facts = std::make_shared<CollectionFacts>();
  facts->name = summary.collection.name;
  for (const Root& root : summary.roots) facts->roots.push_back(root.path);
  facts->calibration = calibration_doc(summary.calibration);
  // Before its first picture a collection has no model; the moment it gets one must not be missed.
  if (summary.collection.active_index == 0) return std::shared_ptr<const CollectionFacts>(facts);
  std::lock_guard lock(mutex_);
  if (entries_.size() >= kFactsMax) entries_.clear();
  entries_[key] = {facts, Context::Clock::now() + kFactsLife};
  return std::shared_ptr<const CollectionFacts>(facts);
}

void FactsCache::forget(std::string_view name) {
  std::lock_guard lock(mutex_);
  entries_.erase(std::string(name));
}

wire::ImageDoc image_doc(const ImageRow& row, const View& view) {
  wire::ImageDoc doc;
  fill_image(doc, row, view);
  return doc;
}

wire::ImageDetailDoc image_detail_doc(const ImageRow& row, const View& view) {
  wire::ImageDetailDoc doc;
  fill_image(doc, row, view);
  doc.classes = class_docs(row.classes);
  doc.sha256 = to_hex(row.facts.content_hash);
  if (!row.facts.camera.empty()) doc.camera = row.facts.camera;
  if (row.facts.gps) doc.gps = wire::GpsDoc{row.facts.gps->latitude, row.facts.gps->longitude};
  doc.added_at = row.added_at;
  return doc;
}

wire::FailureDoc failure_doc(const ImageRow& row, const View& view) {
  wire::FailureDoc doc;
  if (row.id != 0) doc.id = row.id;
  doc.name = wire::display_text(row.name);
  if (row.folder != 0) {
    doc.folder = relative_folder(row.folder_path, view.collection.roots);
    if (view.permissions.see_paths) {
      const std::string path = row.path();
      doc.path = wire::display_text(path);
      doc.path_bytes = bytes_if_needed(path);
    }
  }
  doc.code = row.error_code;
  doc.reason = view.permissions.see_paths ? row.error : without_paths(row.error);
  doc.hint = view.permissions.see_paths ? row.error_hint : without_paths(row.error_hint);
  doc.attempts = row.attempts;
  return doc;
}

wire::SearchDoc search_doc(const SearchRequest& request, const SearchResponse& response,
                           const View& view) {
  wire::SearchDoc doc;
  doc.hits.reserve(response.hits.size());
  for (const SearchHit& hit : response.hits) {
    wire::HitDoc out;
    fill_image(out, hit.row, view);
    out.score = hit.score;
    out.band = wire::band_word(view.collection.calibration, hit.score);
    out.above_cutoff = hit.above_cutoff;
    if (request.collapse_identical || hit.identical_count > 0)
      out.identical_count = hit.identical_count;
    doc.hits.push_back(std::move(out));
  }
  if (!response.query_name.empty()) doc.query.name = wire::display_text(response.query_name);
  if (response.query_width > 0) {
    doc.query.width = response.query_width;
    doc.query.height = response.query_height;
  }
  doc.classes = class_docs(response.classes);
  doc.cutoff = response.cutoff;
  doc.above_cutoff_count = response.above_cutoff;
  doc.candidates = response.candidates;
  doc.total = response.total;
  doc.histogram = {response.histogram.from, response.histogram.to, response.histogram.counts};
  for (const Trace::Stage& stage : response.timings) {
    doc.timings_ms.emplace_back(stage.name, std::round(stage.ms * 1000) / 1000);
  }
  doc.stats = {response.reads, response.bytes_read, response.cache, response.exact};
  if (!response.next_cursor.empty()) doc.next_cursor = response.next_cursor;
  doc.epoch = response.epoch;
  return doc;
}

std::optional<wire::CodesDoc> codes_doc(const VectorIndexStats& index) {
  if (index.code_tiers.empty()) return std::nullopt;
  wire::CodesDoc doc;
  if (!index.code_tier.empty()) doc.tier = index.code_tier;
  doc.bytes_available = index.code_bytes_available;
  for (const VectorCodeTier& tier : index.code_tiers)
    doc.tiers.push_back({tier.name, tier.bytes_a_vector, tier.bytes_in_memory});
  return doc;
}

std::optional<wire::GraphMakingDoc> making_doc(const VectorIndexStats& index) {
  if (index.graph_rows_wanted == 0) return std::nullopt;
  return wire::GraphMakingDoc{index.graph_rows_done, index.graph_rows_wanted};
}

wire::CollectionDoc collection_doc(const CollectionSummary& summary, const Permissions& allowed) {
  wire::CollectionDoc doc;
  doc.name = summary.collection.name;
  doc.created_at = summary.collection.created_at;
  doc.counts = {summary.counts.ready, summary.counts.failed, summary.counts.pending};
  doc.epoch = summary.collection.epoch;
  if (!summary.model_name.empty()) {
    doc.model = wire::ModelRefDoc{summary.model_name, summary.model_version, summary.dimensions,
                                  summary.precision, calibration_doc(summary.calibration)};
    if (const auto& error = summary.index_error) {
      doc.index_error = wire::IndexErrorDoc{std::string(error_code_name(error->code)),
                                            wire::display_text(error->message), error->hint};
      if (!allowed.see_paths) doc.index_error->detail = "the index cannot be opened";
    } else {
      doc.index = wire::IndexDoc{
          summary.index.kind,          summary.index.rows,       summary.index.bytes_in_memory,
          summary.index.bytes_on_disk, codes_doc(summary.index), making_doc(summary.index)};
    }
  }
  std::map<std::string, std::int64_t> skipped;
  for (const Root& root : summary.roots) {
    wire::FolderDoc folder;
    if (allowed.see_paths) {
      folder.path = wire::display_text(root.path);
      folder.path_bytes = bytes_if_needed(root.path);
    }
    folder.pictures = root.pictures;
    folder.scanned_at = if_set(root.scanned_at);
    folder.watched = root.options.watch;
    doc.folders.push_back(std::move(folder));
    for (const auto& [type, count] : root.skipped) skipped[type] += count;
  }
  for (const auto& [type, count] : skipped) doc.skipped.push_back({type, count});
  std::stable_sort(doc.skipped.begin(), doc.skipped.end(),
                   [](const auto& a, const auto& b) { return a.count > b.count; });
  return doc;
}

wire::JobDoc job_doc(const Job& job, const Permissions& allowed) {
  wire::JobDoc doc;
  doc.id = job.id;
  doc.kind = job.kind;
  doc.collection = job.collection_name;
  doc.state = job.state;
  if (!job.root.empty()) {
    doc.root = wire::display_text(allowed.see_paths ? job.root : last_name(job.root));
  }
  doc.options = {job.options.hidden, job.options.retry_failed, job.options.watch};
  const JobCounters& c = job.counters;
  doc.counters = {c.found,     c.done(),  c.ready, c.failed,   c.skipped,
                  c.unchanged, c.removed, c.moved, c.scanning, c.optimizing};
  doc.following = c.following && job.state == JobState::running;
  doc.worked_s = job.worked_s;
  if (job.worked_s > 0 && c.ready + c.failed > 0) {
    doc.rate_per_s = static_cast<double>(c.ready + c.failed) / job.worked_s;
    const std::int64_t left = std::max<std::int64_t>(c.found - c.done(), 0);
    if (job.state == JobState::running && !c.scanning && !c.optimizing) {
      doc.eta_s = static_cast<double>(left) / *doc.rate_per_s;
    }
  }
  doc.version = job.version;
  doc.created_at = job.created_at;
  doc.started_at = if_set(job.started_at);
  doc.finished_at = if_set(job.finished_at);
  if (job.state == JobState::failed) {
    doc.error = wire::JobErrorDoc{job.error_code, job.error, job.error_hint};
    if (!allowed.see_paths) {
      doc.error->detail = without_paths(job.error);
      doc.error->hint = without_paths(job.error_hint);
    }
  }
  return doc;
}

wire::ModelDoc model_doc(const ModelProvider::Listed& model, const Permissions& allowed) {
  wire::ModelDoc doc;
  doc.name = model.name;
  doc.version = model.version;
  doc.is_default = model.is_default;
  doc.loaded = model.loaded;
  doc.dimensions = model.dimensions;
  doc.input_width = model.input_width;
  doc.input_height = model.input_height;
  doc.bytes = model.bytes;
  doc.identity = model.identity;
  doc.licence = model.licence;
  doc.source = model.source;
  if (allowed.see_paths) doc.folder = wire::display_text(model.folder);
  if (!model.problem.empty()) {
    doc.problem = allowed.see_paths ? model.problem : without_paths(model.problem);
  }
  return doc;
}

std::string without_paths(std::string_view text) {
  constexpr std::string_view kBefore = " \"'(=`";
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    const bool begins = text[i] == '/' && i + 1 < text.size() && text[i + 1] != ' ' &&
                        (i == 0 || kBefore.find(text[i - 1]) != std::string_view::npos);
    if (!begins) {
      out += text[i++];
      continue;
    }
    // A path may hold spaces, so it goes on up to what error texts put behind one.
    std::size_t end = text.size();
    for (const std::string_view behind : {": ", "\"", "'", "`", ", ", " is ", "; ", " (", "\n"}) {
      end = std::min(end, text.find(behind, i));
    }
    out += last_name(text.substr(i, end - i));
    i = end;
  }
  return out;
}

}  // namespace similis::http
