#include "inference/openvino.h"

#include <sched.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <mutex>
#include <optional>
#include <utility>

#include "base/file.h"
#include "base/log.h"
#include "inference/input_tensor.h"
#include "inference/lanes.h"
#include "inference/openvino_model.h"
#include "inference/output_head.h"
#include "inference/probes.h"

namespace similis {
namespace {

constexpr std::size_t kThreadsMax = 1024;

std::size_t usable_cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) == 0)
    return static_cast<std::size_t>(std::max(1, CPU_COUNT(&set)));
  return std::max(1U, std::thread::hardware_concurrency());
}

bool cpu_has_bf16() {
  const auto capabilities = openvino_core().get_property("CPU", ov::device::capabilities);
  return std::find(capabilities.begin(), capabilities.end(), ov::device::capability::BF16) !=
         capabilities.end();
}

class OpenVinoEmbedder final : public Embedder {
 public:
  static Result<std::unique_ptr<OpenVinoEmbedder>> open(const ModelFolder& folder,
                                                        CompileOptions lone, std::size_t lanes,
                                                        std::size_t batch = 0) {
    ASSIGN_OR_RETURN(ov::CompiledModel compiled, compile_folder(folder, lone));
    std::unique_ptr<OpenVinoEmbedder> out(
        new OpenVinoEmbedder(folder, std::move(lone), lanes, batch));
    TRY(out->start(std::move(compiled)));
    return out;
  }

  Result<EmbedBatch> embed(const Context& ctx, std::span<const PictureTensor> pictures) override {
    for (const PictureTensor& picture : pictures) TRY(input_.check(picture));
    return queue_->embed(ctx, pictures);
  }
  [[nodiscard]] const ModelInfo& info() const override { return info_; }
  [[nodiscard]] std::size_t preferred_batch() const override { return batch_; }

 private:
  OpenVinoEmbedder(const ModelFolder& folder, CompileOptions lone, std::size_t lanes,
                   std::size_t batch)
      : folder_(folder),
        lone_options_(std::move(lone)),
        input_(folder.card),
        // By default enough that the lanes rarely wait for the slowest of a call.
        batch_(batch != 0 ? batch : std::max<std::size_t>(8, 4 * lanes)),
        lanes_(lanes),
        info_(folder.info()) {}

  Status start(ov::CompiledModel compiled) {
    return catching(ErrorCode::internal, "model " + info_.name, [&]() -> Status {
      const std::vector<std::size_t> classes = compiled.outputs().size() > 1
                                                   ? picture_shape(compiled.output(1))
                                                   : std::vector<std::size_t>{};
      ASSIGN_OR_RETURN(OutputHead head,
                       OutputHead::make(folder_, picture_shape(compiled.output(0)), classes));
      head_ = std::move(head);
      info_.dimensions = head_->dimensions();
      info_.backend = "openvino";
      info_.precision = lone_options_.bf16 ? "bf16" : "f32";
      lone_ = compiled.create_infer_request();
      queue_.emplace(
          lanes_.size(), [this](std::size_t lane, bool alone, const PictureTensor& picture) {
            return catching(ErrorCode::internal, "model " + info_.name, [&]() -> Result<Embedding> {
              // With one lane there is nothing to share: both ways are the same.
              if (alone || lanes_.size() == 1) return run(*lone_, picture);
              if (!lanes_[lane]) TRY(open_lane(lane));
              return run(*lanes_[lane], picture);
            });
          });
      return {};
    });
  }

  Status open_lane(std::size_t lane) {
    std::lock_guard lock(lanes_mutex_);
    if (!lanes_model_) {
      CompileOptions options = lone_options_;
      options.streams = lanes_.size();
      ASSIGN_OR_RETURN(lanes_model_, compile_folder(folder_, options));
    }
    lanes_[lane] = lanes_model_->create_infer_request();
    return {};
  }

  Result<Embedding> run(ov::InferRequest& request, const PictureTensor& picture) const {
    ov::Tensor in = request.get_input_tensor();
    input_.fill(picture, {in.data<float>(), in.get_size()});
    request.infer();
    const ov::Tensor vector = request.get_output_tensor(0);
    const std::span<const float> values(vector.data<const float>(), vector.get_size());
    if (head_->class_values() == 0) return head_->finish(values, {});
    const ov::Tensor classes = request.get_output_tensor(1);
    return head_->finish(values, {classes.data<const float>(), classes.get_size()});
  }

