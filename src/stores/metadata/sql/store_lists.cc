#include <algorithm>

#include "stores/metadata/sql/filter_sql.h"
#include "stores/metadata/sql/folder_range.h"
#include "stores/metadata/sql/image_rows.h"
#include "stores/metadata/sql/list_cursor.h"
#include "stores/metadata/sql/sql_metadata_store.h"

// Pages by key, never by offset: the cursor holds the last row's sort keys. "Behind (a, id)" is
// asked in two statements, rows of equal `a` first, then those behind `a`: each is one range of an
// index in every database, which the OR of both is not.
namespace similis::sql {
namespace {

constexpr std::size_t kLimitMax = 1000;

[[noreturn]] void fail_cursor() {
  fail(ErrorCode::invalid_argument, "the cursor is not one of this list",
       "Take it from the page before, or leave it out to begin anew.");
}

Status check_limit(std::size_t limit) {
  if (limit >= 1 && limit <= kLimitMax) return {};
  return Error(ErrorCode::invalid_argument,
               "a page of " + std::to_string(limit) + " rows was asked for",
               "Use 1 to " + std::to_string(kLimitMax) + ".");
}

/// A sorted listing's rows, gathered from its statements.
template <typename Key>
struct Gathered {
  std::vector<ImageId> ids;
  std::vector<Key> keys;

  /// `text` selects the id and the sort key.
  void add(Connection& c, const std::string& text, std::span<const Value> values) {
    const auto statement = c.run_once<std::int64_t, Key>(text, values);
    while (statement->next()) {
      ids.push_back(statement->template get<0>());
      keys.push_back(statement->template get<1>());
    }
  }
};

/// What all sorts have in common: the rows and conditions of one request.
class ListQuery {
 public:
  ListQuery(Connection& c, const CollectionRecord& collection, const ListRequest& request)
      : c_(c),
        collection_(collection),
        limit_(request.limit),
        filter_(check(filter_to_sql(request.filter))) {}

  /// `sort_key` orders, descending or not, then the id ascending. `after`: the last row of the page
  /// before. `sort_values`: the placeholders of `sort_key`, if it has some.
  template <typename Key>
  Gathered<Key> run(const std::string& sort_key, bool descending,
                    const std::optional<std::pair<Key, ImageId>>& after,
                    const std::vector<Value>& sort_values = {}) {
    Gathered<Key> out;
    const std::string order = " ORDER BY 2" + std::string(descending ? " DESC" : "") + ", i.id";
    if (after) {
      statement(out, sort_key, sort_values, "= ", " AND i.id > :after_id",
                {Value(after->first), Value(after->second)}, " ORDER BY i.id");
      if (out.ids.size() <= limit_) {
        statement(out, sort_key, sort_values, descending ? "< " : "> ", "", {Value(after->first)},
                  order);
      }
    } else {
      statement(out, sort_key, sort_values, "", "", {}, order);
    }
    return out;
  }

 private:
  template <typename Key>
  void statement(Gathered<Key>& out, const std::string& sort_key,
                 const std::vector<Value>& sort_values, const std::string& comparison,
                 const std::string& more, const std::vector<Value>& more_values,
                 const std::string& order) {
    std::vector<Value> values(sort_values);
    // The image is walked first: its index has the order, so that a page reads a page's rows.
    std::string text = "SELECT i.id, " + sort_key + " FROM image i " + c_.dialect().ordered_join +
                       " embedding e ON e.image_id = i.id WHERE i.collection_id = :collection";
    values.emplace_back(collection_.id);
    if (!comparison.empty()) {
      text += " AND " + renamed(sort_key) + " " + comparison + ":after_key" + more;
      values.insert(values.end(), sort_values.begin(), sort_values.end());
      values.insert(values.end(), more_values.begin(), more_values.end());
    }
    text += " AND e.index_id = :index AND e.state IN (:ready, :replacing)";
    values.emplace_back(collection_.active_index);
    values.emplace_back(static_cast<std::int64_t>(StoredState::ready));
    values.emplace_back(static_cast<std::int64_t>(StoredState::replacing));
    text += " AND " + filter_.condition;
    values.insert(values.end(), filter_.values.begin(), filter_.values.end());
    text += order + " LIMIT :limit";
    // One row more than the page tells whether there is a next one.
    values.emplace_back(static_cast<std::int64_t>(limit_ + 1 - out.ids.size()));
    out.add(c_, text, values);
  }

  /// The same expression with placeholders of its own.
  static std::string renamed(std::string text) {
    for (auto at = text.find(":s"); at != std::string::npos; at = text.find(":s", at + 2)) {
      text.insert(at + 2, "again");
    }
    return text;
  }

