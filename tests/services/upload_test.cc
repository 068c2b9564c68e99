#include "services/harness.h"

namespace similis {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Key;
using testing::SizeIs;

class UploadTest : public ServicesTest {
 protected:
  UploadTest() { value_of(sqlite_->create_collection(ctx_, "pictures")); }

  static UploadFile file(const std::string& name, const std::string& bytes,
                         std::vector<std::string> tags = {}) {
    const auto* data = reinterpret_cast<const std::byte*>(bytes.data());
    return {name, std::make_shared<std::vector<std::byte>>(data, data + bytes.size()),
            std::move(tags)};
  }
  std::vector<UploadOutcome> upload(const std::vector<UploadFile>& files) {
    return value_of(uploads_->upload(ctx_, "pictures", files));
  }
};

TEST_F(UploadTest, OneOutcomePerFileInOrder) {
  const auto out = upload({file("a.jpg", picture_bytes(1, 2, 3), {"b", "a", "b"}),
                           file("broken.jpg", picture_bytes(1, 2, 3, "BROKEN")),
                           file("same.jpg", picture_bytes(1, 2, 3)), file("empty.jpg", ""),
                           file("c.jpg", picture_bytes(4, 5, 6))});
  ASSERT_THAT(out, SizeIs(5));
  EXPECT_EQ(out[1].status, UploadStatus::failed);
  EXPECT_EQ(out[1].error.message, "JPEG ends early");
  EXPECT_EQ(out[1].name, "broken.jpg");
  EXPECT_EQ(out[3].status, UploadStatus::failed);
  EXPECT_EQ(out[4].status, UploadStatus::created);
  // Whichever of the two equal ones came first was created.
  EXPECT_EQ(out[0].id, out[2].id);
  EXPECT_NE(out[0].status == UploadStatus::created, out[2].status == UploadStatus::created);
  EXPECT_NE(out[0].id, 0);
  EXPECT_THAT(rows(), SizeIs(2));
  EXPECT_THAT(failures(), IsEmpty());
  EXPECT_EQ(blobs_.count(BlobKind::upload), 2U);
  expect_consistent();
}

TEST_F(UploadTest, TheSameBytesAgainExist) {
  const auto first = upload({file("a.jpg", picture_bytes(1, 2, 3), {"cat"})});
  const auto again = upload({file("b.jpg", picture_bytes(1, 2, 3))});
  EXPECT_EQ(first[0].status, UploadStatus::created);
  EXPECT_EQ(again[0].status, UploadStatus::exists);
  EXPECT_EQ(again[0].id, first[0].id);
  EXPECT_THAT(rows().at("upload:a.jpg").tags, ElementsAre("cat"));
  EXPECT_EQ(decoder_.decoded, 1);
}

TEST_F(UploadTest, BytesOfAFolderShareItsVectorButAreARowOfTheirOwn) {
  write("a.jpg", picture_bytes(1, 2, 3));
  build();
  const auto out = upload({file("mine.jpg", picture_bytes(1, 2, 3))});
  EXPECT_EQ(out[0].status, UploadStatus::created);
  EXPECT_THAT(rows(), ElementsAre(Key("a.jpg"), Key("upload:mine.jpg")));
  EXPECT_EQ(models_.embedder->embedded, 1);
  EXPECT_EQ(blobs_.count(BlobKind::upload), 1U);
  expect_consistent();
}

TEST_F(UploadTest, ManyAtOnceFromSeveralThreads) {
  std::vector<std::jthread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 10; ++i) {
        const auto out =
            upload({file("own", picture_bytes(t, i, 1)), file("shared", picture_bytes(i, 9, 9))});
        EXPECT_NE(out[0].status, UploadStatus::failed) << out[0].error.message;
        EXPECT_NE(out[1].status, UploadStatus::failed) << out[1].error.message;
      }
    });
  }
  threads.clear();
  EXPECT_EQ(value_of(sqlite_->counts(ctx_, collection().id)).ready, 50);
  EXPECT_EQ(blobs_.count(BlobKind::upload), 50U);
}

TEST_F(UploadTest, AFullDiskIsAnErrorAndNothingIsKept) {
  faults_.before = [](const std::string& call) -> Status {
    if (call != "blobs.put_upload") return {};
    return Error(ErrorCode::resource_exhausted, "write: No space left on device");
  };
  const auto files = std::vector{file("a.jpg", picture_bytes(1, 2, 3))};
  const auto out = uploads_->upload(ctx_, "pictures", files);
  ASSERT_FALSE(out.ok());
  EXPECT_EQ(out.error().code, ErrorCode::resource_exhausted);
  faults_.clear();
  EXPECT_THAT(rows(), IsEmpty());
  EXPECT_EQ(upload(files)[0].status, UploadStatus::created);
  expect_consistent();
}

TEST_F(UploadTest, UnknownCollectionAndCancelledRequest) {
  const auto files = std::vector{file("a.jpg", picture_bytes(1, 2, 3))};
  EXPECT_EQ(uploads_->upload(ctx_, "nothing", files).error().code, ErrorCode::not_found);
  decoder_.delay_ms = 300;
  EXPECT_EQ(uploads_->upload(ctx_.with_timeout(std::chrono::milliseconds(30)), "pictures", files)
                .error()
                .code,
            ErrorCode::deadline_exceeded);
}

}  // namespace
}  // namespace similis
