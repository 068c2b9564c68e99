// Real models of the folder SIMILIS_SHARED_DIR against values that ONNX Runtime and NumPy gave for
// the probe pictures.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "base/file.h"
#include "inference/openvino.h"
#include "inference/probes.h"
#include "inference/test_folder.h"
#include "vision/decode/decode.h"

namespace similis {
namespace {

std::filesystem::path shared_folder() {
  const char* folder = std::getenv("SIMILIS_SHARED_DIR");
  return folder == nullptr ? SIMILIS_SOURCE_DIR "/../shared" : folder;
}

constexpr std::string_view kImageNetInput =
    "[input]\nwidth = 224\nheight = 224\nmean = [0.485, 0.456, 0.406]\nstd = [0.229, 0.224, "
    "0.225]\n";
constexpr std::string_view kLiteInput =
    "[input]\nwidth = 224\nheight = 224\nmean = [0.498, 0.498, 0.498]\nstd = [0.502, 0.502, "
    "0.502]\n";
constexpr std::string_view kViTInput =
    "[input]\nname = \"pixel_values\"\nwidth = 224\nheight = 224\nmean = [0.5, 0.5, 0.5]\nstd = "
    "[0.5, 0.5, 0.5]\n";
constexpr std::string_view kCaffeInput =
    "[input]\nwidth = 224\nheight = 224\nchannels = \"bgr\"\nscale = 1\nmean = [123.68, 116.779, "
    "103.939]\n";

struct Expected {
  const char* name;
  const char* file;
  std::string_view input;
  const char* output;
  std::uint32_t dimensions;
  std::vector<std::pair<std::size_t, float>> largest;  // of probe 3's normalised embedding
  double cosine_0_3;                                   // between probes 0 and 3
  std::int32_t top_class = -1;                         // of probe 3
  float top_probability = 0;
  float tolerance = 2e-4F;  // fp16 weights: 3e-3
};

constexpr const char* kLite = "efficientnet_lite0_imagenet_fp32.onnx";
constexpr const char* kMobile = "mobilenetv2_1.0_imagenet_embed1280_fp32.onnx";
constexpr const char* kSqueeze = "squeezenet1.1_imagenet_fp32.onnx";
constexpr const char* kSqueeze16 = "squeezenet_winml_fp16.onnx";
constexpr const char* kViT = "vit_tiny_p16_224_tinyimagenet200_fp32.onnx";

const std::vector<Expected>& expectations() {
  static const std::vector<Expected> all = {
      {"lite0_ready",
       kLite,
       kLiteInput,
       "embedding = \"embedding\"\nlogits = \"logits\"",
       1280,
       {{71, 0.217942F}, {113, 0.270650F}, {897, 0.267204F}, {1167, 0.213936F}},
       0.43450,
       470,
       0.1999F},
      {"lite0_inner_map",
       kLite,
       kLiteInput,
       "feature_map = \"_conv_head_or\"",
       1280,
       {{71, 0.217942F}, {113, 0.270650F}, {897, 0.267204F}, {1167, 0.213936F}},
       0.43450},
      {"mobilenetv2",
       kMobile,
       kImageNetInput,
       "embedding = \"embedding\"",
       1280,
       {{215, 0.128856F}, {388, 0.121887F}, {1034, 0.137107F}, {1081, 0.122160F}},
       0.57521},
      {"squeezenet",
       kSqueeze,
       kImageNetInput,
       "embedding = \"embedding\"\nlogits = \"logits\"",
       512,
       {{261, 0.227531F}, {422, 0.242724F}, {431, 0.240186F}, {509, 0.265480F}},
       0.35066,
       722,
       0.6623F},
      {"squeezenet_fp16_avg",
       kSqueeze16,
       kCaffeInput,
       "feature_map = \"fire9/concat_2\"\nprobabilities = \"softmaxout_1\"",
       512,
       {{58, 0.272704F}, {399, 0.281543F}, {433, 0.386253F}, {465, 0.250876F}},
       0.30555,
       722,
       0.5273F,
       3e-3F},
      {"squeezenet_fp16_gem",
       kSqueeze16,
       kCaffeInput,
       "feature_map = \"fire9/concat_2\"\npooling = \"gem\"",
       512,
       {{399, 0.234429F}, {433, 0.298788F}, {447, 0.222810F}, {465, 0.221420F}},
       0.36213,
       -1,
       0,
       3e-3F},
      {"vit_ready",
       kViT,
       kViTInput,
       "embedding = \"embedding\"\nlogits = \"logits\"",
       192,
       {{92, 0.204112F}, {114, 0.233578F}, {157, -0.193971F}, {191, 0.166047F}},
       0.30120,
       12,
       0.6802F},
      {"vit_cls",
       kViT,
       kViTInput,
       "tokens = \"last_hidden_state\"",
       192,
       {{92, 0.204112F}, {114, 0.233578F}, {157, -0.193971F}, {191, 0.166047F}},
       0.30120},
      {"vit_avg",
       kViT,
       kViTInput,
       "tokens = \"last_hidden_state\"\npooling = \"avg\"",
       192,
       {{39, -0.213389F}, {41, 0.315105F}, {80, -0.198280F}, {191, 0.262162F}},
       0.55735},
      {"vit_gem",
       kViT,
       kViTInput,
       "tokens = \"last_hidden_state\"\npooling = \"gem\"",
       192,
       {{41, 0.289293F}, {114, 0.166906F}, {130, 0.188572F}, {191, 0.258185F}},
       0.80976},
      {"vit_max",
       kViT,
       kViTInput,
       "tokens = \"last_hidden_state\"\npooling = \"max\"",
       192,
       {{41, 0.174832F}, {70, 0.141784F}, {130, 0.159984F}, {191, 0.213395F}},
       0.85303},
  };
  return all;
}

Result<std::unique_ptr<Embedder>> open_shared(const TestFolder& folder, const char* file,
                                              std::string_view input, std::string_view output,
                                              std::string_view keys_of_output = "") {
  std::filesystem::create_symlink(shared_folder() / "models" / file, folder.path() / "model.onnx");
  folder.write("card.toml", "card = 1\nname = \"m\"\nversion = \"1\"\n" + std::string(input) +
                                "[output]\n" + std::string(output) + "\n" +
                                std::string(keys_of_output));
  ASSIGN_OR_RETURN(const ModelFolder loaded, load_new_model_folder(folder.path()));
  OpenVinoOptions options;
  options.precision = Precision::f32;
  return open_openvino(loaded, options);
}

class SharedModel : public testing::TestWithParam<Expected> {};

TEST_P(SharedModel, AnswersTheProbesAsTheReferenceDoes) {
  const Expected& expected = GetParam();
  const TestFolder folder;
  const auto opened = open_shared(folder, expected.file, expected.input, expected.output);
  ASSERT_TRUE(opened.ok()) << opened.error().message << ' ' << opened.error().hint;
  Embedder& embedder = **opened;
  ASSERT_EQ(embedder.info().dimensions, expected.dimensions);

  const auto pictures = probe_pictures(224, 224);
  std::vector<PictureTensor> tensors;
  for (const ProbePicture& picture : pictures) tensors.push_back(picture.tensor());
  const Result<EmbedBatch> bulk = embedder.embed(Context{}, tensors);
  ASSERT_TRUE(bulk.ok()) << bulk.error().message;
  for (const auto& [index, value] : expected.largest) {
    EXPECT_NEAR(bulk->at(3).vector.at(index), value, expected.tolerance) << "dimension " << index;
  }
  EXPECT_NEAR(cosine(bulk->at(0).vector, bulk->at(3).vector), expected.cosine_0_3,
              expected.tolerance);
  if (expected.top_class >= 0) {
    ASSERT_EQ(bulk->at(3).classes.size(), 5u);
    EXPECT_EQ(bulk->at(3).classes[0].class_id, expected.top_class);
    EXPECT_NEAR(bulk->at(3).classes[0].probability, expected.top_probability, 2e-3);
  } else {
    EXPECT_TRUE(bulk->at(3).classes.empty());
  }
  // A lone picture takes another way through the runtime; its answer is the same.
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const Result<EmbedBatch> lone = embedder.embed(Context{}, {&tensors[i], 1});
    ASSERT_TRUE(lone.ok());
    EXPECT_GT(cosine(lone->at(0).vector, bulk->at(i).vector), 0.99999) << "probe " << i;
  }
}

INSTANTIATE_TEST_SUITE_P(All, SharedModel, testing::ValuesIn(expectations()),
                         [](const auto& param_info) { return std::string(param_info.param.name); });

struct TarEntry {
  std::string name;
  std::span<const std::byte> bytes;
};

/// Regular files of a POSIX tar archive, in its order.
std::vector<TarEntry> tar_entries(std::span<const std::byte> archive) {
  constexpr std::size_t kBlock = 512, kSizeAt = 124, kTypeAt = 156;
  std::vector<TarEntry> out;
  for (std::size_t at = 0; at + kBlock <= archive.size();) {
    const char* header = reinterpret_cast<const char*>(archive.data() + at);
    if (header[0] == '\0') break;
    const std::size_t size = std::strtoull(std::string(header + kSizeAt, 12).c_str(), nullptr, 8);
    if (header[kTypeAt] == '0') out.push_back({header, archive.subspan(at + kBlock, size)});
    at += kBlock + (size + kBlock - 1) / kBlock * kBlock;
  }
  return out;
}

TEST(SharedPictures, DefaultModelNamesImageNetClassesAsMeasured) {
  const auto archive = read_file(shared_folder() / "datasets/imagenet1000.tar");
  ASSERT_TRUE(archive.ok()) << archive.error().message;
  const std::vector<TarEntry> pictures =
      tar_entries(*archive);  // one per class, in the order of class ids
  ASSERT_EQ(pictures.size(), 1000u);
  ASSERT_TRUE(init_decoder().ok());
  const TestFolder folder;
  const auto opened =
      open_shared(folder, kLite, kLiteInput, "embedding = \"embedding\"\nlogits = \"logits\"");
  ASSERT_TRUE(opened.ok()) << opened.error().message;

  int right = 0, asked = 0;
  for (std::size_t id = 0; id < pictures.size(); id += 4, ++asked) {
    DecodeRequest request;
    request.tensors = {(*opened)->info().preprocess};
    const auto decoded = decode(pictures[id].bytes, pictures[id].name, request);
    ASSERT_TRUE(decoded.ok()) << pictures[id].name << ": " << decoded.error().message;
    const RgbImage& image = decoded->tensors.at(0);
    const PictureTensor tensor = {static_cast<std::uint32_t>(image.width),
                                  static_cast<std::uint32_t>(image.height), image.pixels};
    const auto answer = (*opened)->embed(Context{}, {&tensor, 1});
    ASSERT_TRUE(answer.ok());
    right += answer->at(0).classes.at(0).class_id == static_cast<std::int32_t>(id) ? 1 : 0;
  }
  const double share = static_cast<double>(right) / asked;
  RecordProperty("top1", std::to_string(share));
  std::printf("top-1 %.3f of %d pictures\n", share, asked);
  EXPECT_GE(share,
            0.84);  // a pipeline of NumPy, OpenCV and ONNX Runtime names 0.852 of these right
}

}  // namespace
}  // namespace similis
