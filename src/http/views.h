#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/context.h"
#include "core/image.h"
#include "core/job.h"
#include "core/search.h"
#include "http/auth.h"
#include "services/library_service.h"
#include "wire/documents.h"

namespace similis::http {

// What the services answer with, as the API shows it to somebody with these permissions.

/// What showing a collection's pictures needs besides their rows.
struct CollectionFacts {
  std::string name;
  std::vector<std::string> roots;  // paths, bytes
  wire::CalibrationDoc calibration;
};

/// Facts change seldom and are asked for with every search: kept for ten seconds.
class FactsCache {
 public:
  explicit FactsCache(LibraryService& library) : library_(library) {}
  Result<std::shared_ptr<const CollectionFacts>> get(const Context& ctx, std::string_view name);
  void forget(std::string_view name);

 private:
  struct Entry {
    std::shared_ptr<const CollectionFacts> facts;
    Context::Clock::time_point until;
  };
  LibraryService& library_;
  std::mutex mutex_;
  std::unordered_map<std::string, Entry> entries_;
};

struct View {
  Permissions permissions;
  const CollectionFacts& collection;
};

wire::ImageDoc image_doc(const ImageRow& row, const View& view);
wire::ImageDetailDoc image_detail_doc(const ImageRow& row, const View& view);
wire::FailureDoc failure_doc(const ImageRow& row, const View& view);
wire::SearchDoc search_doc(const SearchRequest& request, const SearchResponse& response,
                           const View& view);
wire::CollectionDoc collection_doc(const CollectionSummary& summary, const Permissions& allowed);
wire::JobDoc job_doc(const Job& job, const Permissions& allowed);
wire::ModelDoc model_doc(const ModelProvider::Listed& model, const Permissions& allowed);

/// An error's text for somebody who may not see paths: each is cut down to its last name.
std::string without_paths(std::string_view text);

}  // namespace similis::http
