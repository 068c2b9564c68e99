#include "services/folder_walk.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

namespace similis {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;

TEST(FolderPaths, LieWithin) {
  EXPECT_TRUE(lies_within("/a/b", "/a"));
  EXPECT_TRUE(lies_within("/a", "/a"));
  EXPECT_TRUE(lies_within("/a", "/"));
  EXPECT_FALSE(lies_within("/ab", "/a"));
  EXPECT_FALSE(lies_within("/a", "/a/b"));
  EXPECT_EQ(join_path("/", "a"), "/a");
  EXPECT_EQ(join_path("/a", "b"), "/a/b");
}

class FolderWalkTest : public testing::Test {
 protected:
  FolderWalkTest() {
    std::string name = (fs::temp_directory_path() / "similis-walk-XXXXXX").string();
    root_ = fs::canonical(mkdtemp(name.data())).string();
  }
  ~FolderWalkTest() override { fs::remove_all(root_); }

  void write(const std::string& name) const {
    fs::create_directories(fs::path(root_ + "/" + name).parent_path());
    std::ofstream(root_ + "/" + name) << name;
  }
  /// Folders and their files in the order they are visited.
  std::vector<std::string> walk(const WalkOptions& options) {
    std::vector<std::string> out;
    auto report = walk_folders(Context{}, root_, root_, options,
                               [&](const std::string& path, const FolderListing& listing) {
                                 out.push_back(path.substr(root_.size()) + "/");
                                 for (const auto& file : listing.files) {
                                   out.push_back(std::string(listing.name(file)));
                                 }
                                 return Status();
                               });
    EXPECT_TRUE(report.ok());
    if (report.ok()) report_ = *report;
    return out;
  }

  std::string root_;
  WalkReport report_;
};

TEST_F(FolderWalkTest, VisitsParentsFirstInByteOrder) {
  write("b/z");
  write("b/c/y");
  write("a/x");
  write("B");
  write("\xFF");
  EXPECT_THAT(walk({}), ElementsAre("/", "B", "\xFF", "/a/", "x", "/b/", "z", "/b/c/", "y"));
  EXPECT_EQ(report_.folders, 4);
  EXPECT_FALSE(report_.root_empty);
}

TEST_F(FolderWalkTest, HiddenEntriesOnlyWhenAskedFor) {
  write(".a");
  write(".b/c");
  EXPECT_THAT(walk({}), ElementsAre("/"));
  EXPECT_FALSE(report_.root_empty);  // an empty folder has not even those
  EXPECT_THAT(walk({.hidden = true, .never_inside = ""}), ElementsAre("/", ".a", "/.b/", "c"));
  EXPECT_THAT(walk({.hidden = true, .never_inside = root_ + "/.b"}), ElementsAre("/", ".a"));
}

TEST_F(FolderWalkTest, LinksToFilesInsideOnly) {
  write("in/a");
  fs::create_symlink(root_ + "/in/a", root_ + "/inside");
  fs::create_symlink("/etc/hostname", root_ + "/outside");
  fs::create_symlink("nowhere", root_ + "/dangling");
  fs::create_symlink("itself", root_ + "/itself");
  fs::create_directory_symlink(root_ + "/in", root_ + "/folder");
  ASSERT_EQ(mkfifo((root_ + "/pipe").c_str(), 0600), 0);
  EXPECT_THAT(walk({}), ElementsAre("/", "inside", "/in/", "a"));
  EXPECT_EQ(report_.links, 4);
  EXPECT_EQ(report_.special, 1);
  EXPECT_TRUE(stat_file(root_ + "/inside", root_).value().has_value());
  for (const char* name : {"/outside", "/dangling", "/folder", "/in", "/pipe", "/nothing"}) {
    EXPECT_FALSE(stat_file(root_ + name, root_).value().has_value()) << name;
  }
}

TEST_F(FolderWalkTest, AnUnreadableStartIsAnError) {
  const auto visit = [](const std::string&, const FolderListing&) { return Status(); };
  EXPECT_EQ(walk_folders(Context{}, root_ + "/no", root_, {}, visit).error().code,
            ErrorCode::not_found);
  Context cancelled;
  std::stop_source stop;
  stop.request_stop();
  cancelled.cancel = stop.get_token();
  EXPECT_EQ(walk_folders(cancelled, root_, root_, {}, visit).error().code, ErrorCode::cancelled);
}

}  // namespace
}  // namespace similis
