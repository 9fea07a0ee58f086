/* A phase of a run: publishes for a while, and measures what it cost to deliver. */
#ifndef MOONWIRE_BENCH_LOAD_PHASE_H
#define MOONWIRE_BENCH_LOAD_PHASE_H

#include "load/process.h"
#include "load/publisher.h"

enum { PROCESSES_MAX = 8, BATCH_MAX = 1024 };

struct phase {
  /* Closed loop: so many messages are in flight, and the next is published when a message has reached
   * all its subscribers. 0: a fixed rate. */
  uint32_t window;
  double rate;    /* messages a second. Latency counts from when a message was due */
  double seconds; /* how long messages are published; then the phase waits for the rest */
  double warmup;  /* the same before, without being measured */
  size_t size;    /* bytes of a payload */
  uint32_t batch; /* messages of one POST */
  uint32_t depth; /* POST requests without an answer, at most */
};

struct phase_result {
  uint64_t messages, deliveries, reads;
  double seconds; /* until everything had arrived */
  struct process_usage server[PROCESSES_MAX];
  uint64_t own_cpu_ns; /* of this process */
  uint64_t p50_ns, p90_ns, p99_ns, p999_ns, max_ns;
};

struct phase_context {
  struct poller *poller;
  struct publisher *publisher;
  struct deliveries *deliveries;
  const int *pids;
  size_t pid_count;
  double stall_seconds; /* without any delivery, the phase gives up what is in flight */
};

/* Begins and ends with nothing in flight, so that no cost is counted without its deliveries. */
void phase_run(const struct phase_context *context, const struct phase *phase, struct phase_result *result);

#endif
