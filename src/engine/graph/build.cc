#include "engine/graph/build.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <random>

#include "engine/graph/walk.h"

namespace similis::engine {
namespace {

// Lists may grow this much beyond the degree before they are pruned, which spares most prunings.
constexpr double kSlack = 1.3;
constexpr std::size_t kLocks = 1024;
constexpr std::uint32_t kProgressRows = 1024;

class Builder {
 public:
  Builder(const CodeTable& codes, std::span<const std::uint32_t> members,
          const GraphOptions& options)
      : codes_(codes),
        options_(options),
        graph_(codes.rows(), static_cast<std::uint32_t>(options.degree * kSlack)),
        order_(members.begin(), members.end()),
        locks_(kLocks) {
    const auto half = [&](std::uint32_t row) { return half_squared_length(codes.record(row)); };
    std::mt19937 random(1);
    std::shuffle(order_.begin(), order_.end(), random);
    // The row nearest to the mean comes first: walks begin there.
    std::swap(order_.front(), *std::min_element(order_.begin(), order_.end(),
                                                [&](auto a, auto b) { return half(a) < half(b); }));
  }

  Result<BuiltGraph> run(ThreadPool& pool, unsigned threads, const std::stop_token& stop,
                         const std::function<void(std::uint32_t)>& progress) {
    const std::size_t rows = order_.size();
    next_ = 1;  // the entry is there
    pool.run(threads, [&] {
      Worker worker(codes_, options_.degree);
      for (;;) {
        const std::size_t at = next_.fetch_add(1, std::memory_order_relaxed);
        if (at >= rows || stop.stop_requested()) return;
        insert(worker, order_[at]);
        if (at % kProgressRows == 0 && progress) progress(static_cast<std::uint32_t>(at));
      }
    });
    BuiltGraph out{Graph(codes_.rows(), options_.degree), order_.front()};
    next_ = 0;
    pool.run(threads, [&] {
      Worker worker(codes_, options_.degree);
      for (;;) {
        const std::size_t at = next_.fetch_add(1, std::memory_order_relaxed);
        if (at >= rows || stop.stop_requested()) return;
        const std::uint32_t row = order_[at];
        worker.edges.resize(graph_.slots());
        worker.edges.resize(graph_.neighbours(row, worker.edges.data()));
        if (worker.edges.size() > options_.degree) prune_edges(worker, row);
        out.graph.set_neighbours(row, worker.edges);
      }
    });
    if (stop.stop_requested()) return Error(ErrorCode::cancelled, "building was cancelled");
    connect(out);
    return out;
  }

 private:
  /// What one thread needs, made once.
  struct Worker {
    Worker(const CodeTable& codes, std::uint32_t degree)
        : own(codes.layout()), chosen_codes(degree, QueryCode(codes.layout())) {}
    Walk walk;
    QueryCode own;
    std::vector<QueryCode> chosen_codes;
    std::vector<Candidate> candidates;
    std::vector<Candidate> chosen;
    std::vector<std::uint32_t> edges;
  };

  std::mutex& lock_of(std::uint32_t row) { return locks_[row % kLocks]; }

  void insert(Worker& worker, std::uint32_t row) {
    worker.own.set_record(codes_.record(row));
    worker.walk.run(graph_, codes_, worker.own, order_.front(), options_.list_size);
    worker.candidates.clear();
    for (const Candidate& c : worker.walk.expanded())
      if (c.row != row) worker.candidates.push_back(c);
    prune(worker, row);
    worker.edges.clear();
    for (const Candidate& c : worker.chosen) worker.edges.push_back(c.row);
    {
      std::lock_guard lock(lock_of(row));
      // Others may have linked here meanwhile: their edges are kept as far as there is room.
      std::vector<std::uint32_t> linked(graph_.slots());
      linked.resize(graph_.neighbours(row, linked.data()));
      for (const std::uint32_t other : linked)
        if (worker.edges.size() < graph_.slots() &&
            std::find(worker.edges.begin(), worker.edges.end(), other) == worker.edges.end())
          worker.edges.push_back(other);
      graph_.set_neighbours(row, worker.edges);
    }
    const std::vector<std::uint32_t> targets(worker.edges.begin(), worker.edges.end());
    for (const std::uint32_t target : targets) link_back(worker, target, row);
  }

  void link_back(Worker& worker, std::uint32_t target, std::uint32_t row) {
    std::lock_guard lock(lock_of(target));
    worker.edges.resize(graph_.slots());
    worker.edges.resize(graph_.neighbours(target, worker.edges.data()));
    if (std::find(worker.edges.begin(), worker.edges.end(), row) != worker.edges.end()) return;
    if (graph_.add_neighbour(target, row)) return;
    worker.edges.push_back(row);
    prune_edges(worker, target);
    graph_.set_neighbours(target, worker.edges);
  }

