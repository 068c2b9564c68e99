#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "core/context.h"
#include "http/auth.h"
#include "http/body.h"
#include "services/job_service.h"
#include "services/library_service.h"
#include "services/query_service.h"
#include "services/upload_service.h"
#include "wire/documents.h"

namespace similis::http {

/// One number for /metrics that the application knows.
struct Figure {
  std::string name;  // "similis_cache_hits_total"
  std::string help;
  std::vector<std::pair<std::string, std::string>> labels;
  double value = 0;
  bool is_counter = false;  // only rises; else a gauge
};

struct SystemFigures {
  std::string data_dir;
  wire::MemoryDoc memory;
  wire::DiskDoc disk;
  std::vector<Figure> figures;  // cache hits, queue lengths, workers restarted ...
};

/// What only the application knows of the whole.
class StatusProvider {
 public:
  virtual ~StatusProvider() = default;
  virtual Result<SystemFigures> figures(const Context& ctx) = 0;
  /// Ok when searches can be served; else why not yet.
  virtual Status ready(const Context& ctx) = 0;
};

/// What the router works with. All outlive it.
struct RouterServices {
  QueryService& query;
  UploadService& upload;
  JobService& jobs;
  LibraryService& library;
  KeyRing& keys;
  StatusProvider& status;
};

struct RouterOptions {
  std::string version;
  std::string command;                   // how the program is called, for lines to copy
  std::vector<std::string> allow_hosts;  // server.allow_hosts
  std::vector<std::filesystem::path>
      index_roots;                              // server.allowed_roots: folders indexable over TCP
  bool keys_see_paths = false;                  // server.keys_see_paths
  std::string start_token;                      // "": API keys only
  std::filesystem::path web_dir;                // the built page; "": none
  std::filesystem::path spool_dir;              // for large uploads; "": memory
  std::uint64_t query_bytes_max = 64ULL << 20;  // limits.query_bytes_max
  std::uint64_t upload_bytes_max = 1ULL << 30;  // limits.upload_bytes_max, a whole request
  std::uint64_t file_bytes_max = 1ULL << 30;    // limits.file_bytes_max, one picture
  std::size_t upload_files_max = 1000;          // limits.upload_files_max
  std::chrono::seconds request_timeout{60};     // of a search or another short call
  std::chrono::seconds upload_timeout{600};
};

}  // namespace similis::http
