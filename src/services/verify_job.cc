#include "services/verify_job.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "base/scope_exit.h"
#include "services/orphans.h"
#include "services/picture_locks.h"
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
    TRY(note_damage("unfinished pictures", recover_rows(ctx_, ports_)));
    ASSIGN_OR_RETURN(const auto counts, ports_.metadata.counts(ctx_, collection_.id));
    counters_.found = counts.ready;
    TRY(check_parts());
    ASSIGN_OR_RETURN(const auto indexes, ports_.metadata.list_indexes(ctx_, collection_.id));
    for (const IndexInfo& index : indexes) {
      if (index.state == IndexState::retired) continue;
      const std::string name = "index " + std::to_string(index.id);
      // First what its files say: the repair may not come to its end.
      bool damaged = false;
      const Status checked = check_files(index, damaged);
      if (!checked.ok() && !is_damage(checked.error())) return checked.error();
      Status mended = reconcile(index);
      if (!checked.ok() && (mended.ok() || mended.error().message != checked.error().message))
        TRY(note_damage(name, checked));
      if (damaged && mended.ok()) TRY(write_anew(index));
      TRY(note_damage(name, std::move(mended)));
    }
    TRY(note_damage("leftover files", sweep_orphans(ctx_, ports_)));
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

  static bool is_damage(const Error& error) {
    return error.code == ErrorCode::corruption || error.code == ErrorCode::not_found ||
           error.code == ErrorCode::io_error;
  }

  /// Damage is what verify is for: it is a finding and the rest goes on. Other errors end it.
  Status note_damage(const std::string& where, Status status) {
    if (status.ok()) return {};
    const Error& error = status.error();
    if (!is_damage(error)) return status;
    note(where + ": " + error.message + (error.hint.empty() ? "" : ". " + error.hint));
    return {};
  }

  Status check_parts() {
    TRY(note_damage("database", [&]() -> Status {
      ASSIGN_OR_RETURN(const auto health, ports_.metadata.verify(ctx_));
      for (const std::string& finding : health.findings) note("database: " + finding);
      return {};
    }()));
    TRY(note_damage("uploads", [&]() -> Status {
      ASSIGN_OR_RETURN(const auto blobs, ports_.blobs.verify(ctx_));
      note(blobs);
      return {};
    }()));
    return note_damage("models", [&]() -> Status {
      ASSIGN_OR_RETURN(const auto models, ports_.models.verify());
      for (const std::string& finding : models) note(finding);
      return {};
    }());
  }

  /// `damaged`: some of them are, of an index that may open.
  Status check_files(const IndexInfo& index, bool& damaged) {
    auto found = ports_.vectors.verify(ctx_, index.id);
    if (!found.ok() && found.error().code == ErrorCode::not_found) {
      note("index " + std::to_string(index.id) + " is missing; it is made again");
      return {};
    }
    if (!found.ok()) return std::move(found).error();
    note(*found);
    if (found->empty()) return {};
    damaged = true;
    // A store drops a damaged vector when it meets it: those that go now are made again below.
    for (ImageId after = 0;;) {
      ASSIGN_OR_RETURN(const auto ids, ports_.vectors.scan_ids(ctx_, index.id, after, kPage));
      if (ids.empty()) return {};
      ASSIGN_OR_RETURN([[maybe_unused]] const auto vectors,
                       ports_.vectors.fetch(ctx_, index.id, ids));
      after = ids.back();
    }
  }

  /// The files that were found damaged. Open by now, the store finds out which these are, and
  /// writes what it holds of them to others.
  Status write_anew(const IndexInfo& index) {
    counters_.optimizing = true;
    const ScopeExit done([this] { counters_.optimizing = false; });
    const auto write = [&]() -> Status {
      TRY(ports_.vectors.verify(ctx_, index.id));
      return ports_.vectors.optimize(ctx_, index.id);
    };
    if (const Status written = write(); !written.ok()) {
      TRY(ctx_.check());
      const Error& error = written.error();
      note("index " + std::to_string(index.id) + " stays damaged for now: " + error.message +
           (error.hint.empty() ? "" : ". " + error.hint));
    }
    return {};
  }

  /// Rows and vectors in step, both by id: a damaged row still has one.
  Status reconcile(const IndexInfo& index) {
    // One that is missing is made again, empty.
    const Status opened =
        ports_.vectors.create_index(ctx_, collection_.id, index.id, index.dimensions);
    if (!opened.ok() && opened.error().code == ErrorCode::corruption) {
      return Error(ErrorCode::corruption, opened.error().message,
                   "Move the folder of index " + std::to_string(index.id) +
                       " away and verify again: its vectors are made anew from your pictures");
    }
    TRY(opened);
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
      ASSIGN_OR_RETURN(
          const auto row_ids,
          ports_.metadata.scan_image_ids(ctx_, collection_.id, RowState::ready, after, kPage));
      ASSIGN_OR_RETURN(auto rows, ports_.metadata.get_images(ctx_, collection_.id, row_ids));
      auto row = rows.begin();  // in the order of ids; damaged ones, named above, are left out
      std::vector<ImageRow> in_step;
      for (const ImageId row_id : row_ids) {
        after = row_id;
        ASSIGN_OR_RETURN(ImageId id, next_id());
        while (id != 0 && id < row_id) {
          without_row.push_back(id);
          ++at;
          ASSIGN_OR_RETURN(id, next_id());
        }
        const bool has_vector = id == row_id;
        if (has_vector) ++at;
        if (row == rows.end() || row->id != row_id) continue;
        ++counters_.unchanged;
        (has_vector ? in_step : without_vector).push_back(std::move(*row++));
      }
      for (const ImageRow& one : in_step) TRY(check_blob(one));
      TRY(check_attributes(index, in_step));
      const bool at_end = row_ids.empty();
      while (at_end) {
        ASSIGN_OR_RETURN(const ImageId id, next_id());
        if (id == 0) break;
        without_row.push_back(id);
        ++at;
      }
      TRY(embed_again(index, without_vector, at_end));
      TRY(erase_lost(index, without_row, at_end));
      if (at_end) return check_token(index);
    }
  }

  /// An index that was lost or put back from a copy counts its writes anew: searches would wait for
  /// ever for those of before.
  Status check_token(const IndexInfo& index) {
    ASSIGN_OR_RETURN(const auto now, ports_.metadata.list_indexes(ctx_, collection_.id));
    ASSIGN_OR_RETURN(const WriteToken latest, ports_.vectors.latest_token(ctx_, index.id));
    const bool is_ahead = std::any_of(now.begin(), now.end(), [&](const IndexInfo& one) {
      return one.id == index.id && one.token > latest;
    });
    if (!is_ahead) return {};
    note("index " + std::to_string(index.id) +
         " lacked writes that the database knew of; it answers again");
    return ports_.metadata.reset_token(ctx_, collection_.id, index.id, latest);
  }

  /// The database is the truth of what filters see.
  Status check_attributes(const IndexInfo& index, std::span<const ImageRow> rows) {
    std::vector<ImageId> ids;
    for (const ImageRow& row : rows) ids.push_back(row.id);
    ASSIGN_OR_RETURN(const auto stored, ports_.vectors.fetch_attributes(ctx_, index.id, ids));
    for (std::size_t i = 0; i < rows.size(); ++i) {
      if (stored[i] && *stored[i] != attributes_of(rows[i])) {
        TRY(send_attributes(index, rows[i].id));
      }
    }
    return {};
  }

  Status send_attributes(const IndexInfo& index, ImageId id) {
    const PictureLocks locks(id);
    auto row = ports_.metadata.get_image(ctx_, collection_.id, id);
    if (!row.ok() && row.error().code == ErrorCode::not_found) return {};  // it has gone since
    if (!row.ok()) return std::move(row).error();
    ASSIGN_OR_RETURN(const auto stored,
                     ports_.vectors.fetch_attributes(ctx_, index.id, std::span(&id, 1)));
    const AttributeUpdate update{id, attributes_of(*row)};
    if (row->state != RowState::ready || !stored[0] || *stored[0] == update.attributes) return {};
    ASSIGN_OR_RETURN(const WriteToken token,
                     ports_.vectors.update_attributes(ctx_, index.id, std::span(&update, 1)));
    // The same tags: for the token and the epoch, which end what the cache knows.
    if (index.state == IndexState::active) {
      TRY(ports_.metadata.set_tags(ctx_, collection_.id, id, row->tags, token));
    }
    note_row(*row, "filters saw other facts than the database has; they were sent again");
    return {};
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
    std::vector<ImageId> lost;
    for (const ImageId id : ids) {
      const auto row = ports_.metadata.get_image(ctx_, collection_.id, id);
      if (row.ok() || row.error().code == ErrorCode::corruption) continue;
      if (row.error().code != ErrorCode::not_found) return row.error();
      lost.push_back(id);
    }
    ids = std::move(lost);
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
