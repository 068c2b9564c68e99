#include "stores/metadata/sql/collection_change.h"
#include "stores/metadata/sql/sql_metadata_store.h"

namespace similis::sql {
namespace {

constexpr std::size_t kFindingsMax = 1000;

/// Gathers what is wrong, up to a limit; says when it stopped.
class Findings {
 public:
  explicit Findings(std::vector<std::string>& out) : out_(out) {}
  [[nodiscard]] bool full() const { return out_.size() >= kFindingsMax; }
  void add(std::string finding) {
    if (!full()) out_.push_back(std::move(finding));
    if (full()) out_.back() = "...and more";
  }

 private:
  std::vector<std::string>& out_;
};

template <typename R>
void check_rows(Connection& c, const Context& ctx, Findings& findings) {
  const auto statement = std::make_unique<typename ColumnsOf<R>::Selecting>(
      c.session(), c.dialect(), "SELECT " + column_list<R>() + " FROM " + std::string(R::kTable),
      std::span<const ParameterSlot::Type>());
  statement->run();
  for (std::size_t i = 0; statement->next() && !findings.full(); ++i) {
    if (i % 1000 == 0) check(ctx.check());
    R record;
    std::int64_t stored = 0;
    std::tuple_cat(record.fields(), std::tie(stored)) = statement->row();
    if (stored != row_checksum(record)) {
      findings.add("similis.db: row " + row_name(record) + " does not match its checksum");
    }
  }
}

void check_counts(Connection& c, Findings& findings) {
  std::map<std::pair<IndexId, RowState>, std::int64_t> counted;
  auto& states = c.run<std::int64_t, std::int64_t, std::int64_t>(
      "SELECT index_id, state, COUNT(*) FROM embedding GROUP BY index_id, state");
  while (states.next()) {
    const auto [index, state, count] = states.row();
    if (state < 0 || state > static_cast<Int>(StoredState::replacing)) {
      findings.add("similis.db: " + std::to_string(count) + " pictures of index " +
                   std::to_string(index) + " have the unknown state " + std::to_string(state));
      continue;
    }
    counted[{index, row_state(static_cast<StoredState>(state))}] += count;
  }
  auto& indexes = c.run<std::int64_t, std::int64_t, std::int64_t, std::int64_t, std::int64_t>(
      "SELECT id, pending_count, ready_count, failed_count, removing_count FROM image_index");
  while (indexes.next()) {
    const auto [id, pending, ready, failed, removing] = indexes.row();
    for (const auto& [state, noted] :
         {std::pair(RowState::pending, pending), std::pair(RowState::ready, ready),
          std::pair(RowState::failed, failed), std::pair(RowState::removing, removing)}) {
      const std::int64_t found = counted[{id, state}];
      if (found == noted) continue;
      findings.add("similis.db: index " + std::to_string(id) + " notes " + std::to_string(noted) +
                   " pictures of state " + std::to_string(static_cast<int>(state)) +
                   ", there are " + std::to_string(found));
    }
  }
}

}  // namespace

Result<MetadataStore::Health> SqlMetadataStore::verify(const Context& ctx) {
  Health health;
  // Each check by itself: damage that ends one must not hide what another finds.
  const auto run = [&](const auto& check_with) -> Status {
    auto status = db_->read(ctx, check_with);
    if (status.ok()) return {};
    if (status.error().code != ErrorCode::corruption) return status;
    health.findings.push_back(status.error().message);
    return {};
  };
  Findings findings(health.findings);
  TRY(run([&](Connection& c) { check_integrity(c, health.findings); }));
  const auto check_table = [&]<typename R>(const R&) {
    return run([&](Connection& c) { check_rows<R>(c, ctx, findings); });
  };
  Status all;
  std::apply(
      [&](const auto&... record) { ((all.ok() ? void(all = check_table(record)) : void()), ...); },
      AllRecords{});
  TRY(std::move(all));
  TRY(run([&](Connection& c) { check_counts(c, findings); }));
  health.ok = health.findings.empty();
  return health;
}

}  // namespace similis::sql
