#include "services/export_job.h"

#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <span>
#include <vector>

#include "archive/tar_writer.h"
#include "services/stored_file.h"
#include "wire/export_format.h"

namespace similis {

namespace {

constexpr std::int64_t kNsPerS = 1'000'000'000;

UnixSeconds unix_now_s() {
  return std::chrono::duration_cast<std::chrono::seconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

class Export {
 public:
  Export(const Context& ctx, const Ports& ports, const Collection& collection, bool with_pictures,
         IngestCounters& counters, FailureLog& failures)
      : ctx_(ctx),
        ports_(ports),
        collection_(collection),
        with_pictures_(with_pictures),
        counters_(counters),
        failures_(failures) {}

  Status run(const std::string& path, const std::string& own_name) {
    ASSIGN_OR_RETURN(const IndexInfo index, active_index());
    ASSIGN_OR_RETURN(const auto counts, ports_.metadata.counts(ctx_, collection_.id));
    counters_.found = counts.ready;
    ASSIGN_OR_RETURN(TarWriter tar, TarWriter::create(path, own_name));
    TRY(add(tar, std::string(wire::kManifestName),
            wire::export_manifest(collection_, index, counts.ready, now_)));
    ImageId after = 0;
    for (std::size_t part = 1;; ++part) {
      TRY(ctx_.check());
      ASSIGN_OR_RETURN(auto rows, ports_.metadata.scan_images(ctx_, collection_.id, RowState::ready,
                                                              after, wire::kRowsPerPart));
      if (rows.empty()) break;
      after = rows.back().id;
      TRY(write_part(tar, index, part, std::move(rows)));
    }
    TRY(ctx_.check());
    TRY(tar.finish());
    // Pictures may have gone since they were counted.
    counters_.found = counters_.snapshot().done();
    return {};
  }

 private:
  Result<IndexInfo> active_index() {
    ASSIGN_OR_RETURN(const auto indexes, ports_.metadata.list_indexes(ctx_, collection_.id));
    for (const IndexInfo& index : indexes) {
      if (index.id == collection_.active_index) return index;
    }
    return Error(ErrorCode::conflict, "collection " + collection_.name + " holds no pictures yet",
                 "Index a folder into it first.");
  }

  Status write_part(TarWriter& tar, const IndexInfo& index, std::size_t part,
                    std::vector<ImageRow> rows) {
    std::vector<ImageId> ids;
    for (const ImageRow& row : rows) ids.push_back(row.id);
    ASSIGN_OR_RETURN(const auto vectors, ports_.vectors.fetch(ctx_, index.id, ids));
    const auto dimensions = static_cast<std::size_t>(index.dimensions);
    std::string lines;
    std::vector<float> matrix;
    std::vector<const ImageRow*> with_file;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      if (vectors[i].size() != dimensions) continue;  // removed in this very moment
      const bool has_file = with_pictures_ && check_file(rows[i]);
      if (has_file) with_file.push_back(&rows[i]);
      lines += wire::export_row_line(rows[i], has_file);
      matrix.insert(matrix.end(), vectors[i].begin(), vectors[i].end());
      if (!with_pictures_) ++counters_.ready;
    }
    TRY(add(tar, wire::rows_name(part), lines));
    const std::size_t count = dimensions == 0 ? 0 : matrix.size() / dimensions;
    std::string npy = wire::npy_header(count, dimensions);
    npy.append(reinterpret_cast<const char*>(matrix.data()), matrix.size() * sizeof(float));
    TRY(add(tar, wire::embeddings_name(part), npy));
    for (const ImageRow* row : with_file) TRY(add_file(tar, *row));
    return {};
  }

  /// Whether the picture's bytes can be had, and are those that the row tells of.
  bool check_file(const ImageRow& row) {
    const auto stored = open_stored_file(ctx_, ports_, row);
    if (stored.ok() && stored->as_indexed) return true;
    fail(row, stored.ok() ? changed() : stored.error());
    return false;
  }

  Status add_file(TarWriter& tar, const ImageRow& row) {
    TRY(ctx_.check());
    const auto stored = open_stored_file(ctx_, ports_, row);
    if (!stored.ok() || !stored->as_indexed) {
      fail(row, stored.ok() ? changed() : stored.error());
      return {};
    }
    Status added = tar.add(wire::exported_file_name(row), stored->file,
                           static_cast<std::uint64_t>(stored->size_bytes), row.mtime_ns / kNsPerS);
    if (added.ok()) {
      ++counters_.ready;
    } else if (added.error().code == ErrorCode::unreadable_media) {
      fail(row, added.error());
    } else {
      return added;
    }
    return {};
  }

  static Error changed() {
    return {ErrorCode::conflict, "the file has changed since it was indexed",
            "Index its folder again."};
  }

  void fail(const ImageRow& row, const Error& error) {
    ++counters_.failed;
    failures_.add(row, error);
  }

  Status add(TarWriter& tar, const std::string& name, std::string_view text) const {
    return tar.add(name, std::as_bytes(std::span(text)), now_);
  }

  const Context& ctx_;
  const Ports& ports_;
  const Collection& collection_;
  const bool with_pictures_;
  IngestCounters& counters_;
  FailureLog& failures_;
  const UnixSeconds now_ = unix_now_s();
};

}  // namespace

Status run_export(const Context& ctx, const Ports& ports, const Collection& collection,
                  const Job& job, IngestCounters& counters, FailureLog& failures) {
  const std::string& path = job.root;
  struct stat st{};
  if (::lstat(path.c_str(), &st) == 0) {
    return Error(ErrorCode::already_exists, path + " exists already",
                 "Choose another name, or move it away.");
  }
  return Export(ctx, ports, collection, job.kind == JobKind::export_archive, counters, failures)
      .run(path, collection.uuid + "-" + std::to_string(job.id));
}

}  // namespace similis
