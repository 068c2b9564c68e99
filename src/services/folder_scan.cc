#include "services/folder_scan.h"

#include <unistd.h>

#include <array>
#include <unordered_map>

#include "services/inside_root.h"
#include "vision/sniff.h"

namespace similis {

namespace {

constexpr char kUnreadable[] = "unreadable";

/// "" for what may be a picture (or a broken one): it is worth decoding, and a failure that the
/// user should see. Else the word it is counted under.
std::string skip_word(const std::string& path, const std::string& root, std::string_view name) {
  auto opened = open_inside(path, root);
  std::array<std::byte, kSniffBytes> head;
  ssize_t size = -1;
  if (opened.ok()) size = pread(opened->file.fd(), head.data(), head.size(), 0);
  // Of a file that cannot be read only the name tells: one of a picture is a failure to show.
  const std::size_t known = size < 0 ? 0 : static_cast<std::size_t>(size);
  const Sniffed type = sniff(std::span(head).first(known), name);
  if (type.kind != SniffKind::other) return "";
  if (size < 0) return kUnreadable;
  return type.word;
}

}  // namespace

FolderScan::FolderScan(const Ports& ports, CollectionId collection, std::string root,
                       const BuildOptions& options, IngestCounters& counters,
                       std::function<Status(FolderWork)> work)
    : ports_(ports),
      collection_(collection),
      root_(std::move(root)),
      options_(options),
      walk_options_{options.hidden, ports.limits.never_inside},
      counters_(counters),
      work_(std::move(work)) {}

Status FolderScan::scan_all(const Context& ctx) {
  TRY(walk(ctx, root_));
  return unvisited_are_gone(ctx);
}

Status FolderScan::scan_below(const Context& ctx, const std::string& folder) {
  auto walked = walk(ctx, folder);
  // Came and went.
  if (!walked.ok() && walked.error().code == ErrorCode::not_found) return {};
  return walked;
}

Status FolderScan::scan_files(const Context& ctx, const std::string& folder,
                              const std::vector<std::string>& names) {
  FolderListing listing;
  std::unordered_set<std::string_view> looked_at;
  for (const std::string& name : names) {
    auto stamp = stat_file(join_path(folder, name), root_);
    if (!stamp.ok()) {  // unknown is not gone
      if (report_.read_errors++ == 0) report_.first_read_error = stamp.error().message;
      continue;
    }
    looked_at.insert(name);
    if (!stamp->has_value()) continue;
    listing.files.push_back({static_cast<std::uint32_t>(listing.names.size()),
                             static_cast<std::uint32_t>(name.size()), (*stamp)->size_bytes,
                             (*stamp)->mtime_ns});
    listing.names += name;
  }
  return compare(ctx, folder, listing, &looked_at);
}

Status FolderScan::folder_gone(const Context& ctx, const std::string& folder) {
  ASSIGN_OR_RETURN(const FolderId id, ports_.metadata.find_folder(ctx, folder));
  if (id == 0) return {};
  return ports_.metadata.for_each_file_under(ctx, collection_, id,
                                             [&](FolderId, const KnownFile& file) {
                                               gone_.push_back(file.id);
                                               return true;
                                             });
}

std::vector<std::pair<std::string, std::int64_t>> FolderScan::skipped() const {
  return {skipped_.begin(), skipped_.end()};
}

Status FolderScan::walk(const Context& ctx, const std::string& start) {
  auto walked = walk_folders(ctx, start, root_, walk_options_,
                             [&](const std::string& path, const FolderListing& listing) -> Status {
                               if (on_folder_) TRY(on_folder_(path));
                               return compare(ctx, path, listing, nullptr);
                             });
  if (!walked.ok()) return std::move(walked).error();
  const auto count = [&](const char* word, std::int64_t n) {
    if (n == 0) return;
    skipped_[word] += n;
    counters_.skipped += n;
  };
  count("link", walked->links);
  count("special", walked->special);
  if (walked->read_errors > 0) skipped_["unreadable folder"] += walked->read_errors;
  report_.folders += walked->folders;
  report_.read_errors += walked->read_errors;
  if (report_.first_read_error.empty()) report_.first_read_error = walked->first_read_error;
  report_.root_empty = start == root_ && walked->root_empty;
  return {};
}

/// `only`: the names that were looked for; a row of another name is left alone.
Status FolderScan::compare(const Context& ctx, const std::string& path,
                           const FolderListing& listing,
                           const std::unordered_set<std::string_view>* only) {
  FolderWork work;
  work.path = path;
  ASSIGN_OR_RETURN(work.folder, ports_.metadata.find_folder(ctx, path));
  std::vector<KnownFile> known;
  if (work.folder != 0) {
    visited_.insert(work.folder);
    ASSIGN_OR_RETURN(known, ports_.metadata.files_in_folder(ctx, collection_, work.folder));
  } else {
    visited_new_.insert(std::hash<std::string>()(path));
  }
  std::unordered_map<std::string_view, const KnownFile*> by_name;
  by_name.reserve(known.size());
  for (const KnownFile& file : known) by_name.emplace(file.name, &file);

  for (const FolderListing::File& file : listing.files) {
    const std::string_view name = listing.name(file);
    const auto it = by_name.find(name);
    const KnownFile* row = it == by_name.end() ? nullptr : it->second;
    if (row != nullptr) by_name.erase(it);
    const bool same =
        row != nullptr && row->size_bytes == file.size_bytes && row->mtime_ns == file.mtime_ns;
    if (same && row->state == RowState::ready) {
      if (!count_unchanged_) continue;
      ++counters_.found;
      ++counters_.unchanged;
    } else if (same && row->state == RowState::failed && !options_.retry_failed) {
      if (!count_unchanged_) continue;
      ++counters_.found;
      ++counters_.failed;  // it is still one of the root's failures
    } else if (on_young_ && file.mtime_ns > newest_ns_) {
      on_young_(path, name);
    } else {
      look_at(work, name, file.size_bytes, file.mtime_ns, row);
    }
  }
  for (const auto& [name, row] : by_name) {
    if (only == nullptr || only->contains(name)) gone_.push_back(row->id);
  }
  TRY(ctx.check());
  if (work.items.empty()) return {};
  return work_(std::move(work));
}

void FolderScan::look_at(FolderWork& work, std::string_view name, std::int64_t size_bytes,
                         std::int64_t mtime_ns, const KnownFile* known) {
  const std::string word = skip_word(join_path(work.path, name), root_, name);
  if (!word.empty()) {
    ++skipped_[word];
    ++counters_.skipped;
    // It was a picture once. One that cannot be read now may still be: its row is kept.
    if (known != nullptr && word != kUnreadable) gone_.push_back(known->id);
    return;
  }
  FolderWork::Item item{static_cast<std::uint32_t>(work.names.size()),
                        static_cast<std::uint32_t>(name.size()), size_bytes, mtime_ns, -1};
  if (known != nullptr) {
    item.known = static_cast<std::int32_t>(work.known.size());
    work.known.push_back(*known);
  }
  work.names += name;
  work.items.push_back(item);
  ++counters_.found;
}

/// Rows in folders that the walk has not met.
Status FolderScan::unvisited_are_gone(const Context& ctx) {
  ASSIGN_OR_RETURN(const FolderId root, ports_.metadata.find_folder(ctx, root_));
  if (root == 0) return {};
  std::unordered_map<FolderId, std::vector<ImageId>> unvisited;
  TRY(ports_.metadata.for_each_file_under(ctx, collection_, root,
                                          [&](FolderId folder, const KnownFile& file) {
                                            if (!visited_.contains(folder)) {
                                              unvisited[folder].push_back(file.id);
                                            }
                                            return !ctx.cancel.stop_requested();
                                          }));
  TRY(ctx.check());
  for (const auto& [folder, ids] : unvisited) {
    // A folder that had no row when it was walked may have got some since, from this very scan.
    ASSIGN_OR_RETURN(const std::string path, ports_.metadata.folder_path(ctx, folder));
    if (visited_new_.contains(std::hash<std::string>()(path))) continue;
    gone_.insert(gone_.end(), ids.begin(), ids.end());
  }
  return {};
}

}  // namespace similis
