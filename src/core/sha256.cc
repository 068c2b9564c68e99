#include "core/sha256.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "base/file.h"

namespace similis {

void Sha256::Free::operator()(evp_md_ctx_st* context) const {
  EVP_MD_CTX_free(context);
}

Sha256::Sha256() : context_(EVP_MD_CTX_new()) {
  good_ = context_ && EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) == 1;
}

void Sha256::update(std::span<const std::byte> bytes) {
  good_ = good_ && EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) == 1;
}

Result<ContentHash> Sha256::finish() {
  ContentHash hash{};
  good_ = good_ && EVP_DigestFinal_ex(context_.get(), reinterpret_cast<unsigned char*>(hash.data()),
                                      nullptr) == 1;
  if (!good_) return Error(ErrorCode::internal, "OpenSSL could not compute a SHA-256");
  return hash;
}

Result<ContentHash> sha256(std::span<const std::byte> bytes) {
  Sha256 hash;
  hash.update(bytes);
  return hash.finish();
}

Result<ContentHash> sha256(std::string_view text) {
  return sha256(std::as_bytes(std::span(text)));
}

Result<ContentHash> sha256_of_file(const std::filesystem::path& path) {
  ASSIGN_OR_RETURN(const File file, File::open(path, O_RDONLY));
  Sha256 hash;
  std::vector<std::byte> buffer(256 << 10);
  for (;;) {
    const ssize_t count = ::read(file.fd(), buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errno_error(errno, "read", path.string());
    if (count == 0) return hash.finish();
    hash.update(std::span(buffer).first(static_cast<std::size_t>(count)));
  }
}

}  // namespace similis
