#include "app/hooks.h"
#include "cli/cli.h"

int main(int argc, char** argv) {
  return similis::cli::run(argc, argv, similis::make_hooks());
}
