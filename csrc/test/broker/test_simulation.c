/* Clusters of three nodes, by seeds (test/support/cluster/simulation.h). SIM_SEED, SIM_SEEDS, SIM_STEPS, and
 * SIM_FAULTS run others; with SIM_TRACE, what happens is printed. */
#include <stdlib.h>

#include "moonwire.h"
#include "test/support.h"
#include "test/support/cluster/simulation.h"

enum { LOSSES = FAULT_FAIL_OVER | FAULT_FLUSH, ALL_FAULTS = 2047 };

static void run(unsigned faults, uint64_t seeds) {
  for (uint64_t seed = 1; seed <= seeds; seed++) simulate(seed, 4000, faults);
}

static void nothing_is_missed_without_a_fault(void **state) {
  (void)state;
  run(0, 2);
}

static void connections_are_lost(void **state) {
  (void)state;
  run(FAULT_CUT, 4);
}

static void redis_restarts_and_pauses(void **state) {
  (void)state;
  run(FAULT_CUT | FAULT_RESTART | FAULT_PAUSE, 4);
}

static void nodes_die_and_are_stopped(void **state) {
  (void)state;
  run(FAULT_CUT | FAULT_KILL | FAULT_STOP, 4);
}

static void redis_is_full_and_somebody_interferes(void **state) {
  (void)state;
  run(FAULT_CUT | FAULT_FULL | FAULT_TRIM | FAULT_CLOCK, 4);
}

static void a_failover_loses_messages(void **state) {
  (void)state;
  run(FAULT_FAIL_OVER, 4);
  run(FAULT_CUT | FAULT_FAIL_OVER, 4);
  run(FAULT_STOP | FAULT_FAIL_OVER, 8); /* a node reports late what it has seen */
}

static void redis_loses_everything(void **state) {
  (void)state;
  run(FAULT_CUT | LOSSES, 4);
}

static void allocations_fail(void **state) {
  (void)state;
  run(FAULT_CUT | FAULT_MEMORY, 4);
}

static void everything_happens(void **state) {
  (void)state;
  run(ALL_FAULTS & ~(unsigned)LOSSES, 4);
  run(ALL_FAULTS, 4);
}

/* Nodes keep little, and fetch what clients lack. */
static void caches_are_small(void **state) {
  (void)state;
  run(FAULT_EVICT, 4);
  run(FAULT_EVICT | FAULT_CUT | FAULT_RESTART | FAULT_PAUSE, 4);
  run(FAULT_EVICT | FAULT_KILL | FAULT_STOP | FAULT_FULL | FAULT_TRIM | FAULT_MEMORY, 4);
  run(FAULT_EVICT | ALL_FAULTS, 4);
}

/* Seeds that once failed, with the reason. */
static const struct {
  uint64_t seed;
  size_t steps;
  unsigned faults;
} failed[] = {
    /* held messages were dropped, and a publish was acknowledged before its subscribers had a gap */
    {1, 8000, FAULT_RESTART},
    /* a gap was announced up to the position of the page, so clients that had everything had it, too */
    {10, 8000, FAULT_RESTART},
    /* an acknowledged position was forgotten when an earlier message arrived, so a loss was not noticed */
    {10, 8000, FAULT_FAIL_OVER},
    /* a client joined a channel of which the history was dropped in the meantime */
    {15, 8000, FAULT_CUT | FAULT_RESTART},
    /* a node that was behind gave a gap, and then messages that the client had */
    {11, 8000, 583},
    /* of two pages of one script, the end of the first came before the newest message in the second */
    {21, 10000, FAULT_CUT},
    /* a node that was an epoch behind took a newer cursor for a foreign one */
    {1036, 10000, 895},
};

static void seeds_that_failed_pass(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT_OF(failed); i++) simulate(failed[i].seed, failed[i].steps, failed[i].faults);
}

static uint64_t number_of(const char *name, uint64_t otherwise) {
  const char *text = getenv(name);
  return text ? strtoull(text, NULL, 0) : otherwise;
}

static void seeds_of_the_environment(void **state) {
  (void)state;
  uint64_t first = number_of("SIM_SEED", 1), count = number_of("SIM_SEEDS", 0);
  size_t steps = (size_t)number_of("SIM_STEPS", 10000);
  unsigned faults = (unsigned)number_of("SIM_FAULTS", ALL_FAULTS);
  for (uint64_t seed = first; seed < first + count; seed++) simulate(seed, steps, faults);
}

int main(void) {
  const struct CMUnitTest tests[] = {TEST(nothing_is_missed_without_a_fault),
                                     TEST(connections_are_lost),
                                     TEST(redis_restarts_and_pauses),
                                     TEST(nodes_die_and_are_stopped),
                                     TEST(redis_is_full_and_somebody_interferes),
                                     TEST(a_failover_loses_messages),
                                     TEST(redis_loses_everything),
                                     TEST(allocations_fail),
                                     TEST(everything_happens),
                                     TEST(caches_are_small),
                                     TEST(seeds_that_failed_pass)};
  const struct CMUnitTest others[] = {TEST(seeds_of_the_environment)};
  mw_log_to(MW_LOG_ERROR, NULL, NULL); /* what is expected is not of interest */
  if (getenv("SIM_SEEDS")) return cmocka_run_group_tests(others, NULL, NULL);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
