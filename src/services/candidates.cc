#include "services/candidates.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/bytes.h"

namespace similis {
namespace {

constexpr std::uint32_t kFormatVersion = 2;
// Hundredths: the page counts exactly at every cut-off of two decimals.
constexpr std::size_t kBins = 100;
constexpr std::size_t kKeyDigits = 32;
constexpr std::size_t kCandidatesMax = 1000;

}  // namespace

std::string Candidates::serialise() const {
  ByteWriter out;
  out.put(kFormatVersion);
  out.put_text(collection_uuid);
  out.put(epoch);
  out.put(total);
  out.put(cutoff);
  out.put(static_cast<std::uint8_t>(exact ? 1 : 0));
  out.put_text(query_name);
  out.put(query_width);
  out.put(query_height);
  out.put(static_cast<std::uint32_t>(classes.size()));
  for (const ClassScore& c : classes) {
    out.put(c.class_id);
    out.put_text(c.name);
    out.put(c.probability);
  }
  out.put(static_cast<std::uint32_t>(entries.size()));
  for (const Entry& e : entries) {
    out.put(e.id);
    out.put(e.score);
    out.put(e.identical_count);
  }
  return out.take();
}

bool Candidates::parse(std::string_view bytes, Candidates& out) {
  ByteReader in(bytes);
  if (in.get<std::uint32_t>() != kFormatVersion) return false;
  out.collection_uuid = in.get_text();
  out.epoch = in.get<std::int64_t>();
  out.total = in.get<std::int64_t>();
  out.cutoff = in.get<double>();
  out.exact = in.get<std::uint8_t>() != 0;
  out.query_name = in.get_text();
  out.query_width = in.get<std::int32_t>();
  out.query_height = in.get<std::int32_t>();
  const auto class_count = in.get<std::uint32_t>();
  if (!in.ok() || class_count > in.left()) return false;
  out.classes.resize(class_count);
  for (ClassScore& c : out.classes) {
    c.class_id = in.get<std::int32_t>();
    c.name = in.get_text();
    c.probability = in.get<float>();
  }
  const auto count = in.get<std::uint32_t>();
  if (!in.ok() || count > in.left()) return false;
  out.entries.resize(count);
  for (Entry& e : out.entries) {
    e.id = in.get<std::int64_t>();
    e.score = in.get<float>();
    e.identical_count = in.get<std::uint32_t>();
  }
  return in.ok() && in.left() == 0;
}

std::int64_t Candidates::above_cutoff() const {
  // Entries descend, so the first one below the cut-off ends the count.
  const auto it = std::partition_point(entries.begin(), entries.end(), [&](const Entry& e) {
    return static_cast<double>(e.score) >= cutoff;
  });
  return it - entries.begin();
}

ScoreHistogram Candidates::histogram() const {
  ScoreHistogram out;
  out.counts.resize(kBins);
  for (const Entry& e : entries) {
    const double at = std::clamp(static_cast<double>(e.score), 0.0, 1.0) * kBins;
    ++out.counts[std::min(kBins - 1, static_cast<std::size_t>(at))];
  }
  return out;
}

std::string PageCursor::to_string() const {
  return key + "." + std::to_string(offset) + "." + std::to_string(k);
}

Result<PageCursor> PageCursor::parse(std::string_view text) {
  const Error bad(ErrorCode::invalid_argument, "that is not a cursor of this server",
                  "Pass next_cursor of the last page as it is, or leave it out to search again.");
  PageCursor out;
  const std::size_t dot = text.find('.');
  if (dot != kKeyDigits) return bad;
  out.key = std::string(text.substr(0, dot));
  if (out.key.find_first_not_of("0123456789abcdef") != std::string::npos) return bad;
  auto number = [](std::string_view digits, std::size_t& value) {
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    return error == std::errc() && end == digits.data() + digits.size();
  };
  text.remove_prefix(dot + 1);
  const std::size_t second = text.find('.');
  if (second == std::string_view::npos || !number(text.substr(0, second), out.offset) ||
      !number(text.substr(second + 1), out.k) || out.offset > kCandidatesMax || out.k < 1 ||
      out.k > kCandidatesMax) {
    return bad;
  }
  return out;
}

}  // namespace similis
