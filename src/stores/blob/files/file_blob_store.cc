#include "stores/blob/files/file_blob_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <mutex>

#include "base/crc32c.h"
#include "base/file.h"
#include "base/hex.h"
#include "core/sha256.h"

namespace similis {
namespace {

namespace fs = std::filesystem;

struct Type {
  const char* extension;
  std::string_view media_type;
};

/// In the order a look-up tries them: nearly all thumbnails and most uploads are JPEG. The last one
/// stands for every type that has no extension of its own here.
constexpr std::array<Type, 10> kTypes{{{".jpg", "image/jpeg"},
                                       {".png", "image/png"},
                                       {".webp", "image/webp"},
                                       {".gif", "image/gif"},
                                       {".tif", "image/tiff"},
                                       {".heic", "image/heic"},
                                       {".avif", "image/avif"},
                                       {".jxl", "image/jxl"},
                                       {".bmp", "image/bmp"},
                                       {".bin", "application/octet-stream"}}};

const Type& type_of(std::string_view media_type) {
  for (const Type& type : kTypes)
    if (type.media_type == media_type) return type;
  return kTypes.back();
}

const Type* type_of_extension(const std::string& extension) {
  for (const Type& type : kTypes)
    if (extension == type.extension) return &type;
  return nullptr;
}

/// Whole or not at all, but not synced: for what can be made again.
Status publish_unsynced(const fs::path& path, std::span<const std::byte> bytes) {
  const fs::path temporary = path.native() + ".tmp" + std::to_string(::gettid());
  const auto write = [&]() -> Status {
    ASSIGN_OR_RETURN(const File file, File::open(temporary, O_WRONLY | O_CREAT | O_TRUNC));
    TRY(write_all(file.fd(), bytes, path.native()));
    if (::rename(temporary.c_str(), path.c_str()) != 0)
      return errno_error(errno, "rename", path.native());
    return {};
  };
  Status status = write();
  if (!status.ok()) ::unlink(temporary.c_str());
  return status;
}

/// A thumbnail is not synced: after a power cut its file may be cut short or hold zeros. A checksum
/// behind its bytes, where programs that show pictures do not look, tells.
constexpr std::array<char, 4> kSealMagic{'t', 'h', 'm', 'b'};
constexpr std::size_t kSealBytes = kSealMagic.size() + sizeof(std::uint32_t);

std::vector<std::byte> sealed(std::span<const std::byte> bytes) {
  std::vector<std::byte> out(bytes.begin(), bytes.end());
  out.resize(bytes.size() + kSealBytes);
  const std::uint32_t checksum = crc32c(bytes);
  std::memcpy(out.data() + bytes.size(), kSealMagic.data(), kSealMagic.size());
  std::memcpy(out.data() + bytes.size() + kSealMagic.size(), &checksum, sizeof checksum);
  return out;
}

/// Takes the checksum off; false when the bytes are not what was written.
bool unseal(std::vector<std::byte>& bytes) {
  if (bytes.size() < kSealBytes) return false;
  const std::size_t size = bytes.size() - kSealBytes;
  std::uint32_t checksum = 0;
  std::memcpy(&checksum, bytes.data() + size + kSealMagic.size(), sizeof checksum);
  if (std::memcmp(bytes.data() + size, kSealMagic.data(), kSealMagic.size()) != 0 ||
      crc32c(std::span(bytes).first(size)) != checksum)
    return false;
  bytes.resize(size);
  return true;
}

class FileBlobStore final : public BlobStore {
 public:
  explicit FileBlobStore(fs::path directory) : directory_(std::move(directory)) {}

  Status put(const Context& ctx, BlobKind kind, const ContentHash& key,
             std::span<const std::byte> bytes, std::string_view media_type) override {
    TRY(ctx.check());
    const Type& type = type_of(media_type);
    const fs::path path = path_of(kind, key, type);
    if (kind == BlobKind::thumbnail) {
      const auto with_checksum = sealed(bytes);
      Status status = publish_unsynced(path, with_checksum);
      if (!status.ok() && status.error().code == ErrorCode::not_found) {
        TRY(make_directories(path.parent_path()));
        status = publish_unsynced(path, with_checksum);
      }
      TRY(std::move(status));
      for (const Type& other : kTypes)
        if (&other != &type) ::unlink(path_of(kind, key, other).c_str());
      return {};
    }
    // With erase_aged, under one lock: a blob that was found here cannot be erased as an old one.
    const std::lock_guard lock(lock_of(key));
    const auto existing = find(kind, key);
    if (existing && holds(existing->path, bytes)) {
      if (::utimensat(AT_FDCWD, existing->path.c_str(), nullptr, 0) != 0) {
        return errno_error(errno, "touch", existing->path.native());
      }
      // The process that wrote it may have died before its name was safe.
      TRY(sync_directory(path.parent_path()));
      return sync_parents(path, key);
    }
    if (::access(path.parent_path().c_str(), F_OK) != 0) {
      synced_[folder_number(key)] = false;
      TRY(make_directories(path.parent_path()));
    }
    TRY(publish_file(path, bytes));
    TRY(sync_parents(path, key));
    // What was there under this key was damaged, or had another type's name.
    if (existing && existing->path != path) ::unlink(existing->path.c_str());
    return {};
  }

