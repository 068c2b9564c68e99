#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "core/collection.h"
#include "core/image.h"
#include "core/job.h"
#include "core/search.h"

namespace similis::wire {

// What the API's answers carry, as docs/openapi.yaml describes it: one struct a schema. The server
// fills and writes them, clients read them. Text is UTF-8; a path's true bytes are in `path_bytes`
// where they differ. An empty optional is null, or left out where the schema says so.

struct ClassDoc {
  std::string name;
  double probability = 0;
};

struct BandDoc {
  std::string word;
  double min_score = 0;
};

struct CalibrationDoc {
  double cutoff = 0;
  double bar_from = 0;
  std::vector<BandDoc> bands;  // from the highest
};

/// The word for a score: the first band it reaches, else "weak".
std::string band_word(const CalibrationDoc& calibration, double score);

struct GpsDoc {
  double latitude = 0;
  double longitude = 0;
};

struct ImageDoc {
  ImageId id = 0;
  std::optional<std::string> path;  // display form; left out for an upload or without permission
  std::optional<std::string> path_bytes;  // base64 (RFC 4648), left out when `path` is exact
  std::string name;                       // display form
  std::optional<std::string> folder;      // below the indexed one; null for an upload
  std::optional<UnixSeconds> date;        // taken, else last changed
  std::int32_t width = 0;
  std::int32_t height = 0;
  std::int64_t bytes = 0;
  std::string format;
  std::optional<ClassDoc> class_name;  // "class": the clear one, or null
  std::vector<std::string> tags;
  std::string thumbnail_url, preview_url, file_url;

  /// The path's bytes; "" without one.
  [[nodiscard]] std::string path_raw() const;
};

struct ImageDetailDoc : ImageDoc {
  std::vector<ClassDoc> classes;
  std::string sha256;
  std::optional<std::string> camera;
  std::optional<GpsDoc> gps;
  UnixSeconds added_at = 0;
};

struct HitDoc : ImageDoc {
  double score = 0;
  std::string band;
  bool above_cutoff = false;
  std::optional<std::int64_t> identical_count;  // with collapse_identical only
};

struct QueryDoc {
  std::optional<std::string> name;
  std::optional<std::int32_t> width, height;
  std::optional<ImageDoc> image;  // when it was a stored one
};

struct HistogramDoc {
  double from = 0;
  double to = 1;
  std::vector<std::int64_t> counts;
};

struct SearchStatsDoc {
  std::int64_t reads = 0;
  std::int64_t bytes_read = 0;
  CacheState cache = CacheState::off;
  bool exact = true;
};

struct SearchDoc {
  std::vector<HitDoc> hits;
  QueryDoc query;
  std::vector<ClassDoc> classes;
  double cutoff = 0;
  std::int64_t above_cutoff_count = 0;
  std::int64_t candidates = 0;
  std::int64_t total = 0;
  HistogramDoc histogram;
  std::vector<std::pair<std::string, double>> timings_ms;  // by stage, "total" last
  SearchStatsDoc stats;
  std::optional<std::string> next_cursor;
  std::int64_t epoch = 0;
};

struct ImagePageDoc {
  std::vector<ImageDoc> images;
  std::optional<std::string> next_cursor;
};

struct CountsDoc {
  std::int64_t ready = 0, failed = 0, pending = 0;
};

struct ModelRefDoc {
  std::string name;
  std::string version;
  std::int32_t dimensions = 0;
  std::string precision;
  CalibrationDoc calibration;
};

struct SkippedDoc {
  std::string type;
  std::int64_t count = 0;
};

struct FolderDoc {
  std::optional<std::string> path;  // by permission
  std::optional<std::string> path_bytes;
  std::int64_t pictures = 0;
  std::optional<UnixSeconds> scanned_at;
  bool watched = false;
};

struct CodeTierDoc {
  std::string name;
  std::int64_t bytes_a_vector = 0;
  std::int64_t bytes_in_memory = 0;
};

struct CodesDoc {
  std::optional<std::string> tier;  // null when none is in memory
  std::int64_t bytes_available = 0;
  std::vector<CodeTierDoc> tiers;  // longest first
};

/// A graph that is being made: vectors in it, of how many.
struct GraphMakingDoc {
  std::int64_t done = 0;
  std::int64_t vectors = 0;
};

struct IndexDoc {
  std::string kind;
  std::int64_t vectors = 0;
  std::int64_t bytes_in_memory = 0;
  std::int64_t bytes_on_disk = 0;
  std::optional<CodesDoc> codes;         // null where there is to be no graph
  std::optional<GraphMakingDoc> making;  // null when none is being made
};

struct IndexErrorDoc {
  std::string code;
  std::string detail;
  std::string hint;
};

struct CollectionDoc {
  std::string name;
  UnixSeconds created_at = 0;
  CountsDoc counts;
  std::int64_t epoch = 0;
  std::optional<ModelRefDoc> model;          // null before the first picture
  std::optional<IndexDoc> index;             // likewise, and when it cannot be opened
  std::optional<IndexErrorDoc> index_error;  // why
  std::vector<FolderDoc> folders;
  std::vector<SkippedDoc> skipped;  // most frequent first
};

struct CollectionListDoc {
  std::vector<CollectionDoc> collections;
};

struct JobCountersDoc {
  std::int64_t found = 0, done = 0, ready = 0, failed = 0, skipped = 0, unchanged = 0, removed = 0,
               moved = 0;
  bool scanning = false, optimizing = false;
};

struct JobErrorDoc {
  std::string code;
  std::string detail;
  std::string hint;
};

struct JobOptionsDoc {
  bool hidden = false, retry_failed = false, watch = false;
};

struct JobDoc {
  JobId id = 0;
  JobKind kind = JobKind::build;
  std::string collection;
  JobState state = JobState::queued;
  std::optional<std::string> root;  // its last name only without permission to see paths
  JobOptionsDoc options;
  JobCountersDoc counters;
  bool following = false;            // up to date with its folder, waiting for it to change
  double worked_s = 0;               // time spent running, pauses left out
  std::optional<double> rate_per_s;  // null before there is one
  std::optional<double> eta_s;
  std::int64_t version = 0;
  UnixSeconds created_at = 0;
  std::optional<UnixSeconds> started_at, finished_at;
  std::optional<JobErrorDoc> error;
  std::optional<std::vector<std::string>> findings;  // of a verify job asked for by itself

