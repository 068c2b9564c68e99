#include "services/verify_job.h"

#include <algorithm>
#include <unordered_set>

#include "services/orphans.h"
#include "services/recovery.h"

namespace similis {

namespace {

constexpr std::size_t kPage = 1000;
constexpr std::size_t kFindingsMax = 10'000;

class Verifier {
 public:
  Verifier(const Context& ctx, const Ports& ports, const Collection& collection,
           IngestCounters& counters)
      : ctx_(ctx), ports_(ports), collection_(collection), counters_(counters) {}

  Result<std::vector<std::string>> run() {
    TRY(recover_rows(ctx_, ports_));
    ASSIGN_OR_RETURN(const auto counts, ports_.metadata.counts(ctx_, collection_.id));
    counters_.found = counts.ready;
    TRY(check_parts());
    ASSIGN_OR_RETURN(const auto indexes, ports_.metadata.list_indexes(ctx_, collection_.id));
    for (const IndexInfo& index : indexes) {
      if (index.state == IndexState::retired) continue;
      TRY(reconcile(index));
      // After the repair, which reads what it can of the index.
      ASSIGN_OR_RETURN(const auto found, ports_.vectors.verify(ctx_, index.id));
      note(found);
    }
    TRY(sweep_orphans(ctx_, ports_));
    return std::move(findings_);
  }

 private:
  void note(std::string finding) {
    ++counters_.found;
    ++counters_.failed;
    if (findings_.size() < kFindingsMax) findings_.push_back(std::move(finding));
  }
  /// Of a row, which is counted already.
  void note_row(const ImageRow& row, const std::string& finding) {
    --counters_.unchanged;
    --counters_.found;
    note("picture " + std::to_string(row.id) + " (" + row.path() + "): " + finding);
  }
  void note(const std::vector<VerifyFinding>& found) {
    for (const VerifyFinding& f : found) {
      note(f.file + ": " + f.what + " at byte " + std::to_string(f.offset));
    }
  }

  Status check_parts() {
    ASSIGN_OR_RETURN(const auto health, ports_.metadata.verify(ctx_));
    for (const std::string& finding : health.findings) note("database: " + finding);
    ASSIGN_OR_RETURN(const auto blobs, ports_.blobs.verify(ctx_));
    note(blobs);
    ASSIGN_OR_RETURN(const auto models, ports_.models.verify());
    for (const std::string& finding : models) note(finding);
    return {};
  }

  /// Rows and vectors in step, both by id.
  Status reconcile(const IndexInfo& index) {
    std::vector<ImageRow> without_vector;
    std::vector<ImageId> without_row;
    std::vector<ImageId> ids;
    std::size_t at = 0;
    bool more_ids = true;
    const auto next_id = [&]() -> Result<ImageId> {  // 0 at the end
      if (at == ids.size() && more_ids) {
        const ImageId after = ids.empty() ? 0 : ids.back();
        ASSIGN_OR_RETURN(ids, ports_.vectors.scan_ids(ctx_, index.id, after, kPage));
        at = 0;
        more_ids = !ids.empty();
      }
      return at < ids.size() ? ids[at] : ImageId{0};
    };
    for (ImageId after = 0;;) {
      TRY(ctx_.check());
      ASSIGN_OR_RETURN(auto rows, ports_.metadata.scan_images(ctx_, collection_.id, RowState::ready,
                                                              after, kPage));
      for (ImageRow& row : rows) {
        after = row.id;
        ++counters_.unchanged;
        ASSIGN_OR_RETURN(ImageId id, next_id());
        while (id != 0 && id < row.id) {
          without_row.push_back(id);
          ++at;
          ASSIGN_OR_RETURN(id, next_id());
        }
        if (id == row.id) {
          ++at;
          TRY(check_blob(row));
        } else {
          without_vector.push_back(std::move(row));
        }
      }
      const bool at_end = rows.empty();
      while (at_end) {
        ASSIGN_OR_RETURN(const ImageId id, next_id());
        if (id == 0) break;
        without_row.push_back(id);
        ++at;
      }
      TRY(embed_again(index, without_vector, at_end));
      TRY(erase_lost(index, without_row, at_end));
      if (at_end) return {};
    }
  }

  Status check_blob(const ImageRow& row) {
    if (row.folder != 0) return {};
    ASSIGN_OR_RETURN(const bool there,
                     ports_.blobs.contains(ctx_, BlobKind::upload, row.facts.content_hash));
    if (!there) note_row(row, "its uploaded file is missing");
    return {};
  }

  /// Works once enough has gathered, or at the end.
  Status embed_again(const IndexInfo& index, std::vector<ImageRow>& rows, bool at_end) {
    if (rows.empty() || (!at_end && rows.size() < kPage)) return {};
    // The collection lives on meanwhile: a row that was replaced or removed since is well.
    std::vector<ImageId> ids;
    for (const ImageRow& row : rows) ids.push_back(row.id);
    ASSIGN_OR_RETURN(const auto vectors, ports_.vectors.fetch(ctx_, index.id, ids));
    ASSIGN_OR_RETURN(auto still, ports_.metadata.get_images(ctx_, collection_.id, ids));
    std::erase_if(still, [&](const ImageRow& row) {
      const auto i = std::find(ids.begin(), ids.end(), row.id) - ids.begin();
      return row.state != RowState::ready || !vectors[static_cast<std::size_t>(i)].empty();
    });
    rows.clear();
    ASSIGN_OR_RETURN(const auto lost, take_in_again(ctx_, ports_, collection_.id, still));
    std::unordered_set<ImageId> lost_ids;
    for (const ImageRow& row : lost) {
      lost_ids.insert(row.id);
      note_row(row, "its vector and its file are missing; index its folder again");
    }
    for (const ImageRow& row : still) {
      if (!lost_ids.contains(row.id)) note_row(row, "its vector was missing; it was made again");
    }
    return {};
  }

  Status erase_lost(const IndexInfo& index, std::vector<ImageId>& ids, bool at_end) {
    if (ids.empty() || (!at_end && ids.size() < kPage)) return {};
    // The row is written before the vector: an id without a row now has none.
    ASSIGN_OR_RETURN(const auto rows, ports_.metadata.get_images(ctx_, collection_.id, ids));
    for (const ImageRow& row : rows) std::erase(ids, row.id);
    for (const ImageId id : ids) {
      note("vector " + std::to_string(id) + " belonged to no picture; it was removed");
    }
    if (!ids.empty()) {
      ASSIGN_OR_RETURN([[maybe_unused]] const WriteToken token,
                       ports_.vectors.erase(ctx_, index.id, ids));
    }
    ids.clear();
    return {};
  }

  const Context& ctx_;
  const Ports& ports_;
  const Collection& collection_;
  IngestCounters& counters_;
  std::vector<std::string> findings_;
};

}  // namespace

Result<std::vector<std::string>> run_verify(const Context& ctx, const Ports& ports,
                                            const Collection& collection,
                                            IngestCounters& counters) {
  return Verifier(ctx, ports, collection, counters).run();
}

}  // namespace similis
