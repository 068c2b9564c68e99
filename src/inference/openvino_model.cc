#include "inference/openvino_model.h"

#include <algorithm>
#include <cstring>
#include <istream>
#include <set>
#include <sstream>
#include <streambuf>

#include "base/crc32c.h"
#include "base/file.h"
#include "base/log.h"
#include "base/nearest.h"
#include "inference/output_head.h"

namespace similis {
namespace {

using ModelPtr = std::shared_ptr<ov::Model>;

std::vector<std::string> all_tensor_names(const ov::Model& model) {
  std::set<std::string> names;
  for (const auto& op : model.get_ordered_ops()) {
    for (const auto& output : op->outputs())
      names.insert(output.get_names().begin(), output.get_names().end());
  }
  return {names.begin(), names.end()};
}

std::string joined(const std::vector<ov::Output<const ov::Node>>& ports) {
  std::string out;
  for (const auto& port : ports) {
    if (!port.get_names().empty()) out += (out.empty() ? "" : ", ") + port.get_any_name();
  }
  return out;
}

/// The tensor called `name`, wherever in the graph it is.
Result<ov::Output<ov::Node>> find_tensor(const ov::Model& model, const std::string& key,
                                         const std::string& name) {
  for (const auto& op : model.get_ordered_ops()) {
    for (const auto& output : op->outputs()) {
      if (output.get_names().contains(name)) {
        // A graph's output is a node of its own that passes a tensor on under the same name.
        return ov::is_type<ov::op::v0::Result>(op) ? op->input_value(0) : output;
      }
    }
  }
  std::string hint = did_you_mean(name, all_tensor_names(model));
  if (hint.empty()) hint = "The model's outputs are " + joined(model.outputs()) + ".";
  return Error(ErrorCode::invalid_argument,
               "the model has no tensor `" + name + "`, which the card names as " + key, hint);
}

Result<std::shared_ptr<ov::op::v0::Parameter>> find_input(const ov::Model& model,
                                                          const std::string& name) {
  if (model.get_parameters().size() != 1) {
    return Error(ErrorCode::invalid_argument,
                 "the model has " + std::to_string(model.get_parameters().size()) + " inputs (" +
                     joined(model.inputs()) + "); it must have one, the picture",
                 "Export the image part of the model alone.");
  }
  const auto parameter = model.get_parameters()[0];
  if (!name.empty() && !parameter->output(0).get_names().contains(name)) {
    return Error(ErrorCode::invalid_argument,
                 "the model's input is not called `" + name + "`, as the card says",
                 "It is called " + joined(model.inputs()) + "; input.name may be left out.");
  }
  return parameter;
}

ModelPtr read_model(const ModelFolder& folder) {
  if (!folder.card.data_file.empty() && folder.card.file.ends_with(".xml")) {
    return openvino_core().read_model(folder.model_path().string(),
                                      (folder.folder / folder.card.data_file).string());
  }
  return openvino_core().read_model(folder.model_path().string());
}

/// The part of the model that leads from a picture to what the card wants, for one picture, in f32.
Result<ModelPtr> prepare_model(const ModelFolder& folder) {
  const ModelCard& card = folder.card;
  const ModelPtr whole = read_model(folder);
  ASSIGN_OR_RETURN(const auto parameter, find_input(*whole, card.input.name));

  ov::ResultVector results;
  const std::string vector_key = card.output.pooling.kind == Pooling::Kind::none
                                     ? "output.embedding"
                                 : card.output.tokens.empty() ? "output.feature_map"
                                                              : "output.tokens";
  ASSIGN_OR_RETURN(const auto vector,
                   find_tensor(*whole, vector_key, OutputHead::vector_tensor(card)));
  results.push_back(std::make_shared<ov::op::v0::Result>(vector));
  if (const std::string& name = OutputHead::class_tensor(card); !name.empty()) {
    ASSIGN_OR_RETURN(
        const auto classes,
        find_tensor(*whole, card.output.logits.empty() ? "output.probabilities" : "output.logits",
                    name));
    results.push_back(std::make_shared<ov::op::v0::Result>(classes));
  }
  auto model = std::make_shared<ov::Model>(results, ov::ParameterVector{parameter}, card.name);

  const auto height = card.preprocess.height_px, width = card.preprocess.width_px;
  const ov::PartialShape shape = card.input.channels_last ? ov::PartialShape{1, height, width, 3}
                                                          : ov::PartialShape{1, 3, height, width};
  if (!parameter->get_partial_shape().compatible(shape)) {
    return Error(ErrorCode::invalid_argument,
                 "the model's input is " + parameter->get_partial_shape().to_string() +
                     ", the card's is " + shape.to_string(),
                 "See input.width, input.height and input.layout.");
  }
  model->reshape(shape);

  ov::preprocess::PrePostProcessor floats(model);
  floats.input().tensor().set_element_type(ov::element::f32);
  for (std::size_t i = 0; i < results.size(); ++i)
    floats.output(i).tensor().set_element_type(ov::element::f32);
  model = floats.build();
  for (const auto& output : model->outputs()) {
    const ov::PartialShape& found = output.get_partial_shape();
    if (found.is_dynamic() || found.size() == 0 || found[0] != 1) {
      return Error(ErrorCode::invalid_argument, "an output of the model is " + found.to_string() +
                                                    ", not of a fixed size with one row a picture");
    }
  }
  return model;
}

// A compiled model on disk, little-endian: 8 bytes "SIMOVC1\n", u32 length of the key, u32 CRC-32C
// of the payload, u64 length of the payload, key, payload (what OpenVINO exports). The key is all
// that decides whether it may be used.
constexpr std::string_view kMagic = "SIMOVC1\n";
constexpr std::size_t kHeaderBytes = 24;
constexpr std::uint64_t kCompiledBytesMax = std::uint64_t{8} << 30;

/// An istream over bytes in memory, without a copy (std::ispanstream is C++23).
class BytesBuffer : public std::streambuf {
 public:
  explicit BytesBuffer(std::span<const std::byte> bytes) {
    char* begin = const_cast<char*>(
        reinterpret_cast<const char*>(bytes.data()));  // a get area is never written to
    setg(begin, begin, begin + bytes.size());
  }

