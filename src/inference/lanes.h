#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <span>
#include <thread>
#include <vector>

#include "core/context.h"
#include "inference/embedder.h"

namespace similis {

/// Joins the calls of many threads into work for a fixed number of lanes, each a thread that takes
/// one picture after another: single queries run side by side, a bulk call spreads over all lanes.
/// A lone picture starts at once and is told so, so that it may use every core. Calls of few
/// pictures go before bulk ones, which still get every fourth turn.
///
/// Why lanes of single pictures and not one tensor of many: measured with EfficientNet-Lite0 in f32
/// on two cores, batches of 2, 4, 8 and 16 gave 174, 174, 169 and 160 pictures/s, one picture at a
/// time on all cores 170 to 180, two lanes 187; with one of the two cores busy elsewhere (decoding,
/// as always while indexing) two lanes gave 61, any batch on all cores 28 to 43.
class InferenceLanes {
 public:
  /// Runs one picture on lane `lane` (calls for one lane never overlap); `alone` when no other
  /// picture runs or waits (never true for two at once).
  using Run =
      std::function<Result<Embedding>(std::size_t lane, bool alone, const PictureTensor& picture)>;

  /// `lanes` >= 1.
  InferenceLanes(std::size_t lanes, Run run);
  /// No call may be under way.
  ~InferenceLanes();
  InferenceLanes(const InferenceLanes&) = delete;
  InferenceLanes& operator=(const InferenceLanes&) = delete;

  /// One embedding per picture, or the first error; cancelled or deadline_exceeded when `ctx` ends
  /// first (a picture that already runs is waited for: its pixels are the caller's).
  Result<EmbedBatch> embed(const Context& ctx, std::span<const PictureTensor> pictures);

  /// Calls with pictures that no lane has taken yet.
  [[nodiscard]] std::size_t waiting() const;

  /// Calls of at most so many pictures go first.
  static constexpr std::size_t kSmallCall = 4;

 private:
  struct Call;

  void work(std::size_t lane);
  /// The queue to take the next picture from; null when nothing waits.
  std::deque<Call*>* next_queue();
  void withdraw(Call& call);
  [[nodiscard]] bool anything_waits() const { return !small_.empty() || !bulk_.empty(); }

  const Run run_;
  mutable std::mutex mutex_;
  std::condition_variable work_;
  // Calls with pictures that no lane has taken yet.
  std::deque<Call*> small_;
  std::deque<Call*> bulk_;
  std::size_t small_in_a_row_ = 0;
  std::size_t running_ = 0;
  bool stopping_ = false;
  std::vector<std::jthread> threads_;
};

}  // namespace similis
