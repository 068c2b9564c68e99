#include "worker/child/worker.h"

int main(int argc, char** argv) {
  return similis::run_worker(argc, argv);
}
