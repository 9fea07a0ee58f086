/* Several workers on one loop, whose turns a seed orders (fuzz/world/server_world.h): some hundred seeds,
 * each with operations of its own. MOONWIRE_SEED=n runs one of them. */
#define _XOPEN_SOURCE 700

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fuzz/world/server_world.h"
#include "moonwire.h"
#include "test/support.h"

enum { SEEDS = 400, OPERATIONS = 240 };

static uint64_t running;

/* A seed that fails can be repeated. */
static void on_abort(int signum) {
  char text[64];
  int len = snprintf(text, sizeof text, "failed: MOONWIRE_SEED=%llu\n", (unsigned long long)running);
  if (len > 0 && write(STDERR_FILENO, text, (size_t)len) < 0) _exit(1);
  signal(signum, SIG_DFL);
}

static uint64_t draw(uint64_t *random, uint64_t below) {
  *random ^= *random << 13;
  *random ^= *random >> 7;
  *random ^= *random << 17;
  return (*random >> 11) % below;
}

/* Mostly what clients do all day: publishes, and peers that return as what they were, with their
 * last id. The rest is anything. */
static void write_operation(uint64_t *random, uint8_t out[2]) {
  uint64_t chance = draw(random, 100), peer = draw(random, 5), channel = draw(random, 2);
  out[0] = (uint8_t)draw(random, 256);
  out[1] = (uint8_t)draw(random, 256);
  if (chance < 40) {
    out[0] = 5; /* a message, to channel a or b */
    out[1] = (uint8_t)(channel << 3);
  } else if (chance < 65) {
    static const uint8_t kinds[] = {0, 1, 5, 3, 4}; /* enum peer_kind */
    out[0] = (uint8_t)(kinds[peer] << 4);
    /* returns, to the channels a and b */
    out[1] = (uint8_t)(128 | 3 << 3 | peer);
  } else if (chance < 75) {
    out[0] = 14 | 8 << 4; /* reads all */
    out[1] = (uint8_t)peer;
  }
}

static void run_seed(uint64_t seed) {
  uint8_t data[1 + 2 * OPERATIONS];
  uint64_t random = (seed + 1) * UINT64_C(0xd1342543de82ef95);
  running = seed;
  data[0] = (uint8_t)draw(&random, 256);
  for (size_t i = 0; i < OPERATIONS; i++) write_operation(&random, data + 1 + 2 * i);
  world_run(data, sizeof data, &(struct world_options){.workers = 2 + (unsigned)(seed % 3), .seed = seed});
}

static void test_seeds(void **state) {
  (void)state;
  const char *one = getenv("MOONWIRE_SEED");
  if (one) run_seed(strtoull(one, NULL, 10));
  for (uint64_t seed = 0; !one && seed < SEEDS; seed++) run_seed(seed);
}

int main(void) {
  const struct CMUnitTest tests[] = {TEST(test_seeds)};
  signal(SIGABRT, on_abort);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
