#include "inference/model_registry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "base/file.h"
#include "inference/local_models.h"
#include "inference/test_folder.h"
#include "inference/test_onnx.h"

namespace similis {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string card_text(std::string_view name, std::string_view version,
                      std::string_view output = "embedding = \"embedding\"") {
  return "card = 1\nname = \"" + std::string(name) + "\"\nversion = \"" + std::string(version) +
         "\"\n\n# The input.\n[input]\nwidth = 8\nheight = 6\n\n[output]\n" + std::string(output) +
         "\n";
}

class ModelRegistryTest : public testing::Test {
 protected:
  /// A model folder as a user writes it, without hashes.
  [[nodiscard]] std::filesystem::path source(
      std::string_view name, std::string_view version,
      std::string_view output = "embedding = \"embedding\"") const {
    const std::filesystem::path folder =
        std::filesystem::path("sources") / (std::string(name) + std::string(version));
    folder_.write(folder / "model.onnx", TinyOnnx().bytes());
    folder_.write(folder / "card.toml", card_text(name, version, output));
    return folder_.path() / folder;
  }
  [[nodiscard]] std::filesystem::path root() const { return folder_.path() / "models"; }
  Result<ModelFolder> add(std::string_view name, std::string_view version) const {
    return add_model(source(name, version), root(), try_model);
  }
  [[nodiscard]] ModelRegistry registry() const {
    return ModelRegistry({root(), folder_.path() / "second"});
  }
  [[nodiscard]] Result<ModelFolder> loaded(std::string_view name) const {
    ASSIGN_OR_RETURN(const ModelRegistry::Entry entry, registry().find(name));
    return load_model_folder(entry.folder);
  }
  [[nodiscard]] Result<ModelFolder> loaded_identity(std::string_view identity,
                                                    std::string_view name) const {
    ASSIGN_OR_RETURN(const ModelRegistry::Entry entry, registry().find_identity(identity, name));
    return load_model_folder(entry.folder);
  }
  [[nodiscard]] std::vector<std::string> listed() const {
    std::vector<std::string> out;
    for (const auto& entry : registry().list()) out.push_back(entry.name + "@" + entry.version);
    return out;
  }

