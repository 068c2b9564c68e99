#include "services/import_job.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <limits>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <utility>

#include "archive/unpacker.h"
#include "core/sha256.h"
#include "services/index_targets.h"
#include "services/ingest_pipeline.h"
#include "services/inside_root.h"
#include "services/library_service.h"
#include "vision/sniff.h"
#include "wire/export_format.h"
#include "wire/text.h"

namespace similis {

namespace {

/// Pictures taken out of the archive and not yet stored, with what is kept of each besides: more
/// wait.
constexpr std::size_t kBytesUnderWayMax = 64 << 20;
constexpr std::size_t kBytesBesides = 2048;
constexpr std::size_t kNameBytesMax = 255;
constexpr std::size_t kEqualRowsMax = 64;

std::string_view last_component(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

/// "cats/siamese" of "./cats/siamese/1.jpg"; "" at the top. Of a long path its end, as text.
std::string folder_tag(std::string_view path) {
  while (path.starts_with("./") || path.starts_with('/'))
    path.remove_prefix(path[0] == '/' ? 1 : 2);
  const std::size_t slash = path.rfind('/');
  if (slash == std::string_view::npos) return "";
  const std::string text = wire::display_text(path.substr(0, slash));
  std::string_view folder = text;
  while (folder.size() > kTagBytesMax) {
    const std::size_t next = folder.find('/');
    if (next == std::string_view::npos) return "";
    folder.remove_prefix(next + 1);
  }
  return std::string(folder);
}

/// Of a time that nobody knows or can mean: now.
std::int64_t time_ns(std::optional<std::int64_t> unix_s) {
  constexpr std::int64_t kNs = 1'000'000'000;
  if (unix_s && *unix_s <= std::numeric_limits<std::int64_t>::max() / kNs) return *unix_s * kNs;
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

/// What a file manager hides, or an archiver of another system put beside the pictures.
bool is_hidden(std::string_view path) {
  while (!path.empty()) {
    const std::size_t end = std::min(path.find('/'), path.size());
    const std::string_view part = path.substr(0, end);
    if (part == "__MACOSX" || (part.starts_with('.') && part != "." && part != "..")) return true;
    path.remove_prefix(std::min(end + 1, path.size()));
  }
  return false;
}

class Import {
 public:
  Import(const Context& ctx, const Ports& ports, const Collection& collection,
         std::vector<IndexTarget> targets, IngestCounters& counters, FailureLog& failures)
      : ctx_(ctx),
        ports_(ports),
        collection_(collection),
        counters_(counters),
        failures_(failures),
        library_(ports),
        pipeline_(ports, std::move(targets),
                  {collection.id, "", &counters,
                   [this](const IngestSource& source, const IngestOutcome& outcome) {
                     settle(source, outcome);
                   }}) {}

  Status run(const File& archive) {
    counters_.scanning = true;
    const ArchiveVisitor visitor{
        [this](std::string_view name, std::optional<std::uint64_t>) { return wants(name); },
        [this](ArchiveMember member) { return take(std::move(member)); }};
    Status read = ports_.unpacker.unpack(
        ctx_, archive, static_cast<std::uint64_t>(ports_.limits.file_bytes_max), visitor);
    counters_.scanning = false;
    // What was taken out before the archive broke is kept.
    TRY(pipeline_.drain(ctx_));
    TRY(add_waiting_tags());
    if (read.ok()) miss_members();
    return read;
  }

 private:
  Result<bool> wants(std::string_view name) {
    TRY(ctx_.check());
    const bool is_first = std::exchange(first_, false);
    if (is_first && name == wire::kManifestName) return true;
    if (is_export_) {
      if (wire::is_rows_name(name)) return true;
      const auto row = part_.find(std::string(name));
      if (row == part_.end()) return false;  // embeddings, or nothing an export holds
      if (!row->second.is_here) return true;
      part_.erase(row);
      ++counters_.found;
      ++counters_.unchanged;
      return false;
    }
    if (last_component(name).empty()) return false;
    if (!is_hidden(name)) return true;
    ++counters_.skipped;
    return false;
  }

  Status take(ArchiveMember member) {
    if (!is_export_ && member.name == wire::kManifestName && !pushed_) {
      if (member.error) return *std::move(member.error);
      if (member.bytes.size() > wire::kManifestBytesMax) return not_an_export();
      TRY(wire::check_export_manifest(text_of(member)));
      is_export_ = true;
      return {};
    }
    if (is_export_ && wire::is_rows_name(member.name)) return take_rows(member);
    IngestSource source;
    if (is_export_) {
      auto row = part_.extract(member.name).mapped();
      ++counters_.found;
      source.name = std::move(row.name);
      source.tags = std::move(row.tags);
      if (!member.error) {
        ASSIGN_OR_RETURN(const ContentHash hash, sha256(member.bytes));
        if (hash != row.content_hash) {
          member.error = Error(ErrorCode::unreadable_media,
                               "its bytes are not those that its row in the export tells of",
                               "Export the collection again.");
        }
      }
    } else {
      const bool has_type = !member.error || member.error->code == ErrorCode::too_large;
      if (has_type && is_no_picture(member)) {
        ++counters_.skipped;
        return {};
      }
      ++counters_.found;
      source.name = std::string(last_component(member.name));
      if (auto tag = folder_tag(member.name); !tag.empty()) source.tags = {std::move(tag)};
    }
    if (source.name.size() > kNameBytesMax) {
      source.name = source.name.substr(source.name.size() - kNameBytesMax);
    }
    if (!member.error && member.bytes.empty()) {
      member.error = Error(ErrorCode::unreadable_media, "the file is empty");
    }
    if (member.error) {
      ++counters_.failed;
      failures_.add(member.name, *member.error);
      return {};
    }
    source.size_bytes = static_cast<std::int64_t>(member.bytes.size());
    source.mtime_ns = time_ns(member.modified_at_s);
    source.bytes = std::make_shared<const std::vector<std::byte>>(std::move(member.bytes));
    return push(std::move(source), std::move(member.name));
  }

  /// Waits until there is room for it.
  Status push(IngestSource source, std::string path) {
    pushed_ = true;
    const std::size_t bytes = source.bytes->size() + kBytesBesides;
    {
      std::unique_lock lock(mutex_);
      while (bytes_under_way_ > 0 && bytes_under_way_ + bytes > kBytesUnderWayMax) {
        room_.wait_for(lock, std::chrono::milliseconds(100));
        TRY(ctx_.check());
        if (const Status status = pipeline_.status(); !status.ok()) return status;
      }
      bytes_under_way_ += bytes;
      source.ticket = next_ticket_++;
      paths_.emplace(source.ticket, std::move(path));
    }
    TRY(pipeline_.push(std::move(source)));
    return tags_waiting() < wire::kRowsPerPart ? Status() : add_waiting_tags();
  }

  /// From any thread.
  void settle(const IngestSource& source, const IngestOutcome& outcome) {
    std::lock_guard lock(mutex_);
    bytes_under_way_ -= static_cast<std::size_t>(source.size_bytes) + kBytesBesides;
    room_.notify_all();
    const auto path = paths_.extract(source.ticket);
    if (outcome.kind == IngestOutcome::Kind::failed) {
      failures_.add(path.empty() ? source.name : path.mapped(), outcome.error);
    } else if (outcome.kind == IngestOutcome::Kind::unchanged && !source.tags.empty()) {
      waiting_tags_.emplace_back(outcome.id, source.tags);
    }
  }

  /// The next part of an export. Its pictures follow.
  Status take_rows(const ArchiveMember& member) {
    if (member.error) return *member.error;
    if (member.bytes.size() > wire::kRowsBytesMax) return not_an_export();
    miss_members();
    auto rows = wire::read_export_rows(text_of(member));
    if (!rows.ok()) return rows.error().with_context(member.name);
    for (wire::ExportedRow& row : *rows) {
      TRY(ctx_.check());
      std::erase_if(row.tags, [](const std::string& tag) {
        return tag.empty() || tag.size() > kTagBytesMax;
      });
      std::sort(row.tags.begin(), row.tags.end());
      row.tags.erase(std::unique(row.tags.begin(), row.tags.end()), row.tags.end());
      if (row.tags.size() > kTagsMax) row.tags.resize(kTagsMax);
      ASSIGN_OR_RETURN(const auto here, ports_.metadata.find_by_hash(
                                            ctx_, collection_.id, row.content_hash, kEqualRowsMax));
      for (const ImageRow& same : here) TRY(add_tags(same.id, row.tags));
      if (!row.file.empty()) {
        part_[row.file] = {std::move(row.name), std::move(row.tags), row.content_hash,
                           !here.empty()};
        continue;
      }
      ++counters_.found;
      if (!here.empty()) {
        ++counters_.unchanged;
        continue;
      }
      ++counters_.failed;
      failures_.add(row.name, Error(ErrorCode::not_found,
                                    "the export holds no file of it, and the collection no "
                                    "picture of the same bytes",
                                    "Index its folder first, or export with the pictures."));
    }
    return {};
  }

  /// Members that the rows told of and that did not come.
  void miss_members() {
    for (const auto& [file, row] : part_) {
      ++counters_.found;
      if (row.is_here) {
        ++counters_.unchanged;
        continue;
      }
      ++counters_.failed;
      failures_.add(file, Error(ErrorCode::not_found, "the archive does not hold it",
                                "Export the collection again."));
    }
    part_.clear();
  }

  [[nodiscard]] std::size_t tags_waiting() const {
    std::lock_guard lock(mutex_);
    return waiting_tags_.size();
  }

  Status add_waiting_tags() {
    std::vector<std::pair<ImageId, std::vector<std::string>>> waiting;
    {
      std::lock_guard lock(mutex_);
      waiting.swap(waiting_tags_);
    }
    for (const auto& [id, tags] : waiting) TRY(add_tags(id, tags));
    return {};
  }

  Status add_tags(ImageId id, const std::vector<std::string>& tags) {
    if (tags.empty()) return {};
    auto row = library_.add_tags(ctx_, collection_.name, id, tags);
    // The picture may have gone since.
    if (!row.ok() && row.error().code != ErrorCode::not_found) return std::move(row).error();
    return {};
  }

  static std::string_view text_of(const ArchiveMember& member) {
    return {reinterpret_cast<const char*>(member.bytes.data()), member.bytes.size()};
  }

  static bool is_no_picture(const ArchiveMember& member) {
    const std::size_t head = std::min(member.bytes.size(), kSniffBytes);
    return sniff(std::span(member.bytes).first(head), last_component(member.name)).kind ==
           SniffKind::other;
  }

  static Error not_an_export() {
    return {ErrorCode::corruption,
            "the archive says that it is an exported collection, and is none",
            "Export the collection again, or take similis.json out of the archive."};
  }

  struct Row {
    std::string name;
    std::vector<std::string> tags;
    ContentHash content_hash{};
    bool is_here = false;  // the collection has a picture of the same bytes
  };

  const Context& ctx_;
  const Ports& ports_;
  const Collection& collection_;
  IngestCounters& counters_;
  FailureLog& failures_;
  LibraryService library_;
  bool first_ = true;
  bool pushed_ = false;
  bool is_export_ = false;
  std::unordered_map<std::string, Row> part_;  // by member; of an export
  mutable std::mutex mutex_;
  std::condition_variable room_;
  std::size_t bytes_under_way_ = 0;
  std::size_t next_ticket_ = 0;
  std::unordered_map<std::size_t, std::string> paths_;  // inside the archive, of what is under way
  std::vector<std::pair<ImageId, std::vector<std::string>>> waiting_tags_;
  IngestPipeline pipeline_;  // last: its threads use all of the above
};

}  // namespace

Status run_import(const Context& ctx, const Ports& ports, const Collection& collection,
                  const std::string& path, IngestCounters& counters, FailureLog& failures) {
  ASSIGN_OR_RETURN(const OpenedFile archive, open_at(path));
  ASSIGN_OR_RETURN(auto targets, ensure_indexes(ctx, ports, collection.id, ""));
  return Import(ctx, ports, collection, std::move(targets), counters, failures).run(archive.file);
}

}  // namespace similis
