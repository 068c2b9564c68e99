#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace similis {

/// Every setting with its type and default. Which key sets which member, and what it means: the
/// table in keys.cc. Counts and bytes of 0 mean "chosen by the planner" where the key's text says
/// so.
struct Settings {
  std::filesystem::path data_dir;  // absolute once loaded
  std::string collection;          // "": the only one there is, else "pictures"

  struct Server {
    std::string listen = "127.0.0.1:8420";
    std::int64_t threads = 0;
    std::vector<std::string> allow_hosts;
    std::vector<std::string> allowed_roots;  // absolute
    bool keys_see_paths = false;
  } server;

  struct Limits {
    std::int64_t pixels_max = 250'000'000;
    std::int64_t file_bytes_max = std::int64_t{512} << 20;
    std::int64_t query_bytes_max = std::int64_t{64} << 20;
    std::int64_t upload_bytes_max = std::int64_t{1} << 30;
    std::int64_t upload_files_max = 1000;
  } limits;

  struct Decode {
    std::int64_t workers = 0;
    std::int64_t memory_max = 0;  // bytes a picture
    std::chrono::milliseconds time_max = std::chrono::seconds(20);
  } decode;

  struct Model {
    std::string name = "efficientnet-lite0";
    std::string precision = "auto";  // auto, f32, bf16
    std::int64_t threads = 0;
    std::int64_t batch = 0;
  } model;

  struct Memory {
    std::int64_t max = 0;
  } memory;
  struct Index {
    std::int64_t memory_max = 0;
    std::int64_t build_memory_max = 0;
  } index;
  struct Cache {
    std::int64_t memory_max = 0;
  } cache;

  struct Ingest {
    bool hidden = false;
  } ingest;
  struct Watch {
    std::chrono::milliseconds settle = std::chrono::seconds(2);
  } watch;
  struct Jobs {
    std::chrono::milliseconds lease = std::chrono::seconds(30);
  } jobs;
};

}  // namespace similis
