#include "ingest.h"

#include <cstdio>
#include <filesystem>
#include <thread>

#include "app/model_store.h"
#include "app/system.h"
#include "base/file.h"
#include "base/temporary_folder.h"
#include "config/machine.h"
#include "measure.h"
#include "pictures.h"
#include "services/job_service.h"
#include "stores/blob/files/file_blob_store.h"
#include "stores/metadata/sql/sqlite.h"
#include "stores/vector/embedded/embedded_vector_store.h"
#include "vision/decode/decode.h"
#include "wire/json.h"

namespace similis::bench {
namespace {

namespace fs = std::filesystem;

/// Bare costs are measured on at most so many pictures a round: more change nothing.
constexpr std::size_t kSample = 150;

/// Core-seconds a picture.
struct Costs {
  double decode = 0;  // with thumbnail, hashes and tensor
  double model = 0;
  double store = 0;  // thumbnail file, rows, vector
  [[nodiscard]] double sum() const { return decode + model + store; }
};

Result<std::vector<fs::path>> files_in(const fs::path& folder) {
  std::vector<fs::path> out;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (entry.is_regular_file()) out.push_back(entry.path());
  std::sort(out.begin(), out.end());
  if (out.empty()) return Error(ErrorCode::not_found, "there are no files in " + folder.native());
  return out;
}

/// Spread over the whole set, so that a folder of classes is sampled evenly.
std::vector<fs::path> sample_of(const std::vector<fs::path>& files) {
  std::vector<fs::path> out;
  const std::size_t count = std::min(kSample, files.size());
  for (std::size_t i = 0; i < count; ++i) out.push_back(files[i * files.size() / count]);
  return out;
}

Result<Costs> bare_costs(const std::vector<fs::path>& files, Embedder& embedder,
                         const fs::path& scratch) {
  Costs costs;
  const Context ctx;
  TRY(make_directories(scratch));
  DecodeRequest request;
  request.tensors = {embedder.info().preprocess};
  request.thumbnail = request.content_hash = request.perceptual_hash = true;
  std::vector<DecodedPicture> pictures;
  double begin = cpu_seconds();
  for (const fs::path& file : files) {
    ASSIGN_OR_RETURN(const auto bytes, read_file(file));
    auto picture = decode(bytes, file.filename().native(), request);
    if (picture.ok()) pictures.push_back(*std::move(picture));
  }
  if (pictures.empty()) return Error(ErrorCode::unreadable_media, "no picture could be decoded");
  const auto count = static_cast<double>(pictures.size());
  costs.decode = (cpu_seconds() - begin) / count;

  std::vector<std::vector<float>> vectors;
  const std::size_t batch = embedder.preferred_batch();
  for (const bool warm : {false, true}) {
    vectors.clear();
    begin = cpu_seconds();
    for (std::size_t at = 0; at < pictures.size(); at += batch) {
      std::vector<PictureTensor> tensors;
      for (std::size_t i = at; i < std::min(at + batch, pictures.size()); ++i) {
        const RgbImage& t = pictures[i].tensors.front();
        tensors.push_back(
            {static_cast<std::uint32_t>(t.width), static_cast<std::uint32_t>(t.height), t.pixels});
      }
      ASSIGN_OR_RETURN(auto embedded, embedder.embed(ctx, tensors));
      for (Embedding& e : embedded) vectors.push_back(std::move(e.vector));
    }
    if (warm) costs.model = (cpu_seconds() - begin) / count;
  }

  ASSIGN_OR_RETURN(const auto metadata, open_sqlite_metadata({.file = scratch / "bench.db"}));
  ASSIGN_OR_RETURN(const auto blobs, open_file_blobs({.directory = scratch}));
  ASSIGN_OR_RETURN(const auto store, open_embedded_vectors({.directory = scratch}));
  ASSIGN_OR_RETURN(const Collection collection, metadata->create_collection(ctx, "bench"));
  IndexInfo wanted;
  wanted.collection = collection.id;
  wanted.identity = embedder.info().identity;
  wanted.model_name = embedder.info().name;
  wanted.dimensions = static_cast<std::int32_t>(embedder.info().dimensions);
  ASSIGN_OR_RETURN(const IndexInfo index, metadata->create_index(ctx, wanted));
  TRY(store->create_index(ctx, collection.id, index.id, index.dimensions));
  ASSIGN_OR_RETURN(const FolderId folder, metadata->intern_folder(ctx, "/bench"));
  begin = cpu_seconds();
  for (std::size_t at = 0; at < pictures.size(); at += 64) {
    std::vector<PendingImage> pending;
    std::vector<VectorUpsert> upserts;
    std::vector<ReadyImage> ready;
    for (std::size_t i = at; i < std::min(at + 64, pictures.size()); ++i) {
      PendingImage image;
      image.folder = folder;
      image.name = std::to_string(i) + ".jpg";
      image.facts.format = "jpeg";
      image.facts.content_hash = *pictures[i].content_hash;
      image.facts.width = pictures[i].width_px;
      image.facts.height = pictures[i].height_px;
      if (pictures[i].thumbnail) {
        TRY(blobs->put(ctx, BlobKind::thumbnail, *pictures[i].content_hash,
                       pictures[i].thumbnail->bytes, "image/jpeg"));
      }
      pending.push_back(std::move(image));
    }
    TRY(metadata->put_pending(ctx, collection.id, index.id, pending));
    for (std::size_t i = 0; i < pending.size(); ++i) {
      upserts.push_back({pending[i].id, vectors[at + i], {}});
      ready.push_back({pending[i].id, pending[i].mtime_ns, pending[i].facts, {}});
    }
    ASSIGN_OR_RETURN(const WriteToken token, store->upsert(ctx, index.id, upserts));
    TRY(metadata->mark_ready(ctx, collection.id, index.id, ready, token));
  }
  costs.store = (cpu_seconds() - begin) / count;
  return costs;
}

/// Pictures a second of the product itself: a build job on an empty data directory.
Result<double> indexing_rate(const fs::path& folder, Settings settings, const fs::path& data) {
  settings.data_dir = data;
  ASSIGN_OR_RETURN(
      const auto system,
      System::open(settings,
                   {.version = "bench", .command = {}, .start_token = {}, .web_folder = {}}));
  // The model is compiled and loaded before the clock starts, as it is in a server.
  TRY(system->load_model(""));
  system->start_jobs(JobScope::all);
  const Context ctx;
  const double begin = wall_seconds();
  ASSIGN_OR_RETURN(auto started, system->jobs().start_build(ctx, "bench", folder.native(), {}, ""));
  Job job = started.job;
  while (!is_finished(job.state)) {
    ASSIGN_OR_RETURN(job, system->jobs().wait(ctx, job.id, job.version, std::chrono::seconds(5)));
  }
  if (job.state != JobState::done) return Error(ErrorCode::internal, "the job ended: " + job.error);
  return static_cast<double>(job.counters.ready) / (wall_seconds() - begin);
}

Status measure(const std::string& name, const fs::path& folder, const Settings& settings,
               Embedder& embedder, int rounds) {
  ASSIGN_OR_RETURN(const auto files, files_in(folder));
  const std::vector<fs::path> sample = sample_of(files);
  const auto cores = static_cast<double>(machine_facts().cpus);
  // The machine's pace changes within seconds: bound and rate are compared within a round, rounds
  // by their medians.
  std::vector<double> decode, model, store, bounds, rates, shares;
  for (int round = 0; round < rounds; ++round) {
    const TemporaryFolder scratch;
    ASSIGN_OR_RETURN(const Costs before, bare_costs(sample, embedder, scratch.path() / "before"));
    ASSIGN_OR_RETURN(const double rate, indexing_rate(folder, settings, scratch.path() / "data"));
    ASSIGN_OR_RETURN(const Costs after, bare_costs(sample, embedder, scratch.path() / "after"));
    decode.push_back((before.decode + after.decode) / 2);
    model.push_back((before.model + after.model) / 2);
    store.push_back((before.store + after.store) / 2);
    rates.push_back(rate);
    bounds.push_back(cores * 2 / (before.sum() + after.sum()));
    shares.push_back(rates.back() / bounds.back());
  }
  const auto median = [](const std::vector<double>& values) { return quantile(values, 0.5); };
  const Costs costs{median(decode), median(model), median(store)};
  const double bound = median(bounds), rate = median(rates), share = median(shares);
  std::printf("%-22s %6zu  %7.2f %7.2f %7.2f  %8.1f %8.1f %6.2f\n", name.c_str(), files.size(),
              costs.decode * 1e3, costs.model * 1e3, costs.store * 1e3, bound, rate, share);
  std::printf("%s\n", Json{{"bench", "ingest"},
                           {"set", name},
                           {"pictures", files.size()},
                           {"rounds", rounds},
                           {"cores", cores},
                           {"decode_core_ms", costs.decode * 1e3},
                           {"model_core_ms", costs.model * 1e3},
                           {"store_core_ms", costs.store * 1e3},
                           {"bound_per_s", bound},
                           {"rate_per_s", rate},
                           {"share_of_bound", share}}
                          .dump()
                          .c_str());
  std::fflush(stdout);
  return {};
}

}  // namespace

Status run_ingest(const IngestOptions& options) {
  TRY(init_decoder());
  const TemporaryFolder made;
  Settings settings;
  settings.data_dir = made.path() / "models-only";
  TRY(make_directories(settings.data_dir));
  ModelStore models(settings, static_cast<std::size_t>(machine_facts().cpus));
  ASSIGN_OR_RETURN(const auto embedder, models.load(""));
  std::printf("                               core-ms a picture         pictures/s\n");
  std::printf("%-22s %6s  %7s %7s %7s  %8s %8s %6s\n", "set", "count", "decode", "model", "store",
              "bound", "reached", "share");
  if (!options.folder.empty())
    return measure(options.folder, options.folder, settings, *embedder, options.rounds);
  TRY(write_jpegs(made.path() / "small", options.small, 300, 200));
  TRY(measure("300 x 200 JPEG", made.path() / "small", settings, *embedder, options.rounds));
  TRY(write_jpegs(made.path() / "large", options.large, 4000, 3000));
  return measure("4000 x 3000 JPEG", made.path() / "large", settings, *embedder, options.rounds);
}

}  // namespace similis::bench
