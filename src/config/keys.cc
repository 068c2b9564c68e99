#include "config/keys.h"

#include <algorithm>

#include "base/nearest.h"
#include "config/units.h"
#include "core/collection.h"

namespace similis {
namespace {

constexpr std::int64_t kKib = 1024, kMib = kKib * 1024, kTib = kMib * kMib;

std::vector<Key> make_keys() {
  using K = KeyKind;
  const auto count = [](std::string_view name, Slot (*slot)(Settings&), std::string_view doc,
                        std::int64_t min, std::int64_t max, bool automatic = false) {
    return Key{name, K::count, slot, doc, min, max, automatic};
  };
  const auto bytes = [](std::string_view name, Slot (*slot)(Settings&), std::string_view doc,
                        std::int64_t min, std::int64_t max, bool automatic = false) {
    return Key{name, K::bytes, slot, doc, min, max, automatic};
  };
  const auto duration = [](std::string_view name, Slot (*slot)(Settings&), std::string_view doc,
                           std::int64_t min_ms, std::int64_t max_ms) {
    return Key{name, K::duration, slot, doc, min_ms, max_ms};
  };
  return {
      {"data_dir", K::folder, [](Settings& s) -> Slot { return &s.data_dir; },
       "Where everything that similis keeps is: the database, indexes, thumbnails, uploads, "
       "models. Created when absent."},
      {"collection", K::collection, [](Settings& s) -> Slot { return &s.collection; },
       "The collection that a command means when it names none. Empty: the only one there is, else "
       "\"pictures\"."},

      {"server.listen", K::address, [](Settings& s) -> Slot { return &s.server.listen; },
       "Address and port of `similis serve`. Another address than this machine's own loopback lets "
       "the network in, which "
       "then needs an API key (`similis keys create`)."},
      count(
          "server.threads", [](Settings& s) -> Slot { return &s.server.threads; },
          "Requests answered at the same time. auto: twice the cores, at least 4.", 1, 1024, true),
      {"server.allow_hosts", K::names, [](Settings& s) -> Slot { return &s.server.allow_hosts; },
       "Further names under which this server may be asked (the Host header), for example behind a "
       "proxy or a tunnel. "
       "All other names are refused, so that no web site can reach the server through a visitor's "
       "browser."},
      {"server.allowed_roots", K::folders,
       [](Settings& s) -> Slot { return &s.server.allowed_roots; },
       "Folders that may be indexed over HTTP, with everything below them. The owner's command "
       "line may index any folder."},
      {"server.keys_see_paths", K::flag,
       [](Settings& s) -> Slot { return &s.server.keys_see_paths; },
       "Whether callers with an API key are told where a picture's file is on this machine."},

      count(
          "limits.pixels_max", [](Settings& s) -> Slot { return &s.limits.pixels_max; },
          "A picture with more pixels fails instead of being decoded. The default takes 3 bytes a "
          "pixel, 750 MB, which "
          "fits the memory that decoding one picture may use; a 100-megapixel camera stays well "
          "below.",
          1, std::int64_t{1} << 40),
      bytes(
          "limits.file_bytes_max", [](Settings& s) -> Slot { return &s.limits.file_bytes_max; },
          "A larger picture file fails instead of being read.", kKib, kTib),
      bytes(
          "limits.query_bytes_max", [](Settings& s) -> Slot { return &s.limits.query_bytes_max; },
          "The largest picture to search by over HTTP.", kKib, kTib),
      bytes(
          "limits.upload_bytes_max", [](Settings& s) -> Slot { return &s.limits.upload_bytes_max; },
          "The largest upload request over HTTP, all its files together.", kKib, kTib),
      count(
          "limits.upload_files_max", [](Settings& s) -> Slot { return &s.limits.upload_files_max; },
          "The most files in one upload request.", 1, 1'000'000),

      count(
          "decode.workers", [](Settings& s) -> Slot { return &s.decode.workers; },
          "Processes that decode pictures. auto: one a core.", 1, 1024, true),
      bytes(
          "decode.memory_max", [](Settings& s) -> Slot { return &s.decode.memory_max; },
          "Memory that decoding one picture may take; one that needs more fails, and the run goes "
          "on. auto: this "
          "worker's share of memory.max, between 256 MiB and 1 GiB.",
          64 * kMib, kTib, true),
      duration(
          "decode.time_max", [](Settings& s) -> Slot { return &s.decode.time_max; },
          "Time that decoding one picture may take; one that needs longer fails, and the run goes "
          "on.",
          100, 3'600'000),

      {"model.name", K::text, [](Settings& s) -> Slot { return &s.model.name; },
       "The model of new collections, NAME or NAME@VERSION; `similis models` lists them. A "
       "collection keeps the model that "
       "it was built with."},
      {"model.precision",
       K::choice,
       [](Settings& s) -> Slot { return &s.model.precision; },
       "Arithmetic of the model. auto: bf16 where the CPU has it, a self-test finds it as true as "
       "f32, and it is faster; "
       "else f32.",
       0,
       0,
       false,
       {"auto", "f32", "bf16"}},
      count(
          "model.threads", [](Settings& s) -> Slot { return &s.model.threads; },
          "Threads that run the model. auto: one a core.", 1, 1024, true),
      count(
          "model.batch", [](Settings& s) -> Slot { return &s.model.batch; },
          "Pictures that indexing hands to the model at a time. auto: four a thread, at least 8.",
          1, 4096, true),

      bytes(
          "memory.max", [](Settings& s) -> Slot { return &s.memory.max; },
          "Memory for decoding, model, index and cache together, shared out as `similis status` "
          "shows. auto: a quarter of "
          "the machine's (or the container's), between 512 MiB and 16 GiB.",
          256 * kMib, std::int64_t{64} * kTib, true),
      bytes(
          "index.memory_max", [](Settings& s) -> Slot { return &s.index.memory_max; },
          "Memory for the vector index; vectors beyond it are read from the disk. auto: its share "
          "of memory.max.",
          16 * kMib, std::int64_t{64} * kTib, true),
      bytes(
          "index.build_memory_max", [](Settings& s) -> Slot { return &s.index.build_memory_max; },
          "Memory that making or extending a graph may take for a while, beside all the others. "
          "Less keeps segments smaller, and searches go through more of them; with too little for "
          "a "
          "graph of 8192 pictures there is none. auto: as much as the index has, at least 256 MiB.",
          32 * kMib, std::int64_t{64} * kTib, true),
      bytes(
          "cache.memory_max", [](Settings& s) -> Slot { return &s.cache.memory_max; },
          "Memory for answers, pages and embeddings of earlier queries, and for previews. auto: "
          "its "
          "share of memory.max.",
          kMib, std::int64_t{64} * kTib, true),

      {"ingest.hidden", K::flag, [](Settings& s) -> Slot { return &s.ingest.hidden; },
       "Whether files and folders whose names begin with a dot are always indexed too, as with "
       "--hidden."},
      duration(
          "watch.settle", [](Settings& s) -> Slot { return &s.watch.settle; },
          "With --watch: a file is read when it has not changed for so long, since it may be "
          "half-written before.",
          100, 600'000),
      duration(
          "jobs.lease", [](Settings& s) -> Slot { return &s.jobs.lease; },
          "A job whose process has given no sign of life for so long may be taken over by another "
          "one.",
          5000, 3'600'000),
  };
}

Error bad(const std::string& why, std::string hint = {}) {
  return Error(ErrorCode::invalid_argument, why, std::move(hint));
}

std::string in_kind(const Key& key, std::int64_t value) {
  switch (key.kind) {
    case KeyKind::bytes:
      return format_bytes(value);
    case KeyKind::duration:
      return format_duration(std::chrono::milliseconds(value));
    default:
      return format_count(value);
  }
}

Status check_range(const Key& key, std::int64_t value) {
  if (value >= key.min && value <= key.max) return {};
  if (value == 0 && key.zero_is_automatic) return {};
  return bad("is " + in_kind(key, value) + ", must be from " + in_kind(key, key.min) + " to " +
             in_kind(key, key.max) + (key.zero_is_automatic ? ", or \"auto\"" : ""));
}

/// HOST:PORT, [IPv6]:PORT. Whether the host exists is found out when the server binds.
Status check_address(std::string_view text) {
  const Error wrong = bad("is \"" + std::string(text) + "\", must be ADDRESS:PORT",
                          "For example 127.0.0.1:8420, or [::1]:8420; port 0 takes a free one.");
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return wrong;
  const std::string_view host = text.substr(0, colon), port = text.substr(colon + 1);
  const bool bracketed = host.front() == '[' && host.back() == ']' && host.size() > 2;
  if (!bracketed && host.find_first_of(":[]/ ") != std::string_view::npos) return wrong;
  const bool digits =
      !port.empty() && port.size() <= 5 &&
      std::all_of(port.begin(), port.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (!digits || std::stoi(std::string(port)) > 65535) return wrong;
  return {};
}

Result<std::filesystem::path> absolute_folder(std::string_view text, std::string_view home) {
  std::filesystem::path path(text);
  if (text == "~" || text.starts_with("~/")) {
    if (home.empty())
      return bad("is \"" + std::string(text) + "\", but the environment has no HOME");
    path = std::filesystem::path(home);
    if (text.size() > 2) path /= text.substr(2);
  }
  std::error_code failed;
  std::filesystem::path absolute = std::filesystem::absolute(path, failed).lexically_normal();
  if (text.empty() || failed) return bad("must be a folder");
  // "/a/b/" and "/a/b" are the same folder.
  if (!absolute.has_filename() && absolute.has_relative_path()) absolute = absolute.parent_path();
  return absolute;
}

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> items;
  while (!text.empty()) {
    const std::size_t at = std::min(text.find(separator), text.size());
    if (at > 0) items.emplace_back(text.substr(0, at));
    text.remove_prefix(std::min(at + 1, text.size()));
  }
  return items;
}

template <typename T>
T& at(const Key& key, Settings& settings) {
  return *std::get<T*>(key.slot(settings));
}

std::string toml_text(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
      constexpr std::string_view kDigits = "0123456789ABCDEF";
      out += "\\u00";
      out += kDigits[static_cast<unsigned char>(c) >> 4];
      out += kDigits[static_cast<unsigned char>(c) & 15];
    } else {
      out += c;
    }
  }
  return out + '"';
}

std::string joined(const std::vector<std::string>& items, std::string_view separator) {
  std::string out;
  for (const std::string& item : items) out += (out.empty() ? "" : std::string(separator)) + item;
  return out;
}

}  // namespace