  /// Cuts worker.edges of `row` down to the degree.
  void prune_edges(Worker& worker, std::uint32_t row) const {
    worker.own.set_record(codes_.record(row));
    worker.candidates.clear();
    for (const std::uint32_t edge : worker.edges) worker.candidates.push_back({0, edge});
    prune(worker, row);
    worker.edges.clear();
    for (const Candidate& c : worker.chosen) worker.edges.push_back(c.row);
  }

  /// RobustPrune: of worker.candidates those that no nearer chosen one stands before, into
  /// worker.chosen. worker.own is the query of `row`.
  void prune(Worker& worker, std::uint32_t row) const {
    const float half = half_squared_length(codes_.record(row));
    for (Candidate& c : worker.candidates)
      c.nearness = worker.own.refine(codes_.record(c.row)).nearness;
    std::sort(worker.candidates.begin(), worker.candidates.end());
    worker.chosen.clear();
    for (const Candidate& c : worker.candidates) {
      const float distance = 2 * (half - c.nearness);
      const std::byte* record = codes_.record(c.row);
      bool hidden = false;
      for (std::size_t i = 0; i < worker.chosen.size() && !hidden; ++i) {
        const float chosen_half = half_squared_length(codes_.record(worker.chosen[i].row));
        const float between = 2 * (chosen_half - worker.chosen_codes[i].refine(record).nearness);
        hidden = options_.alpha * between <= distance;
      }
      if (hidden) continue;
      worker.chosen.push_back(c);
      if (worker.chosen.size() == options_.degree) return;
      worker.chosen_codes[worker.chosen.size() - 1].set_record(record);
    }
  }

  /// Gives each row that cannot be reached from the entry an edge from one that can: one near it if
  /// possible. Where all slots are taken an edge gives way that its target was not reached by, so
  /// that nothing is cut off.
  void connect(BuiltGraph& built) const {
    Graph& graph = built.graph;
    std::vector<std::uint32_t> parent(graph.rows(), Graph::kNone);  // that a row was reached from
    std::vector<std::uint32_t> stack, edges(graph.slots());
    const auto spread = [&](std::uint32_t from) {
      stack.push_back(from);
      while (!stack.empty()) {
        const std::uint32_t row = stack.back();
        stack.pop_back();
        const std::uint32_t count = graph.neighbours(row, edges.data());
        for (std::uint32_t i = 0; i < count; ++i) {
          if (parent[edges[i]] != Graph::kNone) continue;
          parent[edges[i]] = row;
          stack.push_back(edges[i]);
        }
      }
    };
    const auto link = [&](std::uint32_t from, std::uint32_t to) {
      edges.resize(graph.neighbours(from, edges.data()));
      bool done = edges.size() < graph.slots();
      if (done) edges.push_back(to);
      for (std::size_t i = edges.size(); i-- > 0 && !done;) {  // the farthest first
        if (parent[edges[i]] == from) continue;
        edges[i] = to;
        done = true;
      }
      if (done) graph.set_neighbours(from, edges);
      if (done) parent[to] = from;
      edges.resize(graph.slots());
      return done;
    };
    parent[built.entry] = built.entry;
    spread(built.entry);
    Worker worker(codes_, options_.degree);
    std::size_t anywhere = 0;
    for (const std::uint32_t row : order_) {
      if (parent[row] != Graph::kNone) continue;
      worker.own.set_record(codes_.record(row));
      worker.walk.run(graph, codes_, worker.own, built.entry, options_.list_size);
      bool linked = false;
      for (const Candidate& c : worker.walk.found()) linked = linked || link(c.row, row);
      // There is always one: the edges in use are fewer than the rows that were reached.
      for (; !linked; anywhere = (anywhere + 1) % order_.size())
        if (parent[order_[anywhere]] != Graph::kNone) linked = link(order_[anywhere], row);
      spread(row);
    }
  }

  const CodeTable& codes_;
  const GraphOptions options_;
  Graph graph_;
  std::vector<std::uint32_t> order_;  // of insertion
  std::atomic<std::size_t> next_{0};
  std::vector<std::mutex> locks_;
};

}  // namespace

Result<BuiltGraph> build_graph(const CodeTable& codes, std::span<const std::uint32_t> members,
                               const GraphOptions& options, ThreadPool& pool, unsigned threads,
                               const std::stop_token& stop,
                               const std::function<void(std::uint32_t done)>& progress) {
  return Builder(codes, members, options).run(pool, threads, stop, progress);
}

}  // namespace similis::engine
