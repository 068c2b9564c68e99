#pragma once

#include "http/auth.h"
#include "stores/metadata/metadata_store.h"

namespace similis {

/// API keys as rows of the metadata store.
class StoredKeyRing : public http::KeyRing {
 public:
  explicit StoredKeyRing(MetadataStore& metadata) : metadata_(metadata) {}

  Result<wire::KeyDoc> create(const Context& ctx, std::string_view name, std::string_view prefix,
                              const ContentHash& hash) override;
  Result<std::vector<wire::KeyDoc>> list(const Context& ctx) override;
  Status remove(const Context& ctx, std::int64_t id) override;
  Result<wire::KeyDoc> use(const Context& ctx, const ContentHash& hash) override;

 private:
  MetadataStore& metadata_;
};

}  // namespace similis