  const ModelFolder folder_;
  const CompileOptions lone_options_;
  const InputTensor input_;
  const std::size_t batch_;
  std::optional<OutputHead> head_;
  std::optional<ov::InferRequest> lone_;  // all threads on one picture
  std::mutex lanes_mutex_;
  std::optional<ov::CompiledModel> lanes_model_;        // a stream a lane; opened at the first need
  std::vector<std::optional<ov::InferRequest>> lanes_;  // each touched by its lane's thread only
  ModelInfo info_;
  std::optional<InferenceLanes> queue_;  // last: its threads use all of the above
};

struct SelfTest {
  double cosine = 0;  // the smallest, to f32
  double speed_up = 0;
};

/// Seconds of the fastest of a few passes over the probes, after one that warms up.
Result<double> probe_seconds(Embedder& embedder) {
  double best = 1e9;
  for (int pass = 0; pass < 4; ++pass) {
    const auto begin = std::chrono::steady_clock::now();
    TRY(embed_probes(Context{}, embedder));
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    if (pass > 0) best = std::min(best, took.count());
  }
  return best;
}

Result<SelfTest> test_bf16(const ModelFolder& folder, CompileOptions options, std::size_t lanes) {
  options.bf16 = false;
  ASSIGN_OR_RETURN(const auto exact, OpenVinoEmbedder::open(folder, options, lanes));
  options.bf16 = true;
  ASSIGN_OR_RETURN(const auto fast, OpenVinoEmbedder::open(folder, options, lanes));
  ASSIGN_OR_RETURN(const auto expected, embed_probes(Context{}, *exact));
  SelfTest out;
  ASSIGN_OR_RETURN(out.cosine, probe_cosine(Context{}, *fast, expected));
  ASSIGN_OR_RETURN(const double exact_s, probe_seconds(*exact));
  ASSIGN_OR_RETURN(const double fast_s, probe_seconds(*fast));
  out.speed_up = exact_s / fast_s;
  return out;
}

/// Whether to run in bf16. What a self-test found is kept beside the compiled models.
Result<bool> choose_bf16(const ModelFolder& folder, const CompileOptions& options,
                         std::size_t lanes, Precision precision) {
  if (precision == Precision::f32) return false;
  if (!cpu_has_bf16()) {
    if (precision == Precision::automatic) return false;
    return Error(ErrorCode::invalid_argument, "this CPU has no bf16 arithmetic",
                 "Set model.precision to \"auto\" or \"f32\".");
  }
  const std::string key = compiled_key(folder, options);
  const std::filesystem::path path =
      options.cache_dir.empty() ? options.cache_dir
                                : options.cache_dir / (folder.identity.substr(0, 16) + ".selftest");
  std::optional<SelfTest> found;
  if (!path.empty()) {
    if (const Result<std::string> text = read_text_file(path);
        text.ok() && text->starts_with(key)) {
      SelfTest kept;
      if (std::sscanf(text->c_str() + key.size(), "%lf %lf", &kept.cosine, &kept.speed_up) == 2)
        found = kept;
    }
  }
  if (!found) {
    ASSIGN_OR_RETURN(found, test_bf16(folder, options, lanes));
    if (!path.empty()) {
      const std::string text =
          key + std::to_string(found->cosine) + " " + std::to_string(found->speed_up) + "\n";
      Status kept = make_directories(path.parent_path());
      if (kept.ok()) kept = publish_file(path, std::as_bytes(std::span(text)));
      if (!kept.ok())
        log(LogLevel::warning, "the self-test's result is not kept: " + kept.error().message);
    }
  }
  if (precision == Precision::automatic)
    return found->cosine >= kSelfTestCosineMin && found->speed_up > 1.05;
  if (found->cosine >= kSelfTestCosineMin) return true;
  return Error(ErrorCode::invalid_argument,
               "in bf16 model " + folder.card.name + " gives other embeddings: cosine " +
                   std::to_string(found->cosine) + " to f32 on a probe picture",
               "Set model.precision to \"f32\".");
}

}  // namespace

Result<std::unique_ptr<Embedder>> open_openvino(const ModelFolder& folder,
                                                const OpenVinoOptions& options) {
  return catching(ErrorCode::internal, "OpenVINO", [&]() -> Result<std::unique_ptr<Embedder>> {
    CompileOptions lone;
    lone.threads = std::clamp<std::size_t>(options.threads == 0 ? usable_cpus() : options.threads,
                                           1, kThreadsMax);
    lone.cache_dir = options.cache_dir;
    const std::size_t lanes =
        std::clamp<std::size_t>(options.lanes == 0 ? lone.threads : options.lanes, 1, lone.threads);
    ASSIGN_OR_RETURN(lone.bf16, choose_bf16(folder, lone, lanes, options.precision));
    ASSIGN_OR_RETURN(std::unique_ptr<Embedder> embedder,
                     OpenVinoEmbedder::open(folder, std::move(lone), lanes, options.batch));
    return embedder;
  });
}

}  // namespace similis
