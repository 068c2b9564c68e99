#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "engine/graph/turned_queries.h"
#include "engine/graph_search.h"

/// What a thread that searches graphs keeps: known to graph_search.cc and graph_worker.cc alone.
namespace similis::engine {

// Queries of one thread that walk in turn: while records that one is to compare are on their way
// from memory, the others compare theirs. Other groups wait for their reads meanwhile.
inline constexpr std::size_t kGroup = 8;
inline constexpr std::size_t kGroups = 4;

/// One query between its walk and its scores.
struct GraphSearch::Flight {
  struct Chosen {
    std::uint32_t source = 0;
    std::uint32_t node = 0;
    std::uint32_t row = 0;
    float estimate = 0;                 // where it is neither in memory nor read
    const std::byte* vector = nullptr;  // in memory already
    const Part* part = nullptr;         // else read from here
    std::uint32_t row_in_part = 0;
    Part::Place place = {};
    std::size_t request = 0;
  };
  std::size_t query = 0;
  const float* vector = nullptr;  // of the query, as it is compared
  std::vector<float> unit;        // what it points to where that is not as given
  std::vector<Chosen> chosen;
  std::vector<std::shared_ptr<VectorBlock>> blocks;          // keep `vector`s in memory
  std::vector<std::shared_ptr<const PartList>> newer_parts;  // than the search began with
  ReadGroup reads;

  const Part* find_part(const GraphSource& source, std::uint32_t row) {
    const auto in = [&](const PartList& parts) -> const Part* {
      for (const auto& part : parts)
        if (part->holds(row)) return part.get();
      return nullptr;
    };
    if (const Part* part = in(*source.parts)) return part;
    // Its vector was in memory alone when the search began, and has been written since.
    newer_parts.push_back(source.view->segment->parts());
    return in(*newer_parts.back());
  }
};

/// What one query of a group needs to walk.
struct GraphSearch::Walker {
  Walk<Edges> walk;
  std::optional<QueryCode> code;
  CodeLayout layout;
  std::vector<Estimate> estimates;
  std::vector<float> bounds;                          // of their scores, from below
  std::vector<std::pair<float, std::size_t>> rivals;  // from above, and rows of each
  float scale = 1;                                    // of a cosine, to the metric's score

  QueryCode& code_for(const CodeLayout& wanted) {
    if (!code || layout != wanted) {
      code.emplace(wanted);
      layout = wanted;
    }
    return *code;
  }
};

class GraphWorker {
 public:
  explicit GraphWorker(std::unique_ptr<ReadQueue> queue_) : queue(std::move(queue_)) {}

  std::unique_ptr<ReadQueue> queue;
  std::vector<GraphSearch::Walker> walkers = std::vector<GraphSearch::Walker>(kGroup);
  TurnedQueries turned;
  std::vector<GraphSearch::Flight> flights = std::vector<GraphSearch::Flight>(kGroups * kGroup);
  AlignedBuffer buffers[kGroups];  // what each group reads
};

/// Waits for all reads of a worker when it goes.
class GraphSearch::Landing {
 public:
  explicit Landing(GraphWorker& worker) : worker_(worker) {}
  Landing(const Landing&) = delete;
  Landing& operator=(const Landing&) = delete;
  ~Landing() {
    for (Flight& flight : worker_.flights) {
      while (flight.reads.pending > 0) worker_.queue->reap(true);
      flight.blocks.clear();
      flight.newer_parts.clear();
    }
  }

 private:
  GraphWorker& worker_;
};

}  // namespace similis::engine
