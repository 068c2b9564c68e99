#include "app/key_ring.h"

namespace similis {
namespace {

wire::KeyDoc document_of(const ApiKey& key) {
  wire::KeyDoc out;
  out.id = key.id;
  out.name = key.name;
  out.prefix = key.prefix;
  out.created_at = key.created_at;
  if (key.last_used_at != 0) out.last_used_at = key.last_used_at;
  return out;
}

}  // namespace

Result<wire::KeyDoc> StoredKeyRing::create(const Context& ctx, std::string_view name,
                                           std::string_view prefix, const ContentHash& hash) {
  ASSIGN_OR_RETURN(const ApiKey key, metadata_.create_key(ctx, name, prefix, hash));
  return document_of(key);
}

Result<std::vector<wire::KeyDoc>> StoredKeyRing::list(const Context& ctx) {
  ASSIGN_OR_RETURN(const auto keys, metadata_.list_keys(ctx));
  std::vector<wire::KeyDoc> out;
  for (const ApiKey& key : keys) out.push_back(document_of(key));
  return out;
}

Status StoredKeyRing::remove(const Context& ctx, std::int64_t id) {
  return metadata_.delete_key(ctx, id);
}

Result<wire::KeyDoc> StoredKeyRing::use(const Context& ctx, const ContentHash& hash) {
  ASSIGN_OR_RETURN(const ApiKey key, metadata_.use_key(ctx, hash));
  return document_of(key);
}

}  // namespace similis
