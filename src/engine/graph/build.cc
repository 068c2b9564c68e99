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
constexpr std::size_t kProgressRows = 256;
// Rows that a trial does without.
constexpr std::size_t kHeldMax = 1024;

std::uint32_t slots_of(const GraphOptions& options) {
  return static_cast<std::uint32_t>(options.degree * kSlack);
}

class Builder {
 public:
  Builder(const CodeTable& codes, std::span<const std::uint32_t> members,
          const GraphOptions& options)
      : codes_(codes),
        options_(options),
        graph_(codes.rows(), slots_of(options)),
        order_(members.begin(), members.end()),
        locks_(kLocks) {
    if (members.empty()) return;
    const auto half = [&](std::uint32_t row) { return half_squared_length(codes.record(row)); };
    std::mt19937 random(1);
    std::shuffle(order_.begin(), order_.end(), random);
    // The row nearest to the mean comes first: walks begin there.
    std::swap(order_.front(), *std::min_element(order_.begin(), order_.end(),
                                                [&](auto a, auto b) { return half(a) < half(b); }));
  }

  /// On top of a graph of the first rows, whose entry there is.
  Builder(const CodeTable& codes, const Edges& graph, std::uint32_t entry,
          std::span<const std::uint32_t> members, const GraphOptions& options)
      : Builder(codes, members, options) {
    std::vector<std::uint32_t> order{entry};
    for (std::uint32_t row = 0; row < graph.rows(); ++row) {
      const auto edges = graph.neighbours(row);
      graph_.set_neighbours(row, edges);
      if (!edges.empty() && row != entry) order.push_back(row);
    }
    there_ = order.size();
    order.insert(order.end(), order_.begin(), order_.end());
    order_ = std::move(order);
  }

  Result<BuiltGraph> run(ThreadPool& pool, unsigned threads, const GraphTrial& trial,
                         const GoOn& go_on) {
    const std::size_t held = trial ? std::min(kHeldMax, order_.size() / 4) : 0;
    const std::size_t first = order_.size() - held;
    const auto insert_row = [&](Worker& worker, std::uint32_t row) { insert(worker, row); };
    TRY(for_each_row(pool, threads, there_, first, go_on, insert_row));
    if (held > 0) {
      ASSIGN_OR_RETURN(BuiltGraph built, finished(pool, threads, first, go_on));
      TRY(trial(std::move(built), std::span(order_).subspan(first)));
      TRY(for_each_row(pool, threads, first, order_.size(), go_on, insert_row));
    }
    return finished(pool, threads, order_.size(), go_on);
  }

 private:
  /// What one thread needs, made once.
  struct Worker {
    Worker(const CodeTable& codes, std::uint32_t degree)
        : own(codes.layout()), chosen_codes(degree, QueryCode(codes.layout())) {}
    Walk<Graph> walk;
    QueryCode own;
    std::vector<QueryCode> chosen_codes;
    std::vector<Candidate> candidates;
    std::vector<Candidate> chosen;
    std::vector<std::uint32_t> edges;
  };

  /// Calls each(worker, row) for places [begin, end) of the order, on several threads, until
  /// `go_on` has an error.
  template <typename Each>
  Status for_each_row(ThreadPool& pool, unsigned threads, std::size_t begin, std::size_t end,
                      const GoOn& go_on, const Each& each) {
    std::atomic<std::size_t> next{begin};
    std::atomic<bool> stop{false};
    std::mutex mutex;
    Status failure;
    pool.run(threads, [&] {
      Worker worker(codes_, options_.degree);
      for (std::size_t at = next++; at < end && !stop; at = next++) {
        each(worker, order_[at]);
        if (at % kProgressRows != 1 || !go_on) continue;
        Status status = go_on(at);
        if (status.ok()) continue;
        stop = true;
        std::lock_guard lock(mutex);
        failure = std::move(status);
      }
    });
    return failure;
  }

