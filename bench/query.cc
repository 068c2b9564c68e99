#include "query.h"

#include <atomic>
#include <cmath>
#include <cstdio>
#include <map>
#include <mutex>
#include <random>
#include <thread>

#include "app/system.h"
#include "base/temporary_folder.h"
#include "client/socket_transport.h"
#include "http/server.h"
#include "measure.h"
#include "pictures.h"
#include "vision/decode/decode.h"
#include "wire/json.h"

namespace similis::bench {
namespace {

constexpr const char* kToken = "bench_token";

/// Vectors that lie as pictures' do: between those of a few hundred, with noise.
class Manifold {
 public:
  Manifold(std::vector<std::vector<float>> corners, std::uint32_t seed)
      : rng_(seed), corners_(std::move(corners)) {}
  std::vector<float> next() {
    std::vector<float> v(corners_.front().size());
    for (int i = 0; i < kMixed; ++i) {
      const float weight = std::uniform_real_distribution<float>(0.1F, 1)(rng_);
      const auto& corner = corners_[rng_() % corners_.size()];
      for (std::size_t d = 0; d < v.size(); ++d) v[d] += weight * corner[d];
    }
    for (float& x : v) x += kNoise * normal_(rng_);
    return v;
  }

 private:
  static constexpr int kMixed = 3;
  static constexpr float kNoise = 0.004F;
  std::mt19937 rng_;
  std::normal_distribution<float> normal_;
  std::vector<std::vector<float>> corners_;
};

struct Answers {
  std::mutex mutex;
  std::vector<double> latency_ms;
  std::map<std::string, std::vector<double>> stages;
  std::string failure;
};

void ask(std::uint16_t port, const std::vector<std::byte>& picture, Answers& answers) {
  SocketTransport transport(
      {.unix_socket = {}, .host = "127.0.0.1", .port = port, .credential = kToken});
  ApiRequest request;
  request.method = "POST";
  request.target = "/api/v1/collections/bench/search?k=10";
  request.headers.emplace_back("Content-Type", "application/octet-stream");
  request.body.assign(reinterpret_cast<const char*>(picture.data()), picture.size());
  const double begin = wall_seconds();
  const auto answer = transport.request(Context{}, request);
  const double ms = (wall_seconds() - begin) * 1e3;
  const std::lock_guard lock(answers.mutex);
  if (!answer.ok() || answer->status != 200) {
    answers.failure = answer.ok() ? answer->body : answer.error().message;
    return;
  }
  answers.latency_ms.push_back(ms);
  const Json parsed = Json::parse(answer->body, nullptr, false);
  if (parsed.is_discarded()) return;
  for (const auto& [stage, value] : parsed["timings_ms"].items())
    answers.stages[stage].push_back(value.get<double>());
}

Status run_row(const char* name, std::uint16_t port,
               const std::vector<std::vector<std::byte>>& pictures, int clients) {
  Answers answers;
  std::atomic<std::size_t> next{0};
  const double begin = wall_seconds();
  {
    std::vector<std::jthread> threads;
    for (int c = 0; c < clients; ++c) {
      threads.emplace_back([&] {
        for (std::size_t i = next++; i < pictures.size(); i = next++)
          ask(port, pictures[i], answers);
      });
    }
  }
  const double rate = static_cast<double>(answers.latency_ms.size()) / (wall_seconds() - begin);
  if (!answers.failure.empty())
    return Error(ErrorCode::internal, "a query failed: " + answers.failure);
  const auto stage = [&](const char* key) { return quantile(answers.stages[key], 0.5); };
  const double p50 = quantile(answers.latency_ms, 0.5), p99 = quantile(answers.latency_ms, 0.99);
  std::printf("%-20s %7d  %7.1f %7.1f  %7.1f  %7.1f %7.1f %7.1f %7.1f\n", name, clients, p50, p99,
              rate, stage("decode"), stage("model"), stage("index"), stage("rows"));
  std::printf("%s\n", Json{{"bench", "query"},
                           {"set", name},
                           {"clients", clients},
                           {"queries", pictures.size()},
                           {"p50_ms", p50},
                           {"p99_ms", p99},
                           {"per_s", rate},
                           {"decode_ms", stage("decode")},
                           {"model_ms", stage("model")},
                           {"index_ms", stage("index")},
                           {"rows_ms", stage("rows")}}
                          .dump()
                          .c_str());
  std::fflush(stdout);
  return {};
}

Result<std::vector<std::vector<std::byte>>> made_pictures(int count, int width, int height,
                                                          std::uint32_t first) {
  std::vector<std::vector<std::byte>> out;
  for (int i = 0; i < count; ++i) {
    ASSIGN_OR_RETURN(auto bytes, make_jpeg(width, height, first + static_cast<std::uint32_t>(i)));
    out.push_back(std::move(bytes));
  }
  return out;
}

Result<std::vector<std::vector<float>>> embeddings_of_made_pictures(Embedder& embedder) {
  constexpr int kCount = 300;
  ASSIGN_OR_RETURN(const auto files, made_pictures(kCount, 300, 200, 5'000'000));
  DecodeRequest request;
  request.tensors = {embedder.info().preprocess};
  std::vector<std::vector<float>> out;
  for (const auto& bytes : files) {
    ASSIGN_OR_RETURN(const DecodedPicture picture, decode(bytes, "made.jpg", request));
    const RgbImage& t = picture.tensors.front();
    const PictureTensor tensor{static_cast<std::uint32_t>(t.width),
                               static_cast<std::uint32_t>(t.height), t.pixels};
    ASSIGN_OR_RETURN(auto embedded, embedder.embed(Context{}, {&tensor, 1}));
    out.push_back(std::move(embedded.front().vector));
  }
  return out;
}

/// A warm server has its graph.
Status wait_for_graph(System& system, IndexId index, std::int64_t rows) {
  for (int i = 0; i < 3000; ++i) {
    ASSIGN_OR_RETURN(const VectorIndexStats stats, system.vectors().stats(Context{}, index));
    if (stats.rows_in_graph * 10 >= rows * 9) return {};
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  return Error(ErrorCode::internal, "the index has no graph after five minutes");
}

/// Rows and vectors that never were pictures: a search cannot tell.
Status fill(System& system, int rows) {
  const Context ctx;
  ASSIGN_OR_RETURN(const auto embedder, system.load_model(""));
  MetadataStore& metadata = system.metadata();
  ASSIGN_OR_RETURN(const Collection collection, metadata.create_collection(ctx, "bench"));
  IndexInfo wanted;
  wanted.collection = collection.id;
  wanted.model_name = embedder->info().name;
  wanted.model_version = embedder->info().version;
  wanted.identity = embedder->info().identity;
  wanted.dimensions = static_cast<std::int32_t>(embedder->info().dimensions);
  ASSIGN_OR_RETURN(const IndexInfo index, metadata.create_index(ctx, wanted));
  TRY(system.vectors().create_index(ctx, collection.id, index.id, index.dimensions));
  TRY(metadata.activate_index(ctx, collection.id, index.id));
  ASSIGN_OR_RETURN(const FolderId folder, metadata.intern_folder(ctx, "/bench"));
  ASSIGN_OR_RETURN(auto corners, embeddings_of_made_pictures(*embedder));
  Manifold manifold(std::move(corners), 1);
  constexpr int kBatch = 1000;
  for (int at = 0; at < rows; at += kBatch) {
    std::vector<PendingImage> pending;
    std::vector<std::vector<float>> vectors;
    for (int i = at; i < std::min(at + kBatch, rows); ++i) {
      PendingImage image;
      image.folder = folder;
      image.name = std::to_string(i) + ".jpg";
      image.facts.format = "jpeg";
      image.facts.content_hash[0] = static_cast<std::byte>(i);
      image.facts.content_hash[1] = static_cast<std::byte>(i >> 8);
      image.facts.content_hash[2] = static_cast<std::byte>(i >> 16);
      image.facts.width = 300;
      image.facts.height = 200;
      pending.push_back(std::move(image));
      vectors.push_back(manifold.next());
    }
    TRY(metadata.put_pending(ctx, collection.id, index.id, pending));
    std::vector<VectorUpsert> upserts;
    std::vector<ReadyImage> ready;
    for (std::size_t i = 0; i < pending.size(); ++i) {
      upserts.push_back({pending[i].id, vectors[i], {}});
      ready.push_back({pending[i].id, 0, pending[i].facts, {}});
    }
    ASSIGN_OR_RETURN(const WriteToken token, system.vectors().upsert(ctx, index.id, upserts));
    TRY(metadata.mark_ready(ctx, collection.id, index.id, ready, token));
  }
  return rows < 10'000 ? Status() : wait_for_graph(system, index.id, rows);
}

}  // namespace

Status run_query(const QueryOptions& options) {
  TRY(init_decoder());
  const TemporaryFolder folder;
  Settings settings;
  settings.data_dir = folder.path() / "data";
  ASSIGN_OR_RETURN(
      const auto system,
      System::open(settings,
                   {.version = "bench", .command = {}, .start_token = kToken, .web_folder = {}}));
  std::printf("Filling the index: %d rows\n", options.rows);
  std::fflush(stdout);
  TRY(fill(*system, options.rows));
  http::ServerOptions server_options;
  server_options.listen = http::ListenAddress{.host = "127.0.0.1", .port = 0, .port_given = true};
  ASSIGN_OR_RETURN(const auto server, http::Server::listen(server_options, system->router()));
  system->router().set_address(server->url(), server->port());
  server->start();

  std::printf("                                latency ms               median ms a stage\n");
  std::printf("%-20s %7s  %7s %7s  %7s  %7s %7s %7s %7s\n", "query", "clients", "p50", "p99",
              "per s", "decode", "model", "index", "rows");
  std::uint32_t seed = 1'000'000;  // every picture is new, so that no cache answers
  const auto fresh = [&](int count, int width, int height) {
    seed += 100'000;
    return made_pictures(count, width, height, seed);
  };
  ASSIGN_OR_RETURN(const auto warm, fresh(40, 300, 200));
  Answers ignored;
  for (const auto& picture : warm) ask(server->port(), picture, ignored);
  if (!ignored.failure.empty())
    return Error(ErrorCode::internal, "a query failed: " + ignored.failure);
  ASSIGN_OR_RETURN(const auto alone, fresh(options.queries, 300, 200));
  TRY(run_row("300 x 200 JPEG", server->port(), alone, 1));
  ASSIGN_OR_RETURN(const auto together, fresh(options.queries * 2, 300, 200));
  TRY(run_row("300 x 200 JPEG", server->port(), together, 8));
  ASSIGN_OR_RETURN(const auto large, fresh(options.large, 4000, 3000));
  TRY(run_row("4000 x 3000 JPEG", server->port(), large, 1));
  server->stop();
  return {};
}

}  // namespace similis::bench
