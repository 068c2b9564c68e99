// similis-bench: what `similis bench` starts.

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>

#include "filters.h"
#include "ingest.h"
#include "query.h"
#include "table.h"
#include "writes.h"

namespace similis::bench {
namespace {

int run(int argc, char** argv) {
  std::setvbuf(stdout, nullptr, _IOLBF, BUFSIZ);  // into a file too, line by line
  CLI::App app("Measures similis on this machine, with pictures made for it.", "similis bench");
  app.require_subcommand(1);
  IngestOptions ingest;
  CLI::App* ingest_command =
      app.add_subcommand("ingest", "Pictures a second, against what the machine allows");
  ingest_command->add_option("--small", ingest.small, "How many of 300 x 200")
      ->capture_default_str();
  ingest_command->add_option("--large", ingest.large, "How many of 4000 x 3000")
      ->capture_default_str();
  ingest_command->add_option("--rounds", ingest.rounds, "Rounds, of which medians are printed")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  ingest_command->add_option("--folder", ingest.folder,
                             "Measure the pictures of this folder instead");
  QueryOptions query;
  CLI::App* query_command =
      app.add_subcommand("query", "A warm server, from a picture's bytes to the answer");
  query_command->add_option("--rows", query.rows, "Vectors in the index")->capture_default_str();
  query_command->add_option("--queries", query.queries, "Pictures of 300 x 200")
      ->capture_default_str();
  query_command->add_option("--large", query.large, "Pictures of 4000 x 3000")
      ->capture_default_str();
  TableOptions table;
  CLI::App* table_command =
      app.add_subcommand("table", "The engine beside the published table of DiskANN");
  table_command->add_option("--rows", table.rows, "Vectors")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  table_command->add_option("--dimensions", table.dimensions, "Of each")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  table_command->add_option("--intrinsic", table.intrinsic, "Of the surface they lie on")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  table_command->add_option("--queries", table.queries, "Queries")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  table_command->add_option("--folder", table.folder, "Keep the index here, or use the one there");
  WritesOptions writes;
  CLI::App* writes_command = app.add_subcommand(
      "writes", "The engine under writes: their rate, searches beside them, what is then found");
  writes_command->add_option("--rows", writes.rows, "Vectors")
      ->check(CLI::Range(2, 100'000'000))
      ->capture_default_str();
  writes_command->add_option("--dimensions", writes.dimensions, "Of each")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  writes_command->add_option("--intrinsic", writes.intrinsic, "Of the surface they lie on")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  writes_command->add_option("--queries", writes.queries, "Queries")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  writes_command->add_option("--seconds", writes.seconds, "Of searching, alone and beside writes")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  writes_command->add_option("--data", writes.data,
                             "A folder with base.npy and query.npy, in place of generated vectors");
  FiltersOptions filters;
  CLI::App* filters_command = app.add_subcommand(
      "filters", "Searches with filters: what they find and take, of many rows down to few");
  filters_command->add_option("--rows", filters.rows, "Vectors")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  filters_command->add_option("--dimensions", filters.dimensions, "Of each")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  filters_command->add_option("--intrinsic", filters.intrinsic, "Of the surface they lie on")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  filters_command->add_option("--queries", filters.queries, "Queries")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  filters_command->add_option(
      "--data", filters.data,
      "A folder with base.npy and query.npy, in place of generated vectors");
  CLI11_PARSE(app, argc, argv);
  const Status status = ingest_command->parsed()    ? run_ingest(ingest)
                        : table_command->parsed()   ? run_table(table)
                        : writes_command->parsed()  ? run_writes(writes)
                        : filters_command->parsed() ? run_filters(filters)
                                                    : run_query(query);
  if (status.ok()) return 0;
  std::fprintf(stderr, "similis: %s. %s\n", status.error().message.c_str(),
               status.error().hint.c_str());
  return 3;
}

}  // namespace
}  // namespace similis::bench

int main(int argc, char** argv) {
  try {
    return similis::bench::run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "similis: %s\n", error.what());
    return 3;
  }
}