std::span<const Key> all_keys() {
  static const std::vector<Key> keys = make_keys();
  return keys;
}

const Key* find_key(std::string_view name) {
  const auto keys = all_keys();
  const auto found =
      std::find_if(keys.begin(), keys.end(), [&](const Key& key) { return key.name == name; });
  return found == keys.end() ? nullptr : &*found;
}

std::vector<std::string> key_names() {
  std::vector<std::string> names;
  for (const Key& key : all_keys()) names.emplace_back(key.name);
  return names;
}

std::string environment_name(const Key& key) {
  std::string out = "SIMILIS_";
  for (const char c : key.name)
    out += c == '.' ? '_' : static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
  return out;
}

Status set_from_list(const Key& key, Settings& settings, const std::vector<std::string>& items,
                     std::string_view home) {
  if (key.kind != KeyKind::names && key.kind != KeyKind::folders)
    return bad("is one value, not a list");
  std::vector<std::string> out;
  for (const std::string& item : items) {
    if (item.empty()) return bad("holds an empty text");
    if (key.kind == KeyKind::names) {
      out.push_back(item);
    } else {
      ASSIGN_OR_RETURN(const std::filesystem::path folder, absolute_folder(item, home));
      out.push_back(folder.string());
    }
  }
  at<std::vector<std::string>>(key, settings) = std::move(out);
  return {};
}

