/* What one subscriber must receive of one channel: every message once, in order. */
#ifndef MOONWIRE_BENCH_LOAD_LEDGER_H
#define MOONWIRE_BENCH_LOAD_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

struct faults {
  uint64_t lost;       /* never arrived, though a later message of the channel or the end did */
  uint64_t doubled;    /* arrived again */
  uint64_t disordered; /* arrived after a later message */
  uint64_t altered;    /* a changed byte, or the wrong channel */
  uint64_t closed;     /* connections that the server closed */
  uint64_t refused;    /* publishes that the server refused */
  uint64_t stalled;    /* times that nothing arrived though something was in flight */
  uint64_t invalid;    /* bytes that are not valid HTTP, WebSocket, or an event stream */
  char first[200];     /* states the first of them */
};

/* Zeroed: nothing has arrived. The first message begins it, because a subscriber does not receive
 * what was published before it subscribed. */
struct ledger {
  bool has_begun;
  uint32_t next;    /* the sequence that must come */
  uint64_t missing; /* bit i: the sequence next - 1 - i has not arrived */
};

/* Writes faults->first, if it is empty. */
#if defined(__GNUC__) || defined(__clang__)
__attribute__((format(printf, 2, 3)))
#endif
void faults_state(struct faults *faults, const char *format, ...);
/* Returns the sum of all counters. */
uint64_t faults_total(const struct faults *faults);

/* A message has arrived. `subscriber` is its number, for faults->first. Returns false if it is a
 * double. A message that is lost first and arrives later counts as disordered only. One that is
 * later than 64 others cannot be told from a double, and counts as one. */
bool ledger_take(struct ledger *ledger, uint32_t sequence, uint32_t subscriber, struct faults *faults);
/* All has arrived that will: `published` messages of the channel were published. */
void ledger_end(struct ledger *ledger, uint32_t published, uint32_t subscriber, struct faults *faults);

#endif
