#include "http/message.h"

#include <algorithm>
#include <cstring>

namespace similis::http {

bool equals_ignoring_case(std::string_view a, std::string_view b) {
  const auto lower = [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [&](char x, char y) { return lower(x) == lower(y); });
}

void Headers::set(std::string_view name, std::string value) {
  std::erase_if(fields_, [&](const Field& f) { return equals_ignoring_case(f.first, name); });
  fields_.emplace_back(std::string(name), std::move(value));
}

const std::string* Headers::find(std::string_view name) const {
  for (const auto& [key, value] : fields_)
    if (equals_ignoring_case(key, name)) return &value;
  return nullptr;
}

std::string_view Headers::get(std::string_view name) const {
  const std::string* found = find(name);
  return found ? std::string_view(*found) : std::string_view();
}

std::size_t Headers::count(std::string_view name) const {
  return static_cast<std::size_t>(
      std::count_if(fields_.begin(), fields_.end(),
                    [&](const Field& f) { return equals_ignoring_case(f.first, name); }));
}

Bytes Bytes::of(std::string text) {
  return of(std::make_shared<const std::string>(std::move(text)));
}

Bytes Bytes::of(std::vector<std::byte> bytes) {
  auto shared = std::make_shared<const std::vector<std::byte>>(std::move(bytes));
  Bytes out;
  out.view_ = {reinterpret_cast<const char*>(shared->data()), shared->size()};
  out.owner_ = std::move(shared);
  return out;
}

Bytes Bytes::of(std::shared_ptr<const std::string> shared) {
  Bytes out;
  out.view_ = *shared;
  out.owner_ = std::move(shared);
  return out;
}

Bytes Bytes::of(File file, std::size_t size) {
  Bytes out;
  out.file_ = std::make_shared<const File>(std::move(file));
  out.file_size_ = size;
  return out;
}

Result<std::size_t> Bytes::read(std::size_t offset, std::span<std::byte> out) const {
  out = out.first(std::min(out.size(), size() - std::min(offset, size())));
  if (file_) {
    TRY(pread_exact(file_->fd(), out, file_offset_ + offset, "the file"));
  } else if (!out.empty()) {
    std::memcpy(out.data(), view_.data() + offset, out.size());
  }
  return out.size();
}

Result<std::string> Bytes::text() const {
  std::string out(size(), '\0');
  TRY(read(0, std::as_writable_bytes(std::span(out))));
  return out;
}

Bytes Bytes::part(std::size_t offset, std::size_t size) const {
  Bytes out = *this;
  if (file_) {
    out.file_offset_ += std::min(offset, file_size_);
    out.file_size_ = std::min(size, file_size_ - std::min(offset, file_size_));
    return out;
  }
  out.view_ = view_.substr(offset, size);
  return out;
}

std::string_view reason_phrase(int status) {
  switch (status) {
    case 100:
      return "Continue";
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 202:
      return "Accepted";
    case 204:
      return "No Content";
    case 206:
      return "Partial Content";
    case 303:
      return "See Other";
    case 304:
      return "Not Modified";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 410:
      return "Gone";
    case 411:
      return "Length Required";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 415:
      return "Unsupported Media Type";
    case 416:
      return "Range Not Satisfiable";
    case 417:
      return "Expectation Failed";
    case 421:
      return "Misdirected Request";
    case 422:
      return "Unprocessable Content";
    case 431:
      return "Request Header Fields Too Large";
    case 499:
      return "Client Closed Request";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    case 507:
      return "Insufficient Storage";
    default:
      return "Status";
  }
}

}  // namespace similis::http
