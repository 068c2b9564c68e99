#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <unordered_set>
#include <vector>

#include "base/bounded_queue.h"
#include "services/folder_scan.h"
#include "services/index_targets.h"
#include "services/ingest_counters.h"
#include "services/ingest_types.h"
#include "services/picture_preparer.h"
#include "services/picture_writer.h"
#include "services/ports.h"

namespace similis {

/// Takes pictures in: reading and decoding on several threads, batches for the model on two (it has
/// threads of its own), writing on one, with bounded queues between them.
class IngestPipeline {
 public:
  struct Settings {
    CollectionId collection = 0;
    std::string root;                     // see PicturePreparer
    IngestCounters* counters = nullptr;   // may be null
    PictureWriter::OnOutcome on_outcome;  // from any thread; may be empty
  };

  /// Starts the threads. `ports` outlives the pipeline.
  IngestPipeline(const Ports& ports, std::vector<IndexTarget> targets, Settings settings);
  /// Drops what has not been dealt with.
  ~IngestPipeline();
  IngestPipeline(const IngestPipeline&) = delete;
  IngestPipeline& operator=(const IngestPipeline&) = delete;

  /// Waits while very many files wait already. Returns the run's error once it has one.
  Status push(FolderWork work);
  Status push(IngestSource source);
  /// Waits until all that was pushed is dealt with. The run's error, if it has one. When the
  /// context ends, what is being written is finished and all else dropped: `cancelled` or
  /// `deadline_exceeded`.
  Status drain(const Context& ctx);
  /// The same as a context that is cancelled.
  void stop();
  /// The run's error, if it has one.
  [[nodiscard]] Status status() const;

  /// Rows that changed places.
  [[nodiscard]] std::unordered_set<ImageId> moved() const { return preparer_.claimed(); }

 private:
  /// What waits to be read: whole folders, and single files in front of them.
  class WorkQueue {
   public:
    bool push(FolderWork work);
    void push(IngestSource source);
    std::optional<IngestSource> pop();
    void close();

   private:
    struct Folder {
      FolderWork work;
      std::shared_ptr<FolderPlace> place;
      std::size_t next = 0;
    };
    std::mutex mutex_;
    std::condition_variable room_;
    std::condition_variable ready_;
    std::deque<IngestSource> sources_;
    std::deque<Folder> folders_;
    std::size_t waiting_in_folders_ = 0;
    bool closed_ = false;
  };

  void prepare_loop();
  void embed_loop();
  void write_loop();
  std::vector<IngestPicture> gather_batch(std::size_t size_max);
  void hand_on(PicturePreparer::Prepared prepared);
  void requeue(std::vector<IngestSource> sources);
  void settle(const IngestSource& source, const IngestOutcome& outcome);
  void expect(std::size_t sources);
  void done(std::size_t sources);
  void fail(Error error);

  const Ports& ports_;
  const std::vector<IndexTarget> targets_;
  const Settings settings_;
  PicturePreparer preparer_;
  PictureWriter writer_;
  std::stop_source cancel_;
  WorkQueue work_;
  BoundedQueue<IngestPicture> to_embed_;
  BoundedQueue<IngestPicture> to_write_;
  std::atomic<std::size_t> upstream_{0};  // sources waiting or being prepared
  mutable std::mutex mutex_;
  std::condition_variable settled_;
  std::size_t open_ = 0;  // sources not dealt with
  std::optional<Error> error_;
  std::vector<std::jthread> threads_;
};

}  // namespace similis
