#pragma once

#include <map>
#include <optional>

#include "core/collection.h"
#include "core/image.h"
#include "stores/metadata/sql/record_io.h"
#include "stores/metadata/sql/records.h"

namespace similis::sql {

UnixSeconds now_s();

/// Gives ids that were never given before, from the counter named `kind`; save() writes it back.
class IdSource {
 public:
  IdSource(Connection& c, std::string_view kind);
  std::int64_t next();
  void save();

 private:
  Connection& c_;
  CounterRecord counter_;
  bool exists_ = false;
  bool changed_ = false;
};
/// One such id.
std::int64_t take_id(Connection& c, std::string_view kind);
/// Ids of this kind given from now on are above `id`.
void raise_counter(Connection& c, std::string_view kind, std::int64_t id);

/// The value as an enum of `count` members; corruption outside.
template <typename E>
E to_enum(std::int64_t value, std::int64_t count, std::string_view what) {
  if (value < 0 || value >= count) {
    fail(ErrorCode::corruption,
         "the database holds " + std::to_string(value) + " as a " + std::string(what),
         "Run `similis verify` to see all damage.");
  }
  return static_cast<E>(value);
}

/// embedding.state: RowState's members in their order, and one more.
enum class StoredState : std::uint8_t {
  pending,
  ready,
  failed,
  removing,
  replacing,  // ready for the content before; a new vector may already be there
};
inline StoredState stored_state(std::int64_t value) {
  return to_enum<StoredState>(value, 5, "picture's state");
}
/// What the port calls it.
constexpr RowState row_state(StoredState state) {
  return state == StoredState::replacing ? RowState::ready : static_cast<RowState>(state);
}

CollectionRecord load_collection(Connection& c, CollectionId id);
/// The index, of this collection.
IndexRecord load_index(Connection& c, CollectionId collection, IndexId index);
/// With the active index's token.
Collection to_collection(Connection& c, const CollectionRecord& record);

/// What one transaction changes in a collection's row and in its indexes' rows (epoch, tokens,
/// counts) and the picture ids it gives, gathered and written once by save(). not_found when the
/// collection is unknown.
class CollectionChange {
 public:
  CollectionChange(Connection& c, CollectionId id);

  [[nodiscard]] CollectionRecord& record() { return collection_; }
  /// not_found when it is not an index of this collection.
  IndexRecord& index(IndexId id);
  ImageId next_image_id() {
    if (!image_ids_) image_ids_.emplace(c_, "image");
    return image_ids_->next();
  }
  /// A row of this index went from one state to another; nullopt: had none, has none.
  void count(IndexId id, std::optional<StoredState> from, std::optional<StoredState> to);
  /// At most + 1, however often it is called.
  void raise_epoch() { epoch_raised_ = true; }
  /// A token for no index (0) is ignored.
  void raise_token(IndexId id, WriteToken token);
  void save();

 private:
  Connection& c_;
  CollectionRecord collection_;
  bool epoch_raised_ = false;
  std::map<IndexId, IndexRecord> indexes_;
  std::optional<IdSource> image_ids_;
};

}  // namespace similis::sql