  [[nodiscard]] bool finished() const { return is_finished(state); }
};

struct StartedJobDoc : JobDoc {
  bool existed = false;  // an unfinished job on the same folder or archive goes on
};

struct JobListDoc {
  std::vector<JobDoc> jobs;
};

struct FailureDoc {
  std::optional<ImageId> id;        // null where a failed file gets no row
  std::optional<std::string> path;  // by permission
  std::optional<std::string> path_bytes;
  std::string name;
  std::string folder;  // below the indexed one
  std::string code;
  std::string reason;
  std::string hint;
  std::int64_t attempts = 0;
};

struct FailurePageDoc {
  std::vector<FailureDoc> failures;
  std::optional<std::string> next_cursor;
};

struct ModelDoc {
  std::string name;
  std::string version;
  bool is_default = false;  // "default"
  bool loaded = false;
  std::int32_t dimensions = 0;
  std::int32_t input_width = 0;
  std::int32_t input_height = 0;
  std::int64_t bytes = 0;
  std::string identity;
  std::string licence;
  std::string source;
  std::optional<std::string> folder;   // by permission
  std::optional<std::string> problem;  // why it cannot be used; null when it can
};

struct ModelListDoc {
  std::vector<ModelDoc> models;
};

struct UploadItemDoc {
  std::string name;
  std::optional<ImageId> id;
  std::string status;  // created, exists, failed
  std::optional<std::string> reason, code, hint;
};

struct UploadDoc {
  std::vector<UploadItemDoc> items;
};

struct ShareDoc {
  std::string name;
  std::int64_t bytes = 0;
};

struct MemoryDoc {
  std::int64_t used_bytes = 0;
  std::int64_t limit_bytes = 0;
  std::vector<ShareDoc> parts;
};

struct DiskDoc {
  std::int64_t used_bytes = 0;
  std::int64_t free_bytes = 0;
  std::vector<ShareDoc> parts;
};

struct ServerDoc {
  std::string address;
  std::optional<std::string> command;  // how the program is called; by permission
  UnixSeconds started_at = 0;
  std::int64_t searches = 0;
  std::optional<double> search_median_ms;
};

struct StatusDoc {
  std::string version;
  std::optional<std::string> data_dir;  // by permission
  std::vector<CollectionDoc> collections;
  MemoryDoc memory;
  DiskDoc disk;
  std::optional<ServerDoc> server;  // null when no server runs
  std::optional<JobDoc> last_job;
};

struct KeyDoc {
  std::int64_t id = 0;
  std::string name;
  std::string prefix;
  UnixSeconds created_at = 0;
  std::optional<UnixSeconds> last_used_at;
  std::optional<std::string> key;  // the credential, in the answer to its creation only
};

struct KeyListDoc {
  std::vector<KeyDoc> keys;
};

struct HealthDoc {
  std::string status;
  std::optional<std::string> version;  // of the program that answers; /healthz only
};

// Writing and reading. Reading is for clients: members they do not know are ignored (the server
// may be newer), what is missing or of another type is `invalid_argument` with its place.
#define SIMILIS_WIRE_DOCUMENT(Type, name)    \
  std::string to_json(const Type& document); \
  Result<Type> read_##name(std::string_view json);

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

}  // namespace similis::wire
