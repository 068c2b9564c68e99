#include "stores/metadata/sql/text_codec.h"

#include <algorithm>
#include <charconv>
#include <span>

#include "base/hex.h"

namespace similis::sql {
namespace {

/// Reads the pieces of one list; ok() turns false at the first that does not fit.
class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}
  [[nodiscard]] bool more() const { return ok_ && !text_.empty(); }
  [[nodiscard]] bool ok() const { return ok_; }

  template <typename T>
  T number(char end) {
    T value{};
    const char* last = text_.data() + text_.size();
    const auto [at, ec] = std::from_chars(text_.data(), last, value);
    ok_ = ok_ && ec == std::errc() && at != last && *at == end;
    if (ok_) text_.remove_prefix(static_cast<std::size_t>(at - text_.data()) + 1);
    return value;
  }
  std::string counted() {
    const auto size = number<std::size_t>(':');
    ok_ = ok_ && size < text_.size() && text_[size] == '\n';
    if (!ok_) return {};
    std::string out(text_.substr(0, size));
    text_.remove_prefix(size + 1);
    return out;
  }

 private:
  std::string_view text_;
  bool ok_ = true;
};

void append_counted(std::string& out, std::string_view word) {
  out += std::to_string(word.size());
  out += ':';
  out += word;
  out += '\n';
}

}  // namespace

std::string encode_classes(const std::vector<ClassScore>& classes) {
  std::string out;
  for (const ClassScore& score : classes) {
    char digits[32];
    const auto end = std::to_chars(digits, digits + sizeof digits, score.probability).ptr;
    out += std::to_string(score.class_id);
    out += ' ';
    out.append(digits, end);
    out += ' ';
    append_counted(out, score.name);
  }
  return out;
}

std::optional<std::vector<ClassScore>> decode_classes(std::string_view text) {
  std::vector<ClassScore> out;
  Reader reader(text);
  while (reader.more()) {
    ClassScore score;
    score.class_id = reader.number<std::int32_t>(' ');
    score.probability = reader.number<float>(' ');
    score.name = reader.counted();
    out.push_back(std::move(score));
  }
  if (!reader.ok()) return std::nullopt;
  return out;
}

std::string encode_counts(const CountedWords& counts) {
  std::string out;
  for (const auto& [word, count] : counts) {
    out += std::to_string(count);
    out += ' ';
    append_counted(out, word);
  }
  return out;
}

std::optional<CountedWords> decode_counts(std::string_view text) {
  CountedWords out;
  Reader reader(text);
  while (reader.more()) {
    const auto count = reader.number<std::int64_t>(' ');
    out.emplace_back(reader.counted(), count);
  }
  if (!reader.ok()) return std::nullopt;
  return out;
}

std::optional<std::string> encode_hash(const ContentHash& hash) {
  if (hash == ContentHash{}) return std::nullopt;
  return to_hex(hash);
}

std::optional<ContentHash> decode_hash(std::string_view text) {
  ContentHash hash{};
  if (!from_hex(text, hash)) return std::nullopt;
  return hash;
}

std::string ascii_lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return out;
}

}  // namespace similis::sql