  Connection& c_;
  const CollectionRecord& collection_;
  std::size_t limit_;
  FilterSql filter_;
};

std::string_view cursor_name(ListSort sort) {
  switch (sort) {
    case ListSort::date:
      return "date";
    case ListSort::name:
      return "name";
    case ListSort::random:
      break;
  }
  return "random";
}

/// The ids of one page in order, and the next page's cursor.
struct IdPage {
  std::vector<ImageId> ids;
  std::string next_cursor;
};

template <typename Key>
IdPage to_page(Gathered<Key> gathered, std::size_t limit, std::string_view name) {
  IdPage page;
  page.ids = std::move(gathered.ids);
  if (page.ids.size() > limit) {
    page.ids.resize(limit);
    page.next_cursor = ListCursor(name).add(gathered.keys[limit - 1]).add(page.ids.back()).take();
  }
  return page;
}

std::optional<std::pair<std::int64_t, ImageId>> number_cursor(const ListRequest& request) {
  if (request.cursor.empty()) return std::nullopt;
  CursorReader reader(request.cursor, cursor_name(request.sort));
  const std::int64_t key = reader.number();
  const ImageId id = reader.number();
  if (!reader.ok()) fail_cursor();
  return std::pair(key, id);
}

IdPage list_ids(Connection& c, const CollectionRecord& collection, const ListRequest& request) {
  const std::string_view name = cursor_name(request.sort);
  ListQuery query(c, collection, request);
  switch (request.sort) {
    case ListSort::date:
      return to_page(query.run("i.date_s", true, number_cursor(request)), request.limit, name);
    case ListSort::name: {
      std::optional<std::pair<std::string, ImageId>> after;
      if (!request.cursor.empty()) {
        CursorReader reader(request.cursor, name);
        std::string key = reader.bytes();
        const ImageId id = reader.number();
        if (!reader.ok()) fail_cursor();
        after.emplace(std::move(key), id);
      }
      return to_page(query.run("i.name", false, after), request.limit, name);
    }
    case ListSort::random: {
      // image.shuffle is a random number below the prime 2^31 - 1; times a factor, plus an offset,
      // modulo the prime is a permutation of these numbers, another one for each seed, and the
      // product stays below 2^62.
      constexpr std::uint64_t kPrime = 2147483647;
      const auto factor = static_cast<std::int64_t>(1 + request.seed % (kPrime - 1));
      const auto offset = static_cast<std::int64_t>((request.seed / (kPrime - 1)) % kPrime);
      return to_page(query.run("((i.shuffle * :sfactor + :soffset) % 2147483647)", false,
                               number_cursor(request), {Value(factor), Value(offset)}),
                     request.limit, name);
    }
  }
  return {};
}

}  // namespace

Result<ListPage> SqlMetadataStore::list_images(const Context& ctx, const ListRequest& request) {
  TRY(check_limit(request.limit));
  return db_->read(ctx, [&](Connection& c) {
    const auto collection = load_collection(c, request.collection);
    const IdPage page = list_ids(c, collection, request);
    return ListPage{ImageReader(c, folders_, collection).rows(page.ids), page.next_cursor};
  });
}

Result<ListPage> SqlMetadataStore::list_failures(const Context& ctx, CollectionId id, FolderId root,
                                                 std::size_t limit, std::string_view cursor) {
  TRY(check_limit(limit));
  return db_->read(ctx, [&](Connection& c) {
    const auto collection = load_collection(c, id);
    constexpr std::string_view kName = "failures";

    // By the folder's path, the name, the id. Failures are few: they are sorted as they come.
    std::string text =
        "SELECT i.id, i.folder_id, i.name FROM embedding e JOIN image i ON i.id = e.image_id"
        " LEFT JOIN folder f ON f.id = i.folder_id"
        " WHERE e.index_id = :index AND e.state = :failed";
    std::vector<Value> values{Value(collection.active_index),
                              Value(static_cast<std::int64_t>(StoredState::failed))};
    if (root != 0) {
      const FolderRange range = folder_range(folders_.path(c, root));
      text += " AND (f.path = :self OR (f.path >= :below AND f.path < :end))";
      for (const auto& path : {range.self, range.first_below, range.end_below}) {
        values.emplace_back(path);
      }
    }
    if (!cursor.empty()) {
      CursorReader reader(cursor, kName);
      const FolderId folder = reader.number();
      const std::string name = reader.bytes();
      const ImageId last = reader.number();
      if (!reader.ok()) fail_cursor();
      const std::string path = folder == 0 ? std::string() : folders_.path(c, folder);
      text +=
          " AND (COALESCE(f.path, '') > :p1 OR (COALESCE(f.path, '') = :p2 AND"
          " (i.name > :n1 OR (i.name = :n2 AND i.id > :i1))))";
      for (const auto& key : {path, path, name, name}) values.emplace_back(key);
      values.emplace_back(last);
    }
    text += " ORDER BY COALESCE(f.path, ''), i.name, i.id LIMIT :limit";
    values.emplace_back(static_cast<std::int64_t>(limit + 1));

    std::vector<std::tuple<ImageId, std::optional<FolderId>, std::string>> found;
    const auto statement =
        c.run_once<std::int64_t, std::optional<std::int64_t>, std::string>(text, values);
    while (statement->next()) found.push_back(statement->row());

    ListPage page;
    if (found.size() > limit) {
      found.resize(limit);
      const auto& [last, folder, name] = found.back();
      page.next_cursor = ListCursor(kName).add(folder.value_or(0)).add(name).add(last).take();
    }
    std::vector<ImageId> ids;
    for (const auto& row : found) ids.push_back(std::get<0>(row));
    page.rows = ImageReader(c, folders_, collection).rows(ids);
    return page;
  });
}

}  // namespace similis::sql
