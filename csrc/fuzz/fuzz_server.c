/* A whole server with one worker (fuzz/world/server_world.h). */
#include "fuzz/fuzz.h"
#include "fuzz/world/server_world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  world_run(data, size, &(struct world_options){.workers = 1});
  return 0;
}
