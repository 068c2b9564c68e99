#pragma once

#include <string>
#include <vector>

#include "core/filter.h"
#include "stores/metadata/sql/statement.h"

namespace similis::sql {

/// A condition over `image i` and `embedding e` (the picture's row in the index that answers) that
/// holds exactly when matches(filter, attributes) does. It is never NULL, so that NOT means not.
/// Placeholders are :f0, :f1, ... in the order of `values`. invalid_argument for more than 5000
/// conditions or 100 levels.
struct FilterSql {
  std::string condition;
  std::vector<Value> values;
};
Result<FilterSql> filter_to_sql(const Filter& filter);

}  // namespace similis::sql
