#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "base/result.h"
#include "engine/index.h"

/// What the engine's measuring programs share.
namespace similis::engine {

/// What was asked for; ends the program with the error in its place.
template <typename T>
T must(Result<T>&& result) {
  if (!result.ok()) {
    std::cerr << result.error().message << '\n';
    std::exit(1);
  }
  if constexpr (!std::is_void_v<T>) return std::move(result).value();
}

inline double bench_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// Drops the page cache's copy of every file in the folder.
inline void forget(const std::filesystem::path& folder) {
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const int file = ::open(entry.path().c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0) continue;
    ::posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
    ::close(file);
  }
}

/// The limit under which the index keeps codes of this tier, and no vectors; 0: there is none.
inline std::uint64_t limit_for(const std::filesystem::path& work, const std::string& tier) {
  constexpr std::uint64_t kEnough = std::uint64_t{1} << 40;
  IndexOptions options;
  options.memory = make_memory_budget(kEnough);
  const auto index = must(Index::open(work, options));
  const IndexStatistics s = index->statistics();
  for (const CodeTierBytes& one : s.code_tiers)
    if (one.name == tier)
      return kEnough - s.graph_bytes_available + one.bytes_in_memory + (64 << 10);
  return 0;
}

template <typename T>
struct Table {
  std::size_t rows = 0, columns = 0;
  std::vector<T> values;
  [[nodiscard]] std::span<const T> row(std::size_t r) const {
    return std::span(values).subspan(r * columns, columns);
  }
};

/// A two-dimensional .npy file of version 1, in C order, whose elements are T's.
template <typename T>
Table<T> read_npy(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  char head[10] = {};
  in.read(head, sizeof head);
  std::uint16_t bytes = 0;
  std::memcpy(&bytes, head + 8, 2);
  std::string text(bytes, ' ');
  in.read(text.data(), bytes);
  Table<T> out;
  const std::size_t at = text.find("'shape': (");
  if (!in || at == std::string::npos ||
      std::sscanf(text.c_str() + at, "'shape': (%zu, %zu)", &out.rows, &out.columns) != 2) {
    std::cerr << path << " is not a table\n";
    std::exit(2);
  }
  out.values.resize(out.rows * out.columns);
  in.read(reinterpret_cast<char*>(out.values.data()),
          static_cast<std::streamsize>(out.values.size() * sizeof(T)));
  return out;
}

/// The same way round. False when it cannot be written.
template <typename T>
bool write_npy(const std::filesystem::path& path, const Table<T>& table) {
  std::string head = std::string("{'descr': '<") + (std::is_floating_point_v<T> ? 'f' : 'i') +
                     std::to_string(sizeof(T)) + "', 'fortran_order': False, 'shape': (" +
                     std::to_string(table.rows) + ", " + std::to_string(table.columns) + "), }";
  head.resize((10 + head.size()) / 64 * 64 + 53, ' ');  // 10 bytes and the line's end complete 64
  head += '\n';
  const auto bytes = static_cast<std::uint16_t>(head.size());
  std::ofstream out(path, std::ios::binary);
  out.write("\x93NUMPY\x01\x00", 8);
  out.write(reinterpret_cast<const char*>(&bytes), 2);
  out << head;
  out.write(reinterpret_cast<const char*>(table.values.data()),
            static_cast<std::streamsize>(table.values.size() * sizeof(T)));
  return static_cast<bool>(out.flush());
}

}  // namespace similis::engine
