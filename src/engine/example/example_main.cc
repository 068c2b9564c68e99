// Ten thousand random vectors in an index in FOLDER (made), and the ones nearest to the first.
#include <cstdio>
#include <random>
#include <vector>

#include "engine/index.h"

namespace engine = similis::engine;

similis::Status run(const char* folder) {
  constexpr std::uint32_t kRows = 10'000, kDimensions = 128;
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  std::vector<float> values(kRows * kDimensions);
  for (float& value : values) value = normal(random);

  ASSIGN_OR_RETURN(const auto index, engine::Index::create(folder,
                                                           {.dimensions = kDimensions,
                                                            .metric = engine::Metric::cosine,
                                                            .kind = engine::IndexKind::graph},
                                                           {}));
  std::vector<engine::Row> rows;
  for (std::uint32_t i = 0; i < kRows; ++i)
    rows.push_back({i + 1, std::span(values).subspan(i * kDimensions, kDimensions), {}});
  TRY(index->upsert(rows, {}));  // durable when it returns
  ASSIGN_OR_RETURN(const auto answer, index->search(rows.front().vector, {.k = 3}));
  for (const engine::Hit& hit : answer.hits.front())
    std::printf("%llu %.3f\n", static_cast<unsigned long long>(hit.id), hit.score);
  return index->close();
}

int main(int argc, char** argv) {
  const similis::Status status = run(argc > 1 ? argv[1] : "vectors.idx");
  if (!status.ok()) std::fprintf(stderr, "%s\n", status.error().message.c_str());
  return status.ok() ? 0 : 1;
}
