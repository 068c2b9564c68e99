#include "wire/documents.h"

#include "wire/archive.h"

namespace similis::wire {

template <>
struct EnumWords<CacheState> {
  static constexpr std::string_view words[] = {"off", "miss", "hit"};
};
template <>
struct EnumWords<JobKind> {
  static constexpr std::string_view words[] = {"build", "verify", "import", "export",
                                               "export_tables"};
};
template <>
struct EnumWords<JobState> {
  static constexpr std::string_view words[] = {"queued",    "running", "paused",
                                               "cancelled", "failed",  "done"};
};

template <typename A, Of<ClassDoc> X>
void describe(A& a, X& x) {
  a.field("name", x.name);
  a.field("probability", x.probability);
}

template <typename A, Of<BandDoc> X>
void describe(A& a, X& x) {
  a.field("word", x.word);
  a.field("min_score", x.min_score);
}

template <typename A, Of<CalibrationDoc> X>
void describe(A& a, X& x) {
  a.field("cutoff", x.cutoff);
  a.field("bar_from", x.bar_from);
  a.field("bands", x.bands);
}

template <typename A, Of<GpsDoc> X>
void describe(A& a, X& x) {
  a.field("latitude", x.latitude);
  a.field("longitude", x.longitude);
}

template <typename A, typename X>
void describe_image(A& a, X& x) {
  a.optional("path", x.path);
  a.optional("path_bytes", x.path_bytes);
  a.field("name", x.name);
  a.nullable("folder", x.folder);
  a.nullable_time("date", x.date);
  a.field("width", x.width);
  a.field("height", x.height);
  a.field("bytes", x.bytes);
  a.field("format", x.format);
  a.nullable("class", x.class_name);
  a.field("tags", x.tags);
  a.field("thumbnail_url", x.thumbnail_url);
  a.field("preview_url", x.preview_url);
  a.field("file_url", x.file_url);
}

template <typename A, Of<ImageDoc> X>
void describe(A& a, X& x) {
  a.id("id", x.id);
  describe_image(a, x);
}

template <typename A, Of<ImageDetailDoc> X>
void describe(A& a, X& x) {
  a.id("id", x.id);
  describe_image(a, x);
  a.field("classes", x.classes);
  a.field("sha256", x.sha256);
  a.nullable("camera", x.camera);
  a.nullable("gps", x.gps);
  a.time("added_at", x.added_at);
}

template <typename A, Of<HitDoc> X>
void describe(A& a, X& x) {
  a.id("id", x.id);
  a.field("score", x.score);
  describe_image(a, x);
  a.field("band", x.band);
  a.field("above_cutoff", x.above_cutoff);
  a.optional("identical_count", x.identical_count);
}

template <typename A, Of<QueryDoc> X>
void describe(A& a, X& x) {
  a.optional("name", x.name);
  a.optional("width", x.width);
  a.optional("height", x.height);
  a.optional("image", x.image);
}

template <typename A, Of<HistogramDoc> X>
void describe(A& a, X& x) {
  a.field("from", x.from);
  a.field("to", x.to);
  a.field("counts", x.counts);
}

template <typename A, Of<SearchStatsDoc> X>
void describe(A& a, X& x) {
  a.field("reads", x.reads);
  a.field("bytes_read", x.bytes_read);
  a.field("cache", x.cache);
  a.field("exact", x.exact);
}

template <typename A, Of<SearchDoc> X>
void describe(A& a, X& x) {
  a.field("hits", x.hits);
  a.field("query", x.query);
  a.field("classes", x.classes);
  a.field("cutoff", x.cutoff);
  a.field("above_cutoff_count", x.above_cutoff_count);
  a.field("candidates", x.candidates);
  a.field("total", x.total);
  a.field("histogram", x.histogram);
  a.field("timings_ms", x.timings_ms);
  a.field("stats", x.stats);
  a.nullable("next_cursor", x.next_cursor);
  a.field("epoch", x.epoch);
}

template <typename A, Of<ImagePageDoc> X>
void describe(A& a, X& x) {
  a.field("images", x.images);
  a.nullable("next_cursor", x.next_cursor);
}

template <typename A, Of<CountsDoc> X>
void describe(A& a, X& x) {
  a.field("ready", x.ready);
  a.field("failed", x.failed);
  a.field("pending", x.pending);
}

template <typename A, Of<ModelRefDoc> X>
void describe(A& a, X& x) {
  a.field("name", x.name);
  a.field("version", x.version);
  a.field("dimensions", x.dimensions);
  a.field("precision", x.precision);
  a.field("calibration", x.calibration);
}

template <typename A, Of<SkippedDoc> X>
void describe(A& a, X& x) {
  a.field("type", x.type);
  a.field("count", x.count);
}

template <typename A, Of<FolderDoc> X>
void describe(A& a, X& x) {
  a.optional("path", x.path);
  a.optional("path_bytes", x.path_bytes);
  a.field("pictures", x.pictures);
  a.nullable_time("scanned_at", x.scanned_at);
  a.field("watched", x.watched);
}

template <typename A, Of<CodeTierDoc> X>
void describe(A& a, X& x) {
  a.field("name", x.name);
  a.field("bytes_a_vector", x.bytes_a_vector);
  a.field("bytes_in_memory", x.bytes_in_memory);
}

template <typename A, Of<CodesDoc> X>
void describe(A& a, X& x) {
  a.nullable("tier", x.tier);
  a.field("bytes_available", x.bytes_available);
  a.field("tiers", x.tiers);
}

template <typename A, Of<GraphMakingDoc> X>
void describe(A& a, X& x) {
  a.field("done", x.done);
  a.field("vectors", x.vectors);
}

template <typename A, Of<IndexDoc> X>
void describe(A& a, X& x) {
  a.field("kind", x.kind);
  a.field("vectors", x.vectors);
  a.field("bytes_in_memory", x.bytes_in_memory);
  a.field("bytes_on_disk", x.bytes_on_disk);
  a.nullable("codes", x.codes);
  a.nullable("making", x.making);
}

template <typename A, Of<IndexErrorDoc> X>
void describe(A& a, X& x) {
  a.field("code", x.code);
  a.field("detail", x.detail);
  a.field("hint", x.hint);
}

template <typename A, Of<CollectionDoc> X>
void describe(A& a, X& x) {
  a.field("name", x.name);
  a.time("created_at", x.created_at);
  a.field("counts", x.counts);
  a.field("epoch", x.epoch);
  a.nullable("model", x.model);
  a.nullable("index", x.index);
  a.nullable("index_error", x.index_error);
  a.field("folders", x.folders);
  a.field("skipped", x.skipped);
}

template <typename A, Of<CollectionListDoc> X>
void describe(A& a, X& x) {
  a.field("collections", x.collections);
}

template <typename A, Of<JobCountersDoc> X>
void describe(A& a, X& x) {
  a.field("found", x.found);
  a.field("done", x.done);
  a.field("ready", x.ready);
  a.field("failed", x.failed);
  a.field("skipped", x.skipped);
  a.field("unchanged", x.unchanged);
  a.field("removed", x.removed);
  a.field("moved", x.moved);
  a.field("scanning", x.scanning);
  a.field("optimizing", x.optimizing);
}

template <typename A, Of<JobErrorDoc> X>
void describe(A& a, X& x) {
  a.field("code", x.code);
  a.field("detail", x.detail);
  a.field("hint", x.hint);
}

template <typename A, Of<JobOptionsDoc> X>
void describe(A& a, X& x) {
  a.field("hidden", x.hidden);
  a.field("retry_failed", x.retry_failed);
  a.field("watch", x.watch);
}

template <typename A, typename X>
void describe_job(A& a, X& x) {
  a.id("id", x.id);
  a.field("kind", x.kind);
  a.field("collection", x.collection);
  a.field("state", x.state);
  a.nullable("root", x.root);
  a.field("options", x.options);
  a.field("counters", x.counters);
  a.field("following", x.following);
  a.field("worked_s", x.worked_s);
  a.nullable("rate_per_s", x.rate_per_s);
  a.nullable("eta_s", x.eta_s);
  a.field("version", x.version);
  a.time("created_at", x.created_at);
  a.nullable_time("started_at", x.started_at);
  a.nullable_time("finished_at", x.finished_at);
  a.nullable("error", x.error);
  a.optional("findings", x.findings);
}

template <typename A, Of<JobDoc> X>
void describe(A& a, X& x) {
  describe_job(a, x);
}

template <typename A, Of<StartedJobDoc> X>
void describe(A& a, X& x) {
  describe_job(a, x);
  a.field("existed", x.existed);
}

template <typename A, Of<JobListDoc> X>
void describe(A& a, X& x) {
  a.field("jobs", x.jobs);
}

template <typename A, Of<FailureDoc> X>
void describe(A& a, X& x) {
  a.nullable_id("id", x.id);
  a.optional("path", x.path);
  a.optional("path_bytes", x.path_bytes);
  a.field("name", x.name);
  a.field("folder", x.folder);
  a.field("code", x.code);
  a.field("reason", x.reason);
  a.field("hint", x.hint);
  a.field("attempts", x.attempts);
}

template <typename A, Of<FailurePageDoc> X>
void describe(A& a, X& x) {
  a.field("failures", x.failures);
  a.nullable("next_cursor", x.next_cursor);
}

template <typename A, Of<ModelDoc> X>
void describe(A& a, X& x) {
  a.field("name", x.name);
  a.field("version", x.version);
  a.field("default", x.is_default);
  a.field("loaded", x.loaded);
  a.field("dimensions", x.dimensions);
  a.field("input_width", x.input_width);
  a.field("input_height", x.input_height);
  a.field("bytes", x.bytes);
  a.field("identity", x.identity);
  a.field("licence", x.licence);
  a.field("source", x.source);
  a.optional("folder", x.folder);
  a.nullable("problem", x.problem);
}

template <typename A, Of<ModelListDoc> X>
void describe(A& a, X& x) {
  a.field("models", x.models);
}

template <typename A, Of<UploadItemDoc> X>
void describe(A& a, X& x) {
  a.field("name", x.name);
  a.nullable_id("id", x.id);
  a.field("status", x.status);
  a.nullable("reason", x.reason);
  a.nullable("code", x.code);
  a.nullable("hint", x.hint);
}

template <typename A, Of<UploadDoc> X>
void describe(A& a, X& x) {
  a.field("items", x.items);
}

template <typename A, Of<ShareDoc> X>
void describe(A& a, X& x) {
  a.field("name", x.name);
  a.field("bytes", x.bytes);
}

template <typename A, Of<MemoryDoc> X>
void describe(A& a, X& x) {
  a.field("used_bytes", x.used_bytes);
  a.field("limit_bytes", x.limit_bytes);
  a.field("parts", x.parts);
}

template <typename A, Of<DiskDoc> X>
void describe(A& a, X& x) {
  a.field("used_bytes", x.used_bytes);
  a.field("free_bytes", x.free_bytes);
  a.field("parts", x.parts);
}

template <typename A, Of<ServerDoc> X>
void describe(A& a, X& x) {
  a.field("address", x.address);
  a.optional("command", x.command);
  a.time("started_at", x.started_at);
  a.field("searches", x.searches);
  a.nullable("search_median_ms", x.search_median_ms);
}

template <typename A, Of<StatusDoc> X>
void describe(A& a, X& x) {
  a.field("version", x.version);
  a.optional("data_dir", x.data_dir);
  a.field("collections", x.collections);
  a.field("memory", x.memory);
  a.field("disk", x.disk);
  a.nullable("server", x.server);
  a.nullable("last_job", x.last_job);
}

template <typename A, Of<KeyDoc> X>
void describe(A& a, X& x) {
  a.id("id", x.id);
  a.field("name", x.name);
  a.field("prefix", x.prefix);
  a.time("created_at", x.created_at);
  a.nullable_time("last_used_at", x.last_used_at);
  a.optional("key", x.key);
}

template <typename A, Of<KeyListDoc> X>
void describe(A& a, X& x) {
  a.field("keys", x.keys);
}

template <typename A, Of<HealthDoc> X>
void describe(A& a, X& x) {
  a.field("status", x.status);
  a.optional("version", x.version);
}

#define SIMILIS_WIRE_DOCUMENT(Type, name)                           \
  std::string to_json(const Type& document) {                       \
    return write_document(document);                                \
  }                                                                 \
  Result<Type> read_##name(std::string_view json) {                 \
    return read_document<Type>(json, JsonReader::Unknown::ignored); \
  }

