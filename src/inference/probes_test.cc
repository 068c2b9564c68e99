#include "inference/probes.h"

#include <gtest/gtest.h>

#include "base/hex.h"
#include "core/sha256.h"

namespace similis {
namespace {

/// Answers with a few of the picture's own pixels, shifted by `shift`.
class PixelEmbedder : public Embedder {
 public:
  explicit PixelEmbedder(float shift) : shift_(shift) {
    info_.preprocess.width_px = 32;
    info_.preprocess.height_px = 16;
    info_.dimensions = 8;
    info_.name = "pixels";
  }
  Result<EmbedBatch> embed(const Context&, std::span<const PictureTensor> pictures) override {
    EmbedBatch batch;
    for (const PictureTensor& picture : pictures) {
      Embedding embedding;
      for (std::size_t i = 0; i < 8; ++i) {
        embedding.vector.push_back(static_cast<float>(picture.rgb[i * 190]) +
                                   (i % 2 == 0 ? shift_ : 0));
      }
      batch.push_back(std::move(embedding));
    }
    return batch;
  }
  [[nodiscard]] const ModelInfo& info() const override { return info_; }
  [[nodiscard]] std::size_t preferred_batch() const override { return 1; }

 private:
  float shift_;
  ModelInfo info_;
};

TEST(Probes, AreTheSameEverywhere) {
  const auto pictures = probe_pictures(224, 224);
  ASSERT_EQ(pictures.size(), kProbeCount);
  std::string all;
  for (const ProbePicture& picture : pictures) {
    ASSERT_EQ(picture.rgb.size(), 3u * 224 * 224);
    all.append(reinterpret_cast<const char*>(picture.rgb.data()), picture.rgb.size());
  }
  // Stored embeddings of probes outlive this build: whoever changes a pixel must count kProbeSet
  // up.
  EXPECT_EQ(to_hex(sha256(all).value()),
            "15beb3710f7a99cdc293fbe588fecdb9f0c74ffc407794ae3ea44cc6df978fc1");
  EXPECT_EQ(kProbeSet, 1u);
}

TEST(Probes, TellSameFromOther) {
  PixelEmbedder same(0), near(0.5F), other(200);
  const auto stored = embed_probes(Context{}, same).value();
  EXPECT_NEAR(probe_cosine(Context{}, same, stored).value(), 1.0, 1e-9);
  EXPECT_TRUE(check_probes(Context{}, near, stored).ok());
  const Status refused = check_probes(Context{}, other, stored);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::conflict);
}

TEST(Probes, AnotherNumberOrLengthIsRefused) {
  PixelEmbedder embedder(0);
  auto stored = embed_probes(Context{}, embedder).value();
  stored[0].pop_back();
  EXPECT_EQ(check_probes(Context{}, embedder, stored).error().code, ErrorCode::invalid_argument);
  stored.pop_back();
  EXPECT_EQ(check_probes(Context{}, embedder, stored).error().code, ErrorCode::invalid_argument);
}

}  // namespace
}  // namespace similis
