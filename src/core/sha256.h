#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string_view>

#include "base/result.h"
#include "core/image.h"

struct evp_md_ctx_st;

namespace similis {

/// SHA-256 (FIPS 180-4) of bytes that come piece by piece, by OpenSSL.
class Sha256 {
 public:
  Sha256();
  void update(std::span<const std::byte> bytes);
  /// Once, after the last update. internal when OpenSSL cannot compute it.
  Result<ContentHash> finish();

 private:
  struct Free {
    void operator()(evp_md_ctx_st* context) const;
  };
  std::unique_ptr<evp_md_ctx_st, Free> context_;
  bool good_ = false;
};

Result<ContentHash> sha256(std::span<const std::byte> bytes);
Result<ContentHash> sha256(std::string_view text);

/// Of a file, read once through a small buffer (models reach hundreds of megabytes). Errors as
/// File::open.
Result<ContentHash> sha256_of_file(const std::filesystem::path& path);

}  // namespace similis