SIMILIS_WIRE_DOCUMENT(ImageDetailDoc, image)
SIMILIS_WIRE_DOCUMENT(ImagePageDoc, image_page)
SIMILIS_WIRE_DOCUMENT(SearchDoc, search)
SIMILIS_WIRE_DOCUMENT(CollectionDoc, collection)
SIMILIS_WIRE_DOCUMENT(CollectionListDoc, collection_list)
SIMILIS_WIRE_DOCUMENT(JobDoc, job)
SIMILIS_WIRE_DOCUMENT(StartedJobDoc, started_job)
SIMILIS_WIRE_DOCUMENT(JobListDoc, job_list)
SIMILIS_WIRE_DOCUMENT(FailurePageDoc, failure_page)
SIMILIS_WIRE_DOCUMENT(ModelListDoc, model_list)
SIMILIS_WIRE_DOCUMENT(UploadDoc, upload)
SIMILIS_WIRE_DOCUMENT(StatusDoc, status)
SIMILIS_WIRE_DOCUMENT(KeyDoc, key)
SIMILIS_WIRE_DOCUMENT(KeyListDoc, key_list)
SIMILIS_WIRE_DOCUMENT(HealthDoc, health)
#undef SIMILIS_WIRE_DOCUMENT

std::string band_word(const CalibrationDoc& calibration, double score) {
  for (const BandDoc& band : calibration.bands)
    if (score >= band.min_score) return band.word;
  return "weak";
}

std::string ImageDoc::path_raw() const {
  if (path_bytes) return base64_decode(*path_bytes).value_or("");
  return path.value_or("");
}

}  // namespace similis::wire