Status set_from_text(const Key& key, Settings& settings, std::string_view text,
                     std::string_view home) {
  switch (key.kind) {
    case KeyKind::text:
      if (text.empty()) return bad("must not be empty");
      at<std::string>(key, settings) = text;
      return {};
    case KeyKind::address:
      TRY(check_address(text));
      at<std::string>(key, settings) = text;
      return {};
    case KeyKind::collection:
      if (!text.empty()) TRY(check_collection_name(text));
      at<std::string>(key, settings) = text;
      return {};
    case KeyKind::choice:
      if (std::find(key.choices.begin(), key.choices.end(), text) == key.choices.end()) {
        return bad("is \"" + std::string(text) + "\", must be one of " + joined(key.choices, ", "),
                   did_you_mean(text, key.choices));
      }
      at<std::string>(key, settings) = text;
      return {};
    case KeyKind::folder: {
      ASSIGN_OR_RETURN((at<std::filesystem::path>(key, settings)), absolute_folder(text, home));
      return {};
    }
    case KeyKind::flag:
      if (text != "true" && text != "false")
        return bad("is \"" + std::string(text) + "\", must be true or false");
      at<bool>(key, settings) = text == "true";
      return {};
    case KeyKind::count:
    case KeyKind::bytes: {
      std::int64_t value = 0;
      if (!(key.zero_is_automatic && text == "auto")) {
        ASSIGN_OR_RETURN(value, key.kind == KeyKind::bytes ? parse_bytes(text) : parse_count(text));
      }
      TRY(check_range(key, value));
      at<std::int64_t>(key, settings) = value;
      return {};
    }
    case KeyKind::duration: {
      ASSIGN_OR_RETURN(const std::chrono::milliseconds value, parse_duration(text));
      TRY(check_range(key, value.count()));
      at<std::chrono::milliseconds>(key, settings) = value;
      return {};
    }
    case KeyKind::names:
      return set_from_list(key, settings, split(text, ','), home);
    case KeyKind::folders:
      return set_from_list(key, settings, split(text, ':'), home);
  }
  return {};
}

