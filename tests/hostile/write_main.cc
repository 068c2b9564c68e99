// similis-hostile-files DIR [SEED]: writes the hostile files into DIR, and DIR/EXPECTED with
// "name<TAB>expectation" a line.

#include <charconv>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "base/file.h"
#include "hostile/hostile_files.h"
#include "vision/decode/decode.h"

int main(int argc, char** argv) {
  using namespace similis;
  std::uint64_t seed = 1;
  if (argc < 2 || argc > 3 ||
      (argc == 3 &&
       std::from_chars(argv[2], argv[2] + std::strlen(argv[2]), seed).ec != std::errc())) {
    std::fprintf(stderr, "usage: similis-hostile-files DIR [SEED]\n");
    return 2;
  }
  auto write_all_files = [&]() -> Status {
    TRY(init_decoder());
    const std::filesystem::path dir = argv[1];
    TRY(make_directories(dir));
    std::string list;
    for (const auto& file : hostile::make_hostile_files(seed)) {
      TRY(publish_file(dir / file.name, file.bytes));
      static constexpr const char* kWords[] = {"picture", "failed", "skipped", "typed"};
      list += file.name + "\t" + kWords[static_cast<int>(file.expect)] + "\n";
    }
    return publish_file(dir / "EXPECTED", std::as_bytes(std::span(list)));
  };
  if (auto status = write_all_files(); !status.ok()) {
    std::fprintf(stderr, "similis-hostile-files: %s\n", status.error().message.c_str());
    return 1;
  }
  return 0;
}