  TestFolder folder_;
};

TEST(Versions, NumbersCompareAsNumbers) {
  EXPECT_LT(compare_versions("1.9", "1.10"), 0);
  EXPECT_GT(compare_versions("2", "1.10"), 0);
  EXPECT_EQ(compare_versions("1.0", "1.0"), 0);
  EXPECT_LT(compare_versions("1", "1.0"), 0);
  EXPECT_LT(compare_versions("1.0-a", "1.0-b"), 0);
}

TEST_F(ModelRegistryTest, AddCompletesTheCardAndInstallsTheModel) {
  const Result<ModelFolder> added = add("tiny", "1.0");
  ASSERT_TRUE(added.ok()) << added.error().message;
  EXPECT_EQ(added->folder, root() / "tiny/1.0");
  EXPECT_EQ(added->card.output.dimensions, 5u);
  EXPECT_EQ(added->card.sha256.size(), 64u);
  EXPECT_THAT(read_text_file(root() / "tiny/1.0/card.toml").value(), HasSubstr("# The input."));
  const Result<ModelFolder> found = loaded("tiny");
  ASSERT_TRUE(found.ok()) << found.error().message;
  EXPECT_EQ(found->identity, added->identity);
  // Nothing half-made is left.
  for (const auto& entry : std::filesystem::directory_iterator(root()))
    EXPECT_EQ(entry.path().filename(), "tiny");

  const Result<ModelFolder> again = add("tiny", "1.0");
  EXPECT_EQ(again.error().code, ErrorCode::already_exists);
  EXPECT_THAT(again.error().message, HasSubstr("installed already"));
  const auto other = source("tiny", "1.0", "tokens = \"tokens\"");
  EXPECT_THAT(add_model(other, root(), try_model).error().message,
              HasSubstr("another model is installed as tiny@1.0"));
}

TEST_F(ModelRegistryTest, AFolderInItsPlaceIsOnlyCompleted) {
  folder_.write("models/tiny/3/model.onnx", TinyOnnx().bytes());
  folder_.write("models/tiny/3/card.toml", card_text("tiny", "3"));
  ASSERT_EQ(registry().list().size(), 1u);
  EXPECT_THAT(registry().list()[0].problem, HasSubstr("similis models add"));
  ASSERT_TRUE(add_model(root() / "tiny/3", root(), try_model).ok());
  EXPECT_EQ(registry().list()[0].problem, "");
  EXPECT_TRUE(loaded("tiny@3").ok());
}

TEST_F(ModelRegistryTest, WhatDoesNotWorkIsNotInstalled) {
  folder_.write("bad/model.onnx", "no model");
  folder_.write("bad/card.toml", card_text("bad", "1"));
  EXPECT_EQ(add_model(folder_.path() / "bad", root(), try_model).error().code,
            ErrorCode::invalid_argument);
  // std = 1e9 squeezes every picture into nothing.
  folder_.write("flat/model.onnx", TinyOnnx().bytes());
  std::string text = card_text("flat", "1");
  text.replace(text.find("width"), 5, "std = [1e9, 1e9, 1e9]\nwidth");
  folder_.write("flat/card.toml", text);
  EXPECT_THAT(add_model(folder_.path() / "flat", root(), try_model).error().message,
              HasSubstr("every picture alike"));
  EXPECT_FALSE(std::filesystem::exists(root()));
}

TEST_F(ModelRegistryTest, NewestVersionFirstAndFirstRootWins) {
  for (const char* version : {"1.9", "1.10", "1.2"}) ASSERT_TRUE(add("tiny", version).ok());
  ASSERT_TRUE(add("ant", "1").ok());
  ASSERT_TRUE(add_model(source("tiny", "1.10"), folder_.path() / "second", try_model).ok());
  EXPECT_THAT(listed(), ElementsAre("ant@1", "tiny@1.10", "tiny@1.9", "tiny@1.2"));
  EXPECT_EQ(loaded("tiny")->folder, root() / "tiny/1.10");
  EXPECT_EQ(loaded("tiny@1.2")->card.version, "1.2");
}

TEST_F(ModelRegistryTest, UnknownNamesGetTheNearest) {
  EXPECT_THAT(loaded("tiny").error().hint, HasSubstr("No models were found in"));
  ASSERT_TRUE(add("tiny", "1.0").ok());
  const Error error = loaded("tinny").error();
  EXPECT_EQ(error.code, ErrorCode::not_found);
  EXPECT_EQ(error.hint, "Did you mean \"tiny\"?");
  EXPECT_EQ(loaded("tiny@2").error().hint, "There is tiny@1.0.");
  EXPECT_THAT(loaded("zebra").error().hint, HasSubstr("similis models"));
}

TEST_F(ModelRegistryTest, BrokenModelsAreListedWithTheirProblem) {
  ASSERT_TRUE(add("tiny", "1.0").ok());
  ASSERT_TRUE(add("tiny", "2.0").ok());
  std::filesystem::remove(root() / "tiny/2.0/model.onnx");
  folder_.write("models/wrong/1/card.toml", "card = 1\nname = \"right\"\nversion = \"1\"\n");
  const auto entries = registry().list();
  ASSERT_EQ(entries.size(), 3u);
  EXPECT_THAT(entries[0].problem, HasSubstr("model.onnx is missing"));
  EXPECT_EQ(entries[1].problem, "");
  EXPECT_NE(entries[2].problem, "");
}

TEST_F(ModelRegistryTest, FindsByIdentityAndSaysWhyNot) {
  const std::string identity = add("tiny", "1.0")->identity;
  EXPECT_EQ(loaded_identity(identity, "tiny")->card.version, "1.0");
  EXPECT_THAT(loaded_identity(std::string(64, '0'), "tiny").error().message,
              HasSubstr("is not the one"));
  EXPECT_THAT(loaded_identity(std::string(64, '0'), "other").error().message,
              HasSubstr("is not installed"));
  folder_.write("models/tiny/1.0/model.onnx", "changed behind our back");
  EXPECT_EQ(loaded_identity(identity, "tiny").error().code, ErrorCode::corruption);
}

TEST_F(ModelRegistryTest, LocalModelsKeepWhatTheyOpened) {
  const std::string identity = add("tiny", "1.0")->identity;
  ASSERT_TRUE(add("tiny", "1.1").ok());
  LocalModelsOptions options;
  options.roots = {root()};
  options.default_model = "tiny";
  LocalModels models(options);
  const auto by_default = models.load("");
  ASSERT_TRUE(by_default.ok()) << by_default.error().message;
  EXPECT_EQ((*by_default)->info().version, "1.1");
  // The two versions are the same model: same identity, one embedder.
  EXPECT_EQ(models.load("tiny@1.0").value(), *by_default);
  EXPECT_EQ(models.load_identity(identity, "tiny").value(), *by_default);
  const auto listed_models = models.list();
  ASSERT_EQ(listed_models.size(), 2u);
  EXPECT_TRUE(listed_models[0].is_default);
  EXPECT_TRUE(listed_models[0].loaded);
  EXPECT_FALSE(listed_models[1].is_default);
  EXPECT_EQ(models.load("nothing").error().code, ErrorCode::not_found);
}

TEST_F(ModelRegistryTest, ACollectionMayAddStepsOfPreprocessing) {
  ASSERT_TRUE(add("tiny", "1.0").ok());
  LocalModelsOptions options;
  options.roots = {root()};
  options.default_model = "tiny";
  std::string identity;
  {
    LocalModels models(options);
    const auto plain = models.load("tiny").value();
    const auto gray = models.load("tiny@1.0+jpeg75+grayscale").value();
    EXPECT_EQ(gray->info().name, "tiny+grayscale+jpeg75");
    EXPECT_EQ(gray->info().version, "1.0");
    EXPECT_TRUE(gray->info().preprocess.grayscale);
    EXPECT_FALSE(gray->info().preprocess.denoise);
    EXPECT_EQ(gray->info().preprocess.jpeg_quality, 75);
    EXPECT_NE(gray->info().identity, plain->info().identity);
    EXPECT_EQ(models.load("tiny+grayscale+jpeg75").value(), gray);
    EXPECT_EQ(models.load("tiny").value(), plain);
    for (const char* bad : {"tiny+", "tiny+blur", "tiny+jpeg", "tiny+jpeg0", "tiny+jpeg101",
                            "tiny+grayscale+grayscale", "tiny+jpeg7x"})
      EXPECT_EQ(models.load(bad).error().code, ErrorCode::invalid_argument) << bad;
    EXPECT_EQ(models.load("none+denoise").error().code, ErrorCode::not_found);
    identity = gray->info().identity;
  }
  LocalModels later(options);
  EXPECT_EQ(later.load_identity(identity, "tiny+grayscale+jpeg75").value()->info().identity,
            identity);
  EXPECT_EQ(LocalModels(options).load_identity(identity, "tiny+denoise").error().code,
            ErrorCode::not_found);
}

TEST(ModelRoots, FollowTheEnvironment) {
  ::unsetenv("SIMILIS_MODELS_DIR");
  ::unsetenv("SIMILIS_SHARE_DIR");
  auto roots = default_model_roots("/data");
  ASSERT_EQ(roots.size(), 2u);
  EXPECT_EQ(roots[0], "/data/models");
  EXPECT_TRUE(roots[1].string().ends_with("/share/similis/models")) << roots[1];
  ::setenv("SIMILIS_MODELS_DIR", "/mine", 1);
  ::setenv("SIMILIS_SHARE_DIR", "/opt/share", 1);
  EXPECT_THAT(default_model_roots("/data"),
              ElementsAre("/data/models", "/mine", "/opt/share/models"));
  ::unsetenv("SIMILIS_MODELS_DIR");
  ::unsetenv("SIMILIS_SHARE_DIR");
}

}  // namespace
}  // namespace similis
