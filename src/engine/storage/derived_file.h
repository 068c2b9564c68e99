#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "engine/index.h"
#include "engine/storage/format.h"
#include "engine/storage/manifest.h"
#include "engine/storage/storage.h"

namespace similis::engine {

/// What a file of sections holds; the content of each is its owner's affair.
enum class DerivedKind : std::uint32_t { graph = 1 };

/// Writes one: sections, a table of them, a footer. Removes it again when it is not finished.
class DerivedWriter {
 public:
  static Result<std::unique_ptr<DerivedWriter>> create(Storage& storage,
                                                       const std::filesystem::path& directory,
                                                       const Uuid& index, std::uint64_t file,
                                                       DerivedKind kind, std::uint32_t segment);
  ~DerivedWriter();
  DerivedWriter(const DerivedWriter&) = delete;
  DerivedWriter& operator=(const DerivedWriter&) = delete;

  Status add(std::span<const std::byte> section);
  /// Durable on return, but for its name.
  Result<Manifest::Derived> finish();

 private:
  DerivedWriter(Storage& storage, std::filesystem::path path)
      : storage_(storage), path_(std::move(path)) {}
  Status put(std::span<const std::byte> bytes, SectionRecord& record);

  Storage& storage_;
  const std::filesystem::path path_;
  std::unique_ptr<AppendFile> file_;
  DerivedFooter footer_{};
  std::vector<SectionRecord> sections_;
  bool finished_ = false;
};

/// One, open for reading. Immutable; safe from several threads.
class DerivedFile {
 public:
  /// `corruption` when it is not what the manifest names. `conflict` for a newer format.
  static Result<std::unique_ptr<DerivedFile>> open(Storage& storage,
                                                   const std::filesystem::path& directory,
                                                   const Uuid& index, std::uint32_t segment,
                                                   const Manifest::Derived& expected);

  [[nodiscard]] std::size_t sections() const { return sections_.size(); }
  [[nodiscard]] std::uint64_t section_bytes(std::size_t section) const {
    return sections_[section].bytes;
  }
  /// `out`: exactly its bytes; quickest when it begins at a block's multiple.
  Status read(std::size_t section, std::span<std::byte> out) const;
  /// Checks every byte; appends what it finds.
  Status verify(std::vector<DamageReport>& found, const std::function<Status()>& check) const;

 private:
  DerivedFile(std::shared_ptr<ReadFile> file, std::string path, const Manifest::Derived& record)
      : file_(std::move(file)), path_(std::move(path)), record_(record) {}
  [[nodiscard]] Error damaged(std::uint64_t offset, const std::string& what) const;

  const std::shared_ptr<ReadFile> file_;
  const std::string path_;
  const Manifest::Derived record_;
  DerivedFooter footer_{};
  std::vector<SectionRecord> sections_;
};

}  // namespace similis::engine
