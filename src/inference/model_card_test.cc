#include "inference/model_card.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "base/hex.h"
#include "core/sha256.h"
#include "inference/test_folder.h"

namespace similis {
namespace {

using testing::HasSubstr;

constexpr const char* kCard = R"(
card = 1
name = "tiny"
version = "1.0"
licence = "Apache-2.0"
source = "nowhere"

[model]   # hashes come later

[input]
width = 8
height = 6
fit = "center_crop"
crop_fraction = 0.875
filter = "bicubic"
mean = [0.485, 0.456, 0.406]
std = [0.229, 0.224, 0.225]

[output]
feature_map = "map"
pooling = "gem"
logits = "scores"
labels = "labels.txt"

[calibration]
cut_off = 0.6
bar_from = 0.4
bands = [ { word = "strong", min_score = 0.7 }, { word = "likely", min_score = 0.6 } ]
)";

std::string replaced(std::string text, std::string_view from, std::string_view to) {
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

Error error_of(const std::string& text) {
  const Result<ModelCard> card = parse_model_card(text, "card.toml");
  EXPECT_FALSE(card.ok()) << "the card was taken";
  return card.ok() ? Error() : card.error();
}

Error error_after(std::string_view from, std::string_view to) {
  return error_of(replaced(kCard, from, to));
}

TEST(ModelCard, ReadsEveryKey) {
  const Result<ModelCard> card = parse_model_card(kCard, "card.toml");
  ASSERT_TRUE(card.ok()) << card.error().message;
  EXPECT_EQ(card->name, "tiny");
  EXPECT_EQ(card->file, "model.onnx");
  EXPECT_EQ(card->preprocess.width_px, 8);
  EXPECT_EQ(card->preprocess.height_px, 6);
  EXPECT_EQ(card->preprocess.fit, Preprocess::Fit::center_crop);
  EXPECT_EQ(card->preprocess.crop_fraction, 0.875);
  EXPECT_EQ(card->preprocess.filter, Preprocess::Filter::bicubic);
  EXPECT_EQ(card->input.mean[2], 0.406);
  EXPECT_EQ(card->output.pooling, (Pooling{Pooling::Kind::gem, 3.0, 1}));
  ASSERT_EQ(card->calibration.bands.size(), 2u);
  EXPECT_EQ(card->calibration.bands[1].word, "likely");
  EXPECT_FLOAT_EQ(card->calibration.cut_off, 0.6F);
}

TEST(ModelCard, PoolingFollowsFromTheTensorThatIsNamed) {
  const auto kind = [](std::string_view output) {
    const std::string text =
        "card = 1\nname = \"a\"\nversion = \"1\"\n[input]\nwidth = 8\nheight = 8\n[output]\n" +
        std::string(output);
    const Result<ModelCard> card = parse_model_card(text, "card.toml");
    EXPECT_TRUE(card.ok()) << card.error().message;
    return card->output.pooling.kind;
  };
  EXPECT_EQ(kind("embedding = \"e\""), Pooling::Kind::none);
  EXPECT_EQ(kind("embedding = \"e\"\nfeature_map = \"f\""), Pooling::Kind::none);
  EXPECT_EQ(kind("embedding = \"e\"\nfeature_map = \"f\"\npooling = \"max\""), Pooling::Kind::max);
  EXPECT_EQ(kind("feature_map = \"f\""), Pooling::Kind::avg);
  EXPECT_EQ(kind("feature_map = \"f\"\npooling = \"gap\""), Pooling::Kind::avg);
  EXPECT_EQ(kind("tokens = \"t\""), Pooling::Kind::cls);
}

TEST(ModelCard, UnknownKeysNameTheNearest) {
  Error error = error_after("crop_fraction", "crop_fractoin");
  EXPECT_EQ(error.code, ErrorCode::invalid_argument);
  EXPECT_THAT(error.message, HasSubstr("card.toml:14: unknown key `input.crop_fractoin`"));
  EXPECT_EQ(error.hint, "Did you mean \"crop_fraction\"?");
  error = error_after("licence", "license");
  EXPECT_EQ(error.hint, "Did you mean \"licence\"?");
  EXPECT_THAT(error_after("word = \"likely\"", "wort = \"likely\"").message,
              HasSubstr("calibration.bands."));
}

TEST(ModelCard, SaysWhatIsWrongAndWhere) {
  EXPECT_THAT(error_after("card = 1", "card = 2").message, HasSubstr("card is 2"));
  EXPECT_THAT(error_after("name = \"tiny\"", "").message, HasSubstr("name is missing"));
  EXPECT_THAT(error_after("\"tiny\"", "\"../evil\"").message, HasSubstr("name must be lower-case"));
  EXPECT_THAT(error_after("width = 8", "width = 0").message, HasSubstr("input.width is 0"));
  EXPECT_THAT(error_after("width = 8", "width = \"8\"").message,
              HasSubstr("input.width must be a whole number"));
  EXPECT_THAT(error_after("0.406]", "0.406, 1]").message,
              HasSubstr("input.mean must be three numbers"));
  EXPECT_THAT(error_after("[0.229", "[0.0").message, HasSubstr("input.std is 0"));
  EXPECT_THAT(error_after("\"gem\"", "\"gum\"").message,
              HasSubstr("output.pooling must be one of"));
  EXPECT_EQ(error_after("\"bicubic\"", "\"bicubc\"").hint, "Did you mean \"bicubic\"?");
  EXPECT_THAT(error_after("\"gem\"", "\"cls\"").message, HasSubstr("needs output.tokens"));
  EXPECT_THAT(error_after("\"gem\"", "\"none\"").message, HasSubstr("needs output.embedding"));
  EXPECT_THAT(error_after("feature_map = \"map\"", "").message,
              HasSubstr("output.embedding is missing"));
  EXPECT_THAT(error_after("logits = \"scores\"", "").message, HasSubstr("output.labels needs"));
  EXPECT_THAT(error_after("\"labels.txt\"", "\"../labels.txt\"").message,
              HasSubstr("without a path"));
  EXPECT_THAT(error_after("min_score = 0.7 ", "min_score = 0.5 ").message,
              HasSubstr("must fall from band to band"));
  EXPECT_THAT(error_after("fit = \"center_crop\"", "").message,
              HasSubstr("crop_fraction has a meaning only"));
  EXPECT_THAT(error_of("card = 1\nname = ").message, HasSubstr("card.toml:2"));
}

class ModelFolderTest : public testing::Test {
 protected:
  ModelFolderTest() {
    folder_.write("card.toml", kCard);
    folder_.write("model.onnx", "not a model, but a file");
    folder_.write("labels.txt", "cat\ndog\r\n");
  }

  void state_hash() const {
    const std::string line =
        "[model]\nsha256 = \"" + to_hex(sha256("not a model, but a file").value()) + "\"";
    folder_.write("card.toml", replaced(kCard, "[model]", line));
  }

  TestFolder folder_;
};

TEST_F(ModelFolderTest, WithoutAHashOnlyAddTakesIt) {
  const Result<ModelFolder> refused = load_model_folder(folder_.path());
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::invalid_argument);
  EXPECT_THAT(refused.error().hint, HasSubstr("similis models add"));

  const Result<ModelFolder> added = load_new_model_folder(folder_.path());
  ASSERT_TRUE(added.ok()) << added.error().message;
  EXPECT_EQ(added->card.sha256, to_hex(sha256("not a model, but a file").value()));
  EXPECT_THAT(added->labels, testing::ElementsAre("cat", "dog"));
}

TEST_F(ModelFolderTest, AnotherFileThanTheCardsIsCorruption) {
  state_hash();
  ASSERT_TRUE(load_model_folder(folder_.path()).ok());
  folder_.write("model.onnx", "not a model, but a fild");
  const Result<ModelFolder> loaded = load_model_folder(folder_.path());
  ASSERT_FALSE(loaded.ok());
  EXPECT_EQ(loaded.error().code, ErrorCode::corruption);
  EXPECT_THAT(loaded.error().message, HasSubstr("model.onnx"));
  EXPECT_EQ(load_new_model_folder(folder_.path()).error().code, ErrorCode::corruption);
}

TEST_F(ModelFolderTest, MissingFilesAreNamed) {
  state_hash();
  std::filesystem::remove(folder_.path() / "labels.txt");
  const Result<ModelFolder> no_labels = load_model_folder(folder_.path());
  EXPECT_EQ(no_labels.error().code, ErrorCode::not_found);
  EXPECT_THAT(no_labels.error().message, HasSubstr("labels.txt"));
  std::filesystem::remove(folder_.path() / "card.toml");
  EXPECT_THAT(load_model_folder(folder_.path()).error().message, HasSubstr("card.toml"));
}

TEST_F(ModelFolderTest, CompletedCardKeepsItsText) {
  Result<ModelFolder> added = load_new_model_folder(folder_.path());
  ASSERT_TRUE(added.ok());
  added->card.output.dimensions = 16;
  const Result<std::string> text = completed_card_text(kCard, added->card);
  ASSERT_TRUE(text.ok()) << text.error().message;
  EXPECT_THAT(
      *text, HasSubstr("[model]   # hashes come later\nsha256 = \"" + added->card.sha256 + "\"\n"));
  folder_.write("card.toml", *text);
  const Result<ModelFolder> loaded = load_model_folder(folder_.path());
  ASSERT_TRUE(loaded.ok()) << loaded.error().message;
  EXPECT_EQ(loaded->card.output.dimensions, 16u);
  EXPECT_EQ(loaded->identity, added->identity);
  // Nothing is left to complete.
  EXPECT_EQ(completed_card_text(*text, loaded->card).value(), *text);

  const std::string without_table = replaced(kCard, "[model]   # hashes come later", "");
  EXPECT_THAT(completed_card_text(without_table, added->card).value(),
              HasSubstr("[model]\nsha256"));
}

TEST_F(ModelFolderTest, IdentityChangesWithWhatDecidesAnEmbeddingAndOnlyWithThat) {
  ModelCard card = parse_model_card(kCard, "card.toml").value();
  card.sha256 = std::string(64, 'a');
  const std::string base = model_identity(card, "").value();
  EXPECT_EQ(base.size(), 64u);
  const auto changed = [&](auto&& change) {
    ModelCard other = card;
    change(other);
    return model_identity(other, "").value() != base;
  };
  EXPECT_TRUE(changed([](ModelCard& c) { c.sha256[0] = 'b'; }));
  EXPECT_TRUE(changed([](ModelCard& c) { c.preprocess.filter = Preprocess::Filter::area; }));
  EXPECT_TRUE(changed([](ModelCard& c) { c.preprocess.crop_fraction = 0.9; }));
  EXPECT_TRUE(changed([](ModelCard& c) { c.preprocess.jpeg_quality = 80; }));
  EXPECT_TRUE(changed([](ModelCard& c) { c.input.mean[1] = 0.4560001; }));
  EXPECT_TRUE(changed([](ModelCard& c) { c.input.bgr = true; }));
  EXPECT_TRUE(changed([](ModelCard& c) { c.output.pooling.gem_p = 4; }));
  EXPECT_TRUE(changed([](ModelCard& c) { c.output.pooling.kind = Pooling::Kind::max; }));
  EXPECT_NE(model_identity(card, std::string(64, 'c')).value(), base);
  EXPECT_FALSE(changed([](ModelCard& c) { c.name = "other"; }));
  EXPECT_FALSE(changed([](ModelCard& c) { c.calibration.cut_off = 0.1F; }));
  EXPECT_FALSE(changed([](ModelCard& c) { c.output.logits = ""; }));
}

TEST(ModelCards, EveryCardOfThisRepositoryIsValid) {
  std::size_t count = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(SIMILIS_SOURCE_DIR "/models/cards")) {
    const Result<std::string> text = read_text_file(entry.path());
    ASSERT_TRUE(text.ok());
    const Result<ModelCard> card = parse_model_card(*text, entry.path().string());
    ASSERT_TRUE(card.ok()) << card.error().message << ' ' << card.error().hint;
    EXPECT_EQ(card->name + ".toml", entry.path().filename());
    EXPECT_FALSE(card->licence.empty()) << entry.path();
    EXPECT_FALSE(card->source.empty()) << entry.path();
    EXPECT_GT(card->output.dimensions, 0u) << entry.path();
    ++count;
  }
  EXPECT_GE(count, 2u);
}

}  // namespace
}  // namespace similis