 protected:
  pos_type seekoff(off_type offset, std::ios_base::seekdir from,
                   std::ios_base::openmode which) override {
    if ((which & std::ios_base::in) == 0) return pos_type(off_type(-1));
    const off_type size = egptr() - eback();
    const off_type base = from == std::ios_base::beg   ? 0
                          : from == std::ios_base::cur ? gptr() - eback()
                                                       : size;
    const off_type at = base + offset;
    if (at < 0 || at > size) return pos_type(off_type(-1));
    setg(eback(), eback() + at, egptr());
    return pos_type(at);
  }
  pos_type seekpos(pos_type at, std::ios_base::openmode which) override {
    return seekoff(off_type(at), std::ios_base::beg, which);
  }
};

ov::AnyMap properties(const CompileOptions& options) {
  return {ov::hint::inference_precision(options.bf16 ? ov::element::bf16 : ov::element::f32),
          ov::num_streams(static_cast<std::int32_t>(options.streams)),
          ov::inference_num_threads(static_cast<std::int32_t>(options.threads)),
          // Decoders run on the same cores: a pinned thread would wait for its core while another
          // is free.
          ov::hint::enable_cpu_pinning(false)};
}

/// not_found when there is none, or one made for something else.
Result<ov::CompiledModel> load_compiled(const std::filesystem::path& path, const std::string& key,
                                        const CompileOptions& options) {
  ASSIGN_OR_RETURN(const std::vector<std::byte> bytes, read_file(path, kCompiledBytesMax));
  std::uint32_t key_bytes = 0, crc = 0;
  std::uint64_t payload_bytes = 0;
  const Error stale(ErrorCode::not_found,
                    path.string() + " was made by another version or for another model or CPU");
  if (bytes.size() < kHeaderBytes || std::memcmp(bytes.data(), kMagic.data(), kMagic.size()) != 0)
    return stale;
  std::memcpy(&key_bytes, bytes.data() + 8, 4);
  std::memcpy(&crc, bytes.data() + 12, 4);
  std::memcpy(&payload_bytes, bytes.data() + 16, 8);
  if (key_bytes != key.size() || bytes.size() - kHeaderBytes < key_bytes ||
      std::memcmp(bytes.data() + kHeaderBytes, key.data(), key.size()) != 0) {
    return stale;
  }
  const std::span<const std::byte> payload = std::span(bytes).subspan(kHeaderBytes + key_bytes);
  if (payload.size() != payload_bytes || crc32c(payload) != crc) {
    return Error(ErrorCode::corruption, path.string() + " is damaged");
  }
  return catching(ErrorCode::corruption, path.string(), [&]() -> Result<ov::CompiledModel> {
    BytesBuffer buffer(payload);
    std::istream stream(&buffer);
    return openvino_core().import_model(stream, "CPU", properties(options));
  });
}

Status keep_compiled(const std::filesystem::path& path, const std::string& key,
                     ov::CompiledModel& compiled) {
  std::ostringstream stream;
  compiled.export_model(stream);
  const std::string payload = std::move(stream).str();
  const auto key_bytes = static_cast<std::uint32_t>(key.size());
  const std::uint32_t crc = crc32c(std::as_bytes(std::span(payload)));
  const std::uint64_t payload_bytes = payload.size();
  std::vector<std::byte> bytes(kHeaderBytes + key.size() + payload.size());
  std::memcpy(bytes.data(), kMagic.data(), kMagic.size());
  std::memcpy(bytes.data() + 8, &key_bytes, 4);
  std::memcpy(bytes.data() + 12, &crc, 4);
  std::memcpy(bytes.data() + 16, &payload_bytes, 8);
  std::memcpy(bytes.data() + kHeaderBytes, key.data(), key.size());
  std::memcpy(bytes.data() + kHeaderBytes + key.size(), payload.data(), payload.size());
  TRY(make_directories(path.parent_path()));
  return publish_file(path, bytes);
}

}  // namespace

Error openvino_error(ErrorCode code, const std::string& what, const std::exception& caught) {
  // OpenVINO's messages are many lines with source positions; what is wrong stands in one of the
  // last.
  std::string text;
  std::istringstream lines(caught.what());
  for (std::string line; std::getline(lines, line);) {
    if (line.empty() || line.starts_with("Exception from ")) continue;
    text += (text.empty() ? "" : " ") + line;
  }
  constexpr std::size_t kTextMax = 400;
  if (text.size() > kTextMax) text = text.substr(0, kTextMax) + " ...";
  return Error(code, what + ": " + text);
}

ov::Core& openvino_core() {
  // Never destroyed: at exit it would race with the runtime's own static objects.
  static ov::Core* const core = [] {
    auto* made = new ov::Core;
    made->set_property(ov::enable_mmap(false));
    return made;
  }();
  return *core;
}

std::string openvino_version() {
  return ov::get_openvino_version().buildNumber;
}

std::vector<std::size_t> picture_shape(const ov::Output<const ov::Node>& port) {
  const ov::Shape& shape = port.get_shape();
  return {shape.begin() + 1, shape.end()};
}

std::string compiled_key(const ModelFolder& folder, const CompileOptions& options) {
  std::ostringstream key;
  key << "openvino " << openvino_version() << '\n'
      << "cpu " << openvino_core().get_property("CPU", ov::device::full_name);
  for (const std::string& capability :
       openvino_core().get_property("CPU", ov::device::capabilities)) {
    key << ' ' << capability;
  }
  const ModelCard& card = folder.card;
  key << "\nmodel " << card.sha256 << ' ' << card.data_sha256 << '\n'
      << "input " << card.input.name << ' ' << card.preprocess.width_px << 'x'
      << card.preprocess.height_px << ' ' << card.input.channels_last << '\n'
      << "outputs " << OutputHead::vector_tensor(card) << ' ' << OutputHead::class_tensor(card)
      << '\n'
      << "threads " << options.threads << " streams " << options.streams
      << (options.bf16 ? " bf16" : " f32") << '\n';
  return key.str();
}

Result<ov::CompiledModel> compile_folder(const ModelFolder& folder, const CompileOptions& options) {
  const std::string what = "model " + folder.card.name + "@" + folder.card.version;
  return catching(ErrorCode::invalid_argument, what, [&]() -> Result<ov::CompiledModel> {
    std::filesystem::path path;
    std::string key;
    if (!options.cache_dir.empty()) {
      key = compiled_key(folder, options);
      // One file a model and use: a newer runtime replaces what an older one left.
      path = options.cache_dir /
             (folder.identity.substr(0, 16) + (options.streams > 1 ? "-lanes" : "-lone") +
              (options.bf16 ? "-bf16" : "-f32") + ".compiled");
      Result<ov::CompiledModel> kept = load_compiled(path, key, options);
      if (kept.ok()) return kept;
      if (kept.error().code != ErrorCode::not_found)
        log(LogLevel::warning, "compiling again: " + kept.error().message);
    }
    Result<ModelPtr> prepared = prepare_model(folder);
    if (!prepared.ok()) return prepared.error().with_context(folder.model_path().string());
    ov::CompiledModel compiled =
        openvino_core().compile_model(*prepared, "CPU", properties(options));
    if (!path.empty()) {
      if (const Status kept = keep_compiled(path, key, compiled); !kept.ok()) {
        log(LogLevel::warning, "the compiled model is not kept, the next start compiles again: " +
                                   kept.error().message);
      }
    }
    return compiled;
  });
}

}  // namespace similis
