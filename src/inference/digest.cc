#include "inference/digest.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <memory>
#include <vector>

#include "base/file.h"
#include "base/hex.h"

namespace similis {
namespace {

struct FreeContext {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};

class Sha256 {
 public:
  Sha256() : context_(EVP_MD_CTX_new()) {
    good_ = context_ && EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) == 1;
  }
  void update(const void* bytes, std::size_t count) {
    good_ = good_ && EVP_DigestUpdate(context_.get(), bytes, count) == 1;
  }
  Result<std::string> finish() {
    std::array<std::byte, 32> digest{};
    good_ =
        good_ && EVP_DigestFinal_ex(context_.get(), reinterpret_cast<unsigned char*>(digest.data()),
                                    nullptr) == 1;
    if (!good_) return Error(ErrorCode::internal, "OpenSSL could not compute a SHA-256");
    return to_hex(digest);
  }

 private:
  std::unique_ptr<EVP_MD_CTX, FreeContext> context_;
  bool good_ = false;
};

}  // namespace

Result<std::string> sha256_hex(std::string_view bytes) {
  Sha256 hash;
  hash.update(bytes.data(), bytes.size());
  return hash.finish();
}

Result<std::string> sha256_hex_of_file(const std::filesystem::path& path) {
  ASSIGN_OR_RETURN(const File file, File::open(path, O_RDONLY));
  Sha256 hash;
  std::vector<std::byte> buffer(256 << 10);
  for (;;) {
    const ssize_t count = ::read(file.fd(), buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errno_error(errno, "read", path.string());
    if (count == 0) return hash.finish();
    hash.update(buffer.data(), static_cast<std::size_t>(count));
  }
}

}  // namespace similis
