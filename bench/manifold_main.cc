// similis_manifold FOLDER: base.npy, query.npy (f32) and truth.npy (int64, the 100 nearest rows by
// exact f32 search) of vectors that a seeded generator lays on a surface of few dimensions, or of
// those in another such folder; with --hard among copies, near copies, zeros and outliers.

#include <CLI/CLI.hpp>
#include <exception>
#include <filesystem>
#include <iostream>

#include "vectors.h"

namespace similis::bench {
namespace {

int run(int argc, char** argv) {
  CLI::App app("Writes vectors on a surface of few dimensions, and queries with their nearest.");
  std::filesystem::path folder, given;
  bool hard = false;
  std::size_t rows = 100'000, dimensions = 2048, intrinsic = 30, queries = 1000, nearest = 100;
  app.add_option("folder", folder, "Gets base.npy, query.npy and truth.npy")->required();
  app.add_option("--rows", rows)->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--dimensions", dimensions)->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--intrinsic", intrinsic, "Dimensions of the surface")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--queries", queries)->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--nearest", nearest, "Written of each query")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--from", given, "Takes base.npy and query.npy of this folder in their place")
      ->check(CLI::ExistingDirectory);
  app.add_flag("--hard", hard, "Adds copies, near copies, zeros and outliers");
  CLI11_PARSE(app, argc, argv);
  std::error_code failed;
  std::filesystem::create_directories(folder, failed);
  const ManifoldGenerator generator(dimensions, intrinsic, kManifoldSeed);
  auto base = given.empty() ? make_vectors(generator, rows, 0)
                            : engine::read_npy<float>(given / "base.npy");
  const auto query = given.empty() ? make_vectors(generator, queries, kQuerySeed)
                                   : engine::read_npy<float>(given / "query.npy");
  if (hard) add_hard_rows(base, kManifoldSeed);
  // The truth comes last: where it is, all is.
  if (engine::write_npy(folder / "base.npy", base) &&
      engine::write_npy(folder / "query.npy", query) &&
      engine::write_npy(folder / "truth.npy", nearest_rows(base, query, nearest)))
    return 0;
  std::cerr << "similis_manifold: cannot write to " << folder << '\n';
  return 1;
}

}  // namespace
}  // namespace similis::bench

int main(int argc, char** argv) {
  try {
    return similis::bench::run(argc, argv);
  } catch (const std::exception& error) {
    std::cerr << "similis_manifold: " << error.what() << '\n';
    return 1;
  }
}
