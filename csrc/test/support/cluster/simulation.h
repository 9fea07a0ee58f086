/* A cluster in one process: three nodes, their clients, and a model of Redis. A seed decides all that
 * happens. What clients receive is compared with what was published. */
#ifndef MOONWIRE_TEST_SUPPORT_CLUSTER_SIMULATION_H
#define MOONWIRE_TEST_SUPPORT_CLUSTER_SIMULATION_H

#include "broker/broker.h"
#include "test/support/cluster/model_link.h"

enum { SIM_CHANNELS = 4, SIM_CLIENTS = 12, SIM_RING = 64 };

enum sim_fault {
  FAULT_CUT = 1,         /* connections are lost */
  FAULT_RESTART = 2,     /* Redis is restarted, and has kept everything */
  FAULT_PAUSE = 4,       /* Redis does not answer for a while */
  FAULT_KILL = 8,        /* nodes die, and others begin */
  FAULT_FULL = 16,       /* Redis has no memory for a while */
  FAULT_TRIM = 32,       /* somebody deletes a stream */
  FAULT_CLOCK = 64,      /* the clock of Redis is set back */
  FAULT_FAIL_OVER = 128, /* a replica is promoted that lacks the latest writes */
  FAULT_FLUSH = 256,     /* FLUSHALL */
  FAULT_STOP = 512,      /* a node is stopped for longer than it may be silent */
  FAULT_MEMORY = 1024,   /* an allocation fails */
  FAULT_EVICT = 2048     /* nodes keep little of what Redis does */
};

/* Runs a simulation, and fails the test if a client has missed something silently. */
void simulate(uint64_t seed, size_t steps, unsigned faults);

/* ---- sim_check.c: what was published, and what clients must receive --------------------------- */

struct sim_entry {
  size_t op;
  uint64_t position;
  unsigned epoch; /* ordinal */
  bool is_lost;   /* Redis has forgotten it */
  unsigned seen;  /* nodes that are alive, and have delivered or acknowledged it: a bit for each */
};

struct sim_log {
  struct sim_entry *entries;
  size_t count, capacity;
};

/* What a client expects of one channel. */
struct sim_expectation {
  size_t next;     /* index in the log */
  bool has_gap;    /* a gap was announced, so it may miss something */
  bool has_debt;   /* it has missed something, and a gap must follow */
  bool is_excused; /* of that gap: an epoch began, so it may have missed nothing */
};

struct sim_check {
  struct sim_log logs[SIM_CHANNELS];
  struct epoch epochs[4096];
  unsigned epoch_count;
  bool may_lose; /* Redis may forget */
  uint64_t seed;
  size_t delivered, gaps, false_gaps;
};

unsigned check_epoch(struct sim_check *check, const struct epoch *epoch);
void check_commit(struct sim_check *check, size_t channel, size_t op, uint64_t position, unsigned epoch);
/* Redis knows nothing after that. */
void check_lose(struct sim_check *check, unsigned epoch, uint64_t position);
void check_see(struct sim_check *check, size_t channel, size_t op, uint64_t position, size_t node);
void check_node_dies(struct sim_check *check, size_t node);
/* The client begins after that. */
void check_begin(struct sim_check *check, struct sim_expectation *expectation, size_t channel, unsigned epoch, uint64_t position);
void check_receive(struct sim_check *check, struct sim_expectation *expectation, size_t channel, size_t op, uint64_t position,
                   unsigned epoch);
void check_gap(struct sim_check *check, struct sim_expectation *expectation, bool is_excused);
/* Nothing follows. */
void check_end(struct sim_check *check, struct sim_expectation *expectation, size_t channel);

#endif
