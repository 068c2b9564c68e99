#include "inference/openvino.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <random>
#include <thread>

#include "base/file.h"
#include "inference/openvino_model.h"
#include "inference/probes.h"
#include "inference/test_folder.h"
#include "inference/test_onnx.h"

namespace similis {
namespace {

using testing::HasSubstr;

constexpr double kScale = 0.01, kMean = 0.4, kStd = 0.5;

std::vector<std::uint8_t> random_pixels(const TinyOnnx& model, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<std::uint8_t> pixels(3 * model.height * model.width);
  for (auto& p : pixels) p = static_cast<std::uint8_t>(random());
  return pixels;
}

class OpenVinoTest : public testing::Test {
 protected:
  OpenVinoTest() { folder_.write("model.onnx", model_.bytes()); }

  static std::string card(std::string_view output, std::string_view model_keys = "",
                          std::string_view input_keys = "") {
    return "card = 1\nname = \"tiny\"\nversion = \"1\"\n[model]\n" + std::string(model_keys) +
           "\n[input]\nwidth = 8\nheight = 6\nscale = 0.01\nmean = [0.4, 0.4, 0.4]\nstd = [0.5, "
           "0.5, 0.5]\n" +
           std::string(input_keys) + "\n[output]\n" + std::string(output);
  }

  /// As the arithmetic that answers are compared with, also on a CPU that has bf16.
  static OpenVinoOptions in_f32() {
    OpenVinoOptions options;
    options.precision = Precision::f32;
    return options;
  }

  [[nodiscard]] Result<std::unique_ptr<Embedder>> open(
      const std::string& card_text, const OpenVinoOptions& options = in_f32()) const {
    folder_.write("card.toml", card_text);
    ASSIGN_OR_RETURN(const ModelFolder folder, load_new_model_folder(folder_.path()));
    return open_openvino(folder, options);
  }

  [[nodiscard]] Error open_error(const std::string& card_text) const {
    const auto opened = open(card_text);
    EXPECT_FALSE(opened.ok());
    return opened.ok() ? Error() : opened.error();
  }

  [[nodiscard]] PictureTensor tensor(const std::vector<std::uint8_t>& pixels) const {
    return {static_cast<std::uint32_t>(model_.width), static_cast<std::uint32_t>(model_.height),
            pixels};
  }

  /// The network's map for these pixels, by plain loops.
  [[nodiscard]] std::vector<float> expected_map(const std::vector<std::uint8_t>& pixels,
                                                bool bgr = false) const {
    const std::size_t area = model_.height * model_.width;
    std::vector<float> floats(3 * area);
    for (std::size_t i = 0; i < area; ++i) {
      for (std::size_t k = 0; k < 3; ++k) {
        const double byte = pixels[3 * i + (bgr ? 2 - k : k)];
        floats[k * area + i] = static_cast<float>((byte * kScale - kMean) / kStd);
      }
    }
    return model_.map(floats);
  }
  [[nodiscard]] std::vector<float> expected(const std::vector<std::uint8_t>& pixels,
                                            const Pooling& pooling, bool bgr = false) const {
    std::vector<float> out(model_.channels);
    pool(pooling, false, expected_map(pixels, bgr), Positions::channels_first(model_.channels, 48),
         out);
    l2_normalise(out);
    return out;
  }

  void expect_embeds(Embedder& embedder, const Pooling& pooling, bool bgr = false) const {
    for (unsigned seed = 0; seed < 5; ++seed) {
      const auto pixels = random_pixels(model_, seed);
      const PictureTensor picture = tensor(pixels);
      const Result<EmbedBatch> batch = embedder.embed(Context{}, {&picture, 1});
      ASSERT_TRUE(batch.ok()) << batch.error().message;
      EXPECT_THAT(batch->at(0).vector,
                  testing::Pointwise(testing::FloatNear(1e-5F), expected(pixels, pooling, bgr)));
    }
  }