  /// The graph of the first `count` rows of the order, which are inserted: with lists cut to the
  /// degree, each row reached. More can be inserted afterwards.
  Result<BuiltGraph> finished(ThreadPool& pool, unsigned threads, std::size_t count,
                              const GoOn& go_on) {
    const auto cut = [&](Worker& worker, std::uint32_t row) {
      worker.edges.resize(graph_.slots());
      worker.edges.resize(graph_.neighbours(row, worker.edges.data()));
      if (worker.edges.size() <= options_.degree) return;
      prune_edges(worker, row);
      graph_.set_neighbours(row, worker.edges);
    };
    // It takes little: what was done before counts.
    const GoOn still = [&](std::size_t) { return go_on ? go_on(count) : Status(); };
    TRY(for_each_row(pool, threads, 0, count, still, cut));
    connect(count);
    return BuiltGraph{Edges(graph_), order_.front()};
  }

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
  void connect(std::size_t rows) {
    const std::uint32_t entry = order_.front();
    std::vector<std::uint32_t> parent(graph_.rows(), Graph::kNone);  // that a row was reached from
    std::vector<std::uint32_t> stack, edges(graph_.slots());
    const auto spread = [&](std::uint32_t from) {
      stack.push_back(from);
      while (!stack.empty()) {
        const std::uint32_t row = stack.back();
        stack.pop_back();
        const std::uint32_t count = graph_.neighbours(row, edges.data());
        for (std::uint32_t i = 0; i < count; ++i) {
          if (parent[edges[i]] != Graph::kNone) continue;
          parent[edges[i]] = row;
          stack.push_back(edges[i]);
        }
      }
    };
    const auto link = [&](std::uint32_t from, std::uint32_t to) {
      edges.resize(graph_.neighbours(from, edges.data()));
      bool done = edges.size() < options_.degree;
      if (done) edges.push_back(to);
      for (std::size_t i = edges.size(); i-- > 0 && !done;) {  // the farthest first
        if (parent[edges[i]] == from) continue;
        edges[i] = to;
        done = true;
      }
      if (done) graph_.set_neighbours(from, edges);
      if (done) parent[to] = from;
      edges.resize(graph_.slots());
      return done;
    };
    parent[entry] = entry;
    spread(entry);
    Worker worker(codes_, options_.degree);
    std::size_t anywhere = 0;
    for (const std::uint32_t row : std::span(order_).first(rows)) {
      if (parent[row] != Graph::kNone) continue;
      worker.own.set_record(codes_.record(row));
      worker.walk.run(graph_, codes_, worker.own, entry, options_.list_size);
      bool linked = false;
      for (const Candidate& c : worker.walk.found()) linked = linked || link(c.row, row);
      // There is always one: the edges in use are fewer than the rows that were reached.
      for (; !linked; anywhere = (anywhere + 1) % rows)
        if (parent[order_[anywhere]] != Graph::kNone) linked = link(order_[anywhere], row);
      spread(row);
    }
  }

  const CodeTable& codes_;
  const GraphOptions options_;
  Graph graph_;
  std::vector<std::uint32_t> order_;  // of insertion
  std::size_t there_ = 1;             // of them are inserted before anything is done: the entry
  std::vector<std::mutex> locks_;
};

}  // namespace

std::uint64_t build_bytes_a_row(const GraphOptions& options) {
  // Lists while they grow, the place in the order, what it was reached from; the finished lists, of
  // which half are empty, in at most 32 bits an edge.
  return sizeof(std::uint32_t) * (slots_of(options) + 2ULL + options.degree / 2 + 1);
}

Result<BuiltGraph> build_graph(const CodeTable& codes, std::span<const std::uint32_t> members,
                               const GraphOptions& options, ThreadPool& pool, unsigned threads,
                               const GraphTrial& trial, const GoOn& go_on) {
  return Builder(codes, members, options).run(pool, threads, trial, go_on);
}

Result<BuiltGraph> extend_graph(const CodeTable& codes, const Edges& graph, std::uint32_t entry,
                                std::span<const std::uint32_t> members, const GraphOptions& options,
                                ThreadPool& pool, unsigned threads, const GoOn& go_on) {
  if (entry == Edges::kNone) return build_graph(codes, members, options, pool, threads, {}, go_on);
  return Builder(codes, graph, entry, members, options).run(pool, threads, {}, go_on);
}

}  // namespace similis::engine
