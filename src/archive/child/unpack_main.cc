#include "archive/child/unpack.h"

int main(int argc, char** argv) {
  return similis::archive::run_unpack(argc, argv);
}