  TinyOnnx model_;
  TestFolder folder_;
};

TEST_F(OpenVinoTest, ReadyEmbeddingWithClasses) {
  folder_.write("labels.txt", "ant\nbee\ncow\n");
  auto embedder =
      open(card("embedding = \"embedding\"\nlogits = \"scores\"\nlabels = \"labels.txt\"\n"));
  ASSERT_TRUE(embedder.ok()) << embedder.error().message;
  expect_embeds(**embedder, {Pooling::Kind::avg, 3, 1});
  const ModelInfo& info = (*embedder)->info();
  EXPECT_EQ(info.dimensions, 5u);
  EXPECT_EQ(info.backend, "openvino");
  EXPECT_EQ(info.preprocess.width_px, 8);

  const auto pixels = random_pixels(model_, 1);
  const PictureTensor picture = tensor(pixels);
  const Embedding answer = (*embedder)->embed(Context{}, {&picture, 1})->at(0);
  std::vector<float> pooled(model_.channels), scores(model_.classes);
  pool({Pooling::Kind::avg, 3, 1}, false, expected_map(pixels), Positions::channels_first(5, 48),
       pooled);
  for (std::size_t o = 0; o < model_.classes; ++o) {
    for (std::size_t c = 0; c < model_.channels; ++c)
      scores[o] += model_.classifier(o, c) * pooled[c];
  }
  softmax(scores);
  ASSERT_EQ(answer.classes.size(), 3u);
  const auto best =
      static_cast<std::size_t>(std::max_element(scores.begin(), scores.end()) - scores.begin());
  EXPECT_EQ(answer.classes[0].class_id, static_cast<std::int32_t>(best));
  EXPECT_EQ(answer.classes[0].name, info.labels[best]);
  EXPECT_NEAR(answer.classes[0].probability, scores[best], 1e-5);
}

TEST_F(OpenVinoTest, PoolsAnInnerFeatureMap) {
  for (const std::string kind : {"avg", "max", "gem"}) {
    auto embedder = open(card("feature_map = \"map\"\npooling = \"" + kind + "\"\n"));
    ASSERT_TRUE(embedder.ok()) << embedder.error().message;
    const auto as = kind == "avg"   ? Pooling::Kind::avg
                    : kind == "max" ? Pooling::Kind::max
                                    : Pooling::Kind::gem;
    expect_embeds(**embedder, {as, 3, 1});
    EXPECT_TRUE((*embedder)->info().labels.empty());
  }
}

TEST_F(OpenVinoTest, PoolsTokens) {
  auto embedder = open(card("tokens = \"tokens\"\npooling = \"gem\"\nprefix_tokens = 0\n"));
  ASSERT_TRUE(embedder.ok()) << embedder.error().message;
  expect_embeds(**embedder, {Pooling::Kind::gem, 3, 1});

  embedder = open(card("tokens = \"tokens\"\n"));
  ASSERT_TRUE(embedder.ok());
  const auto pixels = random_pixels(model_, 7);
  const PictureTensor picture = tensor(pixels);
  const auto map = expected_map(pixels);
  std::vector<float> first;
  for (std::size_t c = 0; c < model_.channels; ++c) first.push_back(map[c * 48]);
  l2_normalise(first);
  EXPECT_THAT((*embedder)->embed(Context{}, {&picture, 1})->at(0).vector,
              testing::Pointwise(testing::FloatNear(1e-5F), first));
}

TEST_F(OpenVinoTest, ChannelOrder) {
  auto embedder = open(card("embedding = \"embedding\"", "", "channels = \"bgr\""));
  ASSERT_TRUE(embedder.ok()) << embedder.error().message;
  expect_embeds(**embedder, {Pooling::Kind::avg, 3, 1}, true);
}

TEST_F(OpenVinoTest, PcaComesLast) {
  Pca pca;
  pca.dimensions_in = 5;
  pca.dimensions_out = 2;
  pca.mean = {0.1F, 0, 0, 0, 0};
  pca.components = {1, 0, 0, 0, 0, 0, 1, 1, 0, 0};
  ASSERT_TRUE(write_pca(folder_.path() / "reduce.pca", pca).ok());
  auto embedder = open(card("embedding = \"embedding\"\npca = \"reduce.pca\""));
  ASSERT_TRUE(embedder.ok()) << embedder.error().message;
  EXPECT_EQ((*embedder)->info().dimensions, 2u);
  const auto pixels = random_pixels(model_, 2);
  const auto full = expected(pixels, {Pooling::Kind::avg, 3, 1});
  std::vector<float> reduced = {full[0] - 0.1F, full[1] + full[2]};
  l2_normalise(reduced);
  const PictureTensor picture = tensor(pixels);
  EXPECT_THAT((*embedder)->embed(Context{}, {&picture, 1})->at(0).vector,
              testing::Pointwise(testing::FloatNear(1e-5F), reduced));
}

TEST_F(OpenVinoTest, ReadsIntermediateRepresentation) {
  const auto written = openvino_core().read_model((folder_.path() / "model.onnx").string());
  ov::save_model(written, (folder_.path() / "model.xml").string(), false);
  auto embedder =
      open(card("feature_map = \"map\"", "file = \"model.xml\"\ndata_file = \"model.bin\""));
  ASSERT_TRUE(embedder.ok()) << embedder.error().message;
  expect_embeds(**embedder, {Pooling::Kind::avg, 3, 1});
}

TEST_F(OpenVinoTest, ManyThreadsAndBulkCallsGetTheSameAnswers) {
  OpenVinoOptions options = in_f32();
  options.threads = 3;
  auto embedder = open(card("embedding = \"embedding\"\nlogits = \"scores\""), options);
  ASSERT_TRUE(embedder.ok()) << embedder.error().message;
  std::vector<std::jthread> clients;
  for (unsigned client = 0; client < 6; ++client) {
    clients.emplace_back([&, client] {
      std::vector<std::vector<std::uint8_t>> pixels;
      for (unsigned i = 0; i < 1 + 9 * (client % 2); ++i)
        pixels.push_back(random_pixels(model_, 100 * client + i));
      std::vector<PictureTensor> pictures;
      for (const auto& p : pixels) pictures.push_back(tensor(p));
      for (int round = 0; round < 20; ++round) {
        const Result<EmbedBatch> batch = (*embedder)->embed(Context{}, pictures);
        ASSERT_TRUE(batch.ok()) << batch.error().message;
        for (std::size_t i = 0; i < pixels.size(); ++i) {
          ASSERT_THAT(batch->at(i).vector,
                      testing::Pointwise(testing::FloatNear(1e-5F),
                                         expected(pixels[i], {Pooling::Kind::avg, 3, 1})));
          ASSERT_EQ(batch->at(i).classes.size(), 3u);
          ASSERT_EQ(batch->at(i).classes[0].name.substr(0, 6), "class ");
        }
      }
    });
  }
}

TEST_F(OpenVinoTest, KeepsCompiledModelsAndDistrustsThem) {
  OpenVinoOptions options = in_f32();
  options.threads = 2;
  options.cache_dir = folder_.path() / "cache";
  const std::string text = card("embedding = \"embedding\"");
  const auto compiled_files = [&] {
    std::vector<std::filesystem::path> files;
    for (const auto& entry : std::filesystem::directory_iterator(options.cache_dir))
      files.push_back(entry.path());
    return files;
  };
  ASSERT_TRUE(open(text, options).ok());
  ASSERT_EQ(compiled_files().size(), 1u);
  const std::filesystem::path kept = compiled_files()[0];
  const std::vector<std::byte> good = read_file(kept).value();

  // Taken from the cache: the model file is not needed any more to open it.
  folder_.write("card.toml", text);
  ModelFolder folder = load_new_model_folder(folder_.path()).value();
  folder.folder = folder_.path() / "elsewhere";
  auto from_cache = open_openvino(folder, options);
  ASSERT_TRUE(from_cache.ok()) << from_cache.error().message;
  expect_embeds(**from_cache, {Pooling::Kind::avg, 3, 1});

  // Damaged in any place, cut, or foreign: compiled again, and good again afterwards.
  std::mt19937 random(5);
  std::vector<std::size_t> places = {0, 9, 13, 17, 30, good.size() - 1};
  for (int i = 0; i < 6; ++i) places.push_back(random() % good.size());
  for (const std::size_t place : places) {
    std::vector<std::byte> bad = good;
    bad[place] ^= std::byte{4};
    ASSERT_TRUE(publish_file(kept, bad).ok());
    auto again = open(text, options);
    ASSERT_TRUE(again.ok()) << again.error().message;
    expect_embeds(**again, {Pooling::Kind::avg, 3, 1});
    EXPECT_NE(read_file(kept).value(), bad) << "byte " << place;
  }
  ASSERT_TRUE(publish_file(kept, std::span(good).first(good.size() / 2)).ok());
  ASSERT_TRUE(open(text, options).ok());

  // A cache that cannot be written costs nothing but the compilation.
  options.cache_dir = folder_.path() / "model.onnx" / "cache";
  ASSERT_TRUE(open(text, options).ok());
}

TEST_F(OpenVinoTest, WrongCardsAreExplained) {
  EXPECT_THAT(open_error(card("embedding = \"embeding\"")).message,
              HasSubstr("has no tensor `embeding`"));
  EXPECT_EQ(open_error(card("embedding = \"embeding\"")).hint, "Did you mean \"embedding\"?");
  EXPECT_THAT(open_error(card("embedding = \"xyz\"")).hint, HasSubstr("embedding, scores, tokens"));
  EXPECT_THAT(open_error(card("embedding = \"map\"")).message,
              HasSubstr("N x 5 x 6 x 8, not one vector"));
  EXPECT_THAT(open_error(card("tokens = \"map\"")).message,
              HasSubstr("expected N x tokens x dimensions"));
  EXPECT_THAT(open_error(card("feature_map = \"tokens\"")).message,
              HasSubstr("expected three sides"));
  EXPECT_THAT(open_error(card("embedding = \"embedding\"\ndimensions = 6")).message,
              HasSubstr("the model gives 5"));
  EXPECT_THAT(
      open_error(card("tokens = \"tokens\"\npooling = \"avg\"\nprefix_tokens = 48")).message,
      HasSubstr("leaves none to pool"));
  EXPECT_THAT(open_error(card("embedding = \"embedding\"", "", "name = \"image\"")).hint,
              HasSubstr("picture"));
  EXPECT_THAT(open_error(card("embedding = \"embedding\"", "", "layout = \"nhwc\"")).message,
              HasSubstr("the card's is"));
  folder_.write("labels.txt", "ant\nbee\n");
  EXPECT_THAT(
      open_error(card("embedding = \"embedding\"\nlogits = \"scores\"\nlabels = \"labels.txt\""))
          .message,
      HasSubstr("has 2 lines, the model has 3 classes"));
  folder_.write("model.onnx", "this is no model");
  const Error no_model = open_error(card("embedding = \"embedding\""));
  EXPECT_EQ(no_model.code, ErrorCode::invalid_argument);
  EXPECT_THAT(no_model.message, HasSubstr("model.onnx"));
}

TEST_F(OpenVinoTest, WrongTensorsAreRefused) {
  auto embedder = open(card("embedding = \"embedding\""));
  ASSERT_TRUE(embedder.ok());
  const std::vector<std::uint8_t> pixels(3 * 48);
  const PictureTensor swapped = {6, 8, pixels};
  EXPECT_EQ((*embedder)->embed(Context{}, {&swapped, 1}).error().code, ErrorCode::invalid_argument);
  const PictureTensor cut = {8, 6, std::span(pixels).first(100)};
  EXPECT_EQ((*embedder)->embed(Context{}, {&cut, 1}).error().code, ErrorCode::invalid_argument);
}

TEST_F(OpenVinoTest, LowPrecisionIsUsedOnlyWhereTheCpuHasItAndItIsTrue) {
  OpenVinoOptions options;
  options.cache_dir = folder_.path() / "cache";
  options.precision = Precision::bf16;
  const std::string text = card("embedding = \"embedding\"");
  const auto forced = open(text, options);
  const auto capabilities = openvino_core().get_property("CPU", ov::device::capabilities);
  if (std::count(capabilities.begin(), capabilities.end(), "BF16") == 0) {
    ASSERT_FALSE(forced.ok());
    EXPECT_EQ(forced.error().code, ErrorCode::invalid_argument);
    EXPECT_THAT(forced.error().hint, HasSubstr("model.precision"));
    options.precision = Precision::automatic;
    EXPECT_EQ(open(text, options).value()->info().precision, "f32");
  } else if (forced.ok()) {
    EXPECT_EQ((*forced)->info().precision, "bf16");
    options.precision = Precision::f32;
    auto exact = open(text, options);
    ASSERT_TRUE(exact.ok());
    EXPECT_GE(probe_cosine(Context{}, **exact, embed_probes(Context{}, **forced).value()).value(),
              kSelfTestCosineMin);
  } else {
    EXPECT_THAT(forced.error().message, HasSubstr("cosine"));
  }
}

}  // namespace
}  // namespace similis
