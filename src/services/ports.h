#pragma once

#include <cstdint>
#include <string>

#include "services/model_provider.h"
#include "stores/blob/blob_store.h"
#include "stores/cache/cache.h"
#include "stores/metadata/metadata_store.h"
#include "stores/vector/vector_store.h"

namespace similis {

class Decoder;
class Unpacker;

/// How much the services may take, from the configuration.
struct ServiceLimits {
  std::int64_t file_bytes_max = std::int64_t{1} << 30;  // of one picture file
  std::size_t decode_threads = 2;                       // pictures decoded at once
  std::int64_t lease_s = 30;                            // of a job's owner
  bool hidden = false;  // builds take hidden files in even when they are not asked to
  std::int64_t sweep_idle_ms = 60'000;  // without a job, before leftovers are looked for
  std::int64_t watch_settle_ms = 2000;  // a file unchanged for so long is whole
  std::string owner;         // this process, as it signs leases; "": job_owner.h makes one
  std::string imports_dir;   // where archives that were sent lie until their job is done
  std::string never_inside;  // a folder no scan enters (the data folder); absolute, without links
};

/// The ports every service works through, and its limits. All outlive the services.
struct Ports {
  MetadataStore& metadata;
  VectorStore& vectors;
  Cache& cache;
  BlobStore& blobs;
  Decoder& decoder;
  Unpacker& unpacker;
  ModelProvider& models;
  ServiceLimits limits;
};

}  // namespace similis
