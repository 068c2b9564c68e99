#include "stores/vector/embedded/attribute_bytes.h"

#include "base/bytes.h"

namespace similis {
namespace {
constexpr std::uint8_t kVersion = 1;
}

std::string to_bytes(const Attributes& a) {
  ByteWriter out;
  out.put(kVersion);
  out.put(static_cast<std::uint8_t>(a.date.has_value()));
  out.put(std::int64_t{a.date.value_or(0)});
  out.put(a.size_bytes);
  out.put(a.width);
  out.put(a.height);
  out.put_text(a.folder);
  out.put_text(a.class_name);
  out.put(static_cast<std::uint32_t>(a.tags.size()));
  for (const std::string& tag : a.tags) out.put_text(tag);
  return out.take();
}

Result<Attributes> attributes_from(std::span<const std::byte> bytes) {
  ByteReader in(std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
  Attributes a;
  const auto version = in.get<std::uint8_t>();
  const bool dated = in.get<std::uint8_t>() != 0;
  const auto date = in.get<std::int64_t>();
  if (dated) a.date = date;
  a.size_bytes = in.get<std::int64_t>();
  a.width = in.get<std::int32_t>();
  a.height = in.get<std::int32_t>();
  a.folder = in.get_text();
  a.class_name = in.get_text();
  const auto tags = in.get<std::uint32_t>();
  // Each tag takes at least its length's four bytes.
  if (in.ok() && version == kVersion && tags <= in.left() / 4) {
    for (std::uint32_t i = 0; i < tags; ++i) a.tags.push_back(in.get_text());
    if (in.ok() && in.left() == 0) return a;
  }
  return Error(ErrorCode::corruption, "a row's attributes are not readable",
               "Run similis verify; or index the folder again.");
}

}  // namespace similis