  Result<Blob> get(const Context& ctx, BlobKind kind, const ContentHash& key) override {
    TRY(ctx.check());
    const auto found = find(kind, key);
    if (!found) return absent(kind, key);
    auto bytes = read_file(found->path);
    if (!bytes.ok()) {
      if (bytes.error().code == ErrorCode::not_found) return absent(kind, key);  // just now erased
      return std::move(bytes).error();
    }
    if (kind == BlobKind::thumbnail && !unseal(*bytes)) return absent(kind, key);  // made again
    if (kind == BlobKind::upload) {
      ASSIGN_OR_RETURN(const ContentHash hash, sha256(*bytes));
      if (hash != key) return damaged(found->path);
    }
    return Blob{std::move(*bytes), std::string(found->type->media_type)};
  }

  Result<File> open(const Context& ctx, BlobKind kind, const ContentHash& key) override {
    TRY(ctx.check());
    const auto found = find(kind, key);
    if (!found) return absent(kind, key);
    auto file = File::open(found->path, O_RDONLY);
    if (!file.ok() && file.error().code == ErrorCode::not_found) return absent(kind, key);
    if (file.ok() && kind == BlobKind::upload) TRY(check(ctx, *file, found->path, key));
    return file;
  }

  Result<bool> contains(const Context& ctx, BlobKind kind, const ContentHash& key) override {
    TRY(ctx.check());
    const auto found = find(kind, key);
    if (!found || kind == BlobKind::upload) return found.has_value();
    auto bytes = read_file(found->path);
    if (!bytes.ok() && bytes.error().code != ErrorCode::not_found) return std::move(bytes).error();
    return bytes.ok() && unseal(*bytes);
  }

  Status erase(const Context& ctx, BlobKind kind, const ContentHash& key) override {
    return erase_aged(ctx, kind, key, 0);
  }

  Status erase_aged(const Context& ctx, BlobKind kind, const ContentHash& key,
                    std::int64_t age_min_s) override {
    TRY(ctx.check());
    const std::lock_guard lock(lock_of(key));
    for (const Type& type : kTypes) {
      const fs::path path = path_of(kind, key, type);
      struct stat info{};
      if (::stat(path.c_str(), &info) != 0) continue;
      if (age_min_s > 0 && ::time(nullptr) - info.st_mtime < age_min_s) continue;
      if (::unlink(path.c_str()) != 0 && errno != ENOENT)
        return errno_error(errno, "remove", path.native());
    }
    return {};
  }

  Status for_each(const Context& ctx, BlobKind kind,
                  const std::function<bool(const ContentHash&, std::int64_t)>& visit) override {
    const std::int64_t now = ::time(nullptr);
    return walk(ctx, kind, [&](const ContentHash& key, const fs::path&, const struct stat& info) {
      return visit(key, now - info.st_mtime);
    });
  }

  Result<BlobUsage> usage(const Context& ctx, BlobKind kind) override {
    BlobUsage out;
    TRY(walk(ctx, kind, [&](const ContentHash&, const fs::path&, const struct stat& info) {
      ++out.count;
      const std::int64_t seal = kind == BlobKind::thumbnail ? kSealBytes : 0;
      out.bytes += std::max<std::int64_t>(0, info.st_size - seal);
      return true;
    }));
    return out;
  }

  Result<std::vector<VerifyFinding>> verify(const Context& ctx) override {
    std::vector<VerifyFinding> out;
    Status failed;
    TRY(walk(ctx, BlobKind::upload,
             [&](const ContentHash& key, const fs::path& path, const struct stat&) {
               const std::string name = fs::relative(path, directory_).native();
               const auto bytes = read_file(path);
               if (!bytes.ok()) {
                 if (bytes.error().code != ErrorCode::not_found)
                   out.push_back({name, 0, bytes.error().message});
                 return true;
               }
               const auto hash = sha256(*bytes);
               if (!hash.ok()) {
                 failed = hash.error();
                 return false;
               }
               if (*hash != key) out.push_back({name, 0, "its bytes do not hash to its name"});
               return true;
             }));
    TRY(std::move(failed));
    return out;
  }

 private:
  struct Found {
    fs::path path;
    const Type* type;
  };

