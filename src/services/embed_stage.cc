#include "services/embed_stage.h"

#include "worker/decoder.h"

namespace similis {

namespace {

Status embed_together(const Context& ctx, const std::vector<IndexTarget>& targets,
                      std::span<IngestPicture> pictures) {
  for (IngestPicture& picture : pictures) picture.embeddings.clear();
  for (std::size_t t = 0; t < targets.size(); ++t) {
    std::vector<PictureTensor> tensors;
    for (const IngestPicture& picture : pictures) {
      const RgbImage& image = picture.tensors[t];
      tensors.push_back({static_cast<std::uint32_t>(image.width),
                         static_cast<std::uint32_t>(image.height), image.pixels});
    }
    ASSIGN_OR_RETURN(EmbedBatch batch, targets[t].embedder->embed(ctx, tensors));
    if (batch.size() != pictures.size()) {
      return Error(ErrorCode::internal, "the model answered " + std::to_string(batch.size()) +
                                            " of " + std::to_string(pictures.size()) + " pictures");
    }
    for (std::size_t i = 0; i < batch.size(); ++i) {
      pictures[i].embeddings.push_back(std::move(batch[i]));
    }
  }
  for (IngestPicture& picture : pictures) {
    picture.tensors.clear();
    picture.step = IngestPicture::Step::store;
  }
  return {};
}

}  // namespace

Status embed_pictures(const Context& ctx, const std::vector<IndexTarget>& targets,
                      std::span<IngestPicture> pictures) {
  auto status = embed_together(ctx, targets, pictures);
  if (status.ok() || status.error().code != ErrorCode::internal) return status;
  // All or nothing is the embedder's rule, not ours: find the picture that spoils the batch.
  for (IngestPicture& picture : pictures) {
    auto alone =
        pictures.size() == 1 ? status : embed_together(ctx, targets, std::span(&picture, 1));
    if (alone.ok()) continue;
    if (alone.error().code != ErrorCode::internal) return alone;
    picture.tensors.clear();
    picture.embeddings.clear();
    picture.error = std::move(alone).error().with_context("the model cannot embed this picture");
    picture.step = IngestPicture::Step::fail;
  }
  return {};
}

}  // namespace similis
