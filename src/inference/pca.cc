#include "inference/pca.h"

#include <bit>
#include <cassert>
#include <cmath>
#include <cstring>
#include <string_view>

#include "base/crc32c.h"
#include "base/file.h"
#include "base/hex.h"
#include "core/sha256.h"

namespace similis {
namespace {

static_assert(std::endian::native == std::endian::little, "the file is little-endian");
constexpr std::string_view kMagic = "SIMPCA1\n";
constexpr std::size_t kHeaderBytes = 16;

std::size_t file_bytes(std::uint64_t in, std::uint64_t out) {
  return kHeaderBytes + sizeof(float) * (in + in * out) + sizeof(std::uint32_t);
}

Error bad(const std::filesystem::path& path, std::string_view why) {
  return Error(ErrorCode::corruption, "PCA file " + path.string() + ": " + std::string(why),
               "Make the file again.");
}

}  // namespace

std::vector<float> Pca::apply(std::span<const float> in) const {
  assert(in.size() == dimensions_in);
  std::vector<float> out(dimensions_out);
  for (std::size_t o = 0; o < dimensions_out; ++o) {
    const float* row = components.data() + o * dimensions_in;
    double sum = 0;
    for (std::size_t i = 0; i < dimensions_in; ++i) {
      sum += static_cast<double>(row[i]) * (static_cast<double>(in[i]) - mean[i]);
    }
    out[o] = static_cast<float>(sum);
  }
  return out;
}

Result<Pca> read_pca(const std::filesystem::path& path) {
  ASSIGN_OR_RETURN(const std::vector<std::byte> bytes, read_file(path, std::uint64_t{1} << 30));
  if (bytes.size() < kHeaderBytes + sizeof(std::uint32_t) ||
      std::memcmp(bytes.data(), kMagic.data(), kMagic.size()) != 0) {
    return bad(path, "does not begin with SIMPCA1");
  }
  Pca pca;
  std::memcpy(&pca.dimensions_in, bytes.data() + 8, 4);
  std::memcpy(&pca.dimensions_out, bytes.data() + 12, 4);
  if (pca.dimensions_in == 0 || pca.dimensions_out == 0 || pca.dimensions_in > kPcaDimensionsMax ||
      pca.dimensions_out > pca.dimensions_in) {
    return bad(path, "impossible dimensions");
  }
  if (bytes.size() != file_bytes(pca.dimensions_in, pca.dimensions_out))
    return bad(path, "wrong length");
  const std::size_t covered = bytes.size() - sizeof(std::uint32_t);
  std::uint32_t stored = 0;
  std::memcpy(&stored, bytes.data() + covered, sizeof stored);
  if (stored != crc32c(std::span(bytes).first(covered)))
    return bad(path, "its checksum does not match");

  pca.mean.resize(pca.dimensions_in);
  pca.components.resize(std::size_t{pca.dimensions_in} * pca.dimensions_out);
  std::memcpy(pca.mean.data(), bytes.data() + kHeaderBytes, pca.mean.size() * sizeof(float));
  std::memcpy(pca.components.data(), bytes.data() + kHeaderBytes + pca.mean.size() * sizeof(float),
              pca.components.size() * sizeof(float));
  for (const auto* values : {&pca.mean, &pca.components}) {
    for (const float v : *values) {
      if (!std::isfinite(v)) return bad(path, "a value is not finite");
    }
  }
  ASSIGN_OR_RETURN(const ContentHash digest, sha256(bytes));
  pca.digest = to_hex(digest);
  return pca;
}

Status write_pca(const std::filesystem::path& path, const Pca& pca) {
  if (pca.dimensions_in == 0 || pca.dimensions_out == 0 || pca.dimensions_in > kPcaDimensionsMax ||
      pca.dimensions_out > pca.dimensions_in || pca.mean.size() != pca.dimensions_in ||
      pca.components.size() != std::size_t{pca.dimensions_in} * pca.dimensions_out) {
    return Error(ErrorCode::invalid_argument,
                 "PCA: mean and components do not fit the stated dimensions");
  }
  std::vector<std::byte> bytes(file_bytes(pca.dimensions_in, pca.dimensions_out));
  std::byte* at = bytes.data();
  const auto put = [&at](const void* from, std::size_t count) {
    std::memcpy(at, from, count);
    at += count;
  };
  put(kMagic.data(), kMagic.size());
  put(&pca.dimensions_in, 4);
  put(&pca.dimensions_out, 4);
  put(pca.mean.data(), pca.mean.size() * sizeof(float));
  put(pca.components.data(), pca.components.size() * sizeof(float));
  const std::uint32_t crc = crc32c(std::span(bytes).first(bytes.size() - sizeof(std::uint32_t)));
  put(&crc, sizeof crc);
  return publish_file(path, bytes);
}

}  // namespace similis
