#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <span>
#include <string>
#include <vector>

/// What the engine's measuring programs share.
namespace similis::engine {

inline double bench_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
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

}  // namespace similis::engine
