/* A whole server with several workers, which take their turns in an order that the input defines:
 * deterministic simulation (fuzz/world/server_world.h). The first bytes are the number of workers and the
 * seed of the order; the rest is as for the target `server`. */
#include "fuzz/fuzz.h"
#include "fuzz/world/server_world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 4) return 0;
  uint64_t seed = (uint64_t)data[1] << 8 | data[2];
  world_run(data + 3, size - 3, &(struct world_options){.workers = 2 + data[0] % 3, .seed = seed});
  return 0;
}