  [[nodiscard]] fs::path folder(BlobKind kind) const {
    return directory_ / (kind == BlobKind::upload ? "blobs" : "thumbs");
  }

  [[nodiscard]] fs::path path_of(BlobKind kind, const ContentHash& key, const Type& type) const {
    const std::string hex = to_hex(key);
    return folder(kind) / hex.substr(0, 2) / hex.substr(2, 2) / (hex + type.extension);
  }

  [[nodiscard]] std::optional<Found> find(BlobKind kind, const ContentHash& key) const {
    for (const Type& type : kTypes) {
      fs::path path = path_of(kind, key, type);
      struct stat info{};
      if (::stat(path.c_str(), &info) != 0) continue;
      return Found{std::move(path), &type};
    }
    return std::nullopt;
  }

  /// True when the file holds exactly these bytes: a damaged one is to be written again.
  static bool holds(const fs::path& path, std::span<const std::byte> bytes) {
    const auto stored = read_file(path);
    return stored.ok() && std::equal(stored->begin(), stored->end(), bytes.begin(), bytes.end());
  }

  std::mutex& lock_of(const ContentHash& key) {
    return locks_[static_cast<std::size_t>(key[2]) % locks_.size()];
  }

  static std::size_t folder_number(const ContentHash& key) {
    return static_cast<std::size_t>(key[0]) * 256 + static_cast<std::size_t>(key[1]);
  }

  /// Makes the entries of the folders above an upload's own durable, once for each.
  Status sync_parents(const fs::path& path, const ContentHash& key) {
    std::atomic<bool>& synced = synced_[folder_number(key)];
    if (synced) return {};
    const fs::path outer = path.parent_path().parent_path();
    TRY(sync_directory(outer));
    TRY(sync_directory(outer.parent_path()));
    synced = true;
    return {};
  }

  static Error damaged(const fs::path& path) {
    return {ErrorCode::corruption, path.native() + " is not what was uploaded: its hash differs",
            "Upload the picture again, or restore the file from a backup."};
  }

  static Status check(const Context& ctx, const File& file, const fs::path& path,
                      const ContentHash& key) {
    Sha256 hash;
    std::vector<std::byte> part(std::size_t{256} << 10);
    for (off_t at = 0;;) {
      TRY(ctx.check());
      const ssize_t size = ::pread(file.fd(), part.data(), part.size(), at);
      if (size < 0 && errno == EINTR) continue;
      if (size < 0) return errno_error(errno, "read", path.native());
      if (size == 0) break;
      hash.update(std::span(part).first(static_cast<std::size_t>(size)));
      at += size;
    }
    ASSIGN_OR_RETURN(const ContentHash found, hash.finish());
    return found == key ? Status() : Status(damaged(path));
  }

  static Error absent(BlobKind kind, const ContentHash& key) {
    return {ErrorCode::not_found, std::string("there is no ") +
                                      (kind == BlobKind::upload ? "upload " : "thumbnail ") +
                                      to_hex(key)};
  }

  /// Calls `visit` with each blob until it returns false. Temporary files that a process left when
  /// it died are removed when they are a day old; files of others are left alone.
  template <typename Visit>
  Status walk(const Context& ctx, BlobKind kind, const Visit& visit) const {
    std::error_code error;
    fs::recursive_directory_iterator it(folder(kind), error);
    if (error == std::errc::no_such_file_or_directory) return {};
    for (; !error && it != fs::recursive_directory_iterator(); it.increment(error)) {
      TRY(ctx.check());
      struct stat info{};
      if (::stat(it->path().c_str(), &info) != 0 || !S_ISREG(info.st_mode)) continue;
      ContentHash key{};
      if (type_of_extension(it->path().extension().native()) == nullptr ||
          !from_hex(it->path().stem().native(), key)) {
        const bool is_temporary = it->path().extension().native().starts_with(".tmp");
        if (is_temporary && ::time(nullptr) - info.st_mtime > 86'400) ::unlink(it->path().c_str());
        continue;
      }
      if (!visit(key, it->path(), info)) return {};
    }
    if (error) return errno_error(error.value(), "read folder", folder(kind).native());
    return {};
  }

  const fs::path directory_;
  // Writers of one key exclude each other; those of different keys rarely meet (an upload waits for
  // the disk under its lock).
  std::array<std::mutex, 64> locks_;
  std::vector<std::atomic<bool>> synced_ = std::vector<std::atomic<bool>>(256 * 256);
};

}  // namespace

Result<std::unique_ptr<BlobStore>> open_file_blobs(const FileBlobOptions& options) {
  for (const char* name : {"blobs", "thumbs"}) TRY(make_directories(options.directory / name));
  TRY(sync_directory(options.directory));
  return std::unique_ptr<BlobStore>(std::make_unique<FileBlobStore>(options.directory));
}

}  // namespace similis