std::string shown_value(const Key& key, const Settings& settings) {
  Settings& readable =
      const_cast<Settings&>(settings);  // slots are for writing too; nothing is written here
  std::string text;
  switch (key.kind) {
    case KeyKind::text:
    case KeyKind::address:
    case KeyKind::collection:
    case KeyKind::choice:
      text = at<std::string>(key, readable);
      break;
    case KeyKind::folder:
      text = at<std::filesystem::path>(key, readable).string();
      break;
    case KeyKind::flag:
      text = at<bool>(key, readable) ? "true" : "false";
      break;
    case KeyKind::count:
    case KeyKind::bytes: {
      const std::int64_t value = at<std::int64_t>(key, readable);
      text = value == 0 && key.zero_is_automatic ? "auto" : in_kind(key, value);
      break;
    }
    case KeyKind::duration:
      text = format_duration(at<std::chrono::milliseconds>(key, readable));
      break;
    case KeyKind::names:
      text = joined(at<std::vector<std::string>>(key, readable), ",");
      break;
    case KeyKind::folders:
      text = joined(at<std::vector<std::string>>(key, readable), ":");
      break;
  }
  return key.secret && !text.empty() ? "********" : text;
}

std::string toml_value(const Key& key, const Settings& settings) {
  Settings& readable = const_cast<Settings&>(settings);  // as above
  switch (key.kind) {
    case KeyKind::flag:
      return shown_value(key, settings);
    case KeyKind::count:
      if (const std::int64_t value = at<std::int64_t>(key, readable);
          value != 0 || !key.zero_is_automatic) {
        return format_count(value);
      }
      break;
    case KeyKind::names:
    case KeyKind::folders: {
      std::vector<std::string> items;
      for (const std::string& item : at<std::vector<std::string>>(key, readable))
        items.push_back(toml_text(item));
      return "[" + joined(items, ", ") + "]";
    }
    default:
      break;
  }
  return toml_text(shown_value(key, settings));
}

}  // namespace similis
