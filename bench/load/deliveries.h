/* What was published, what of it is in flight, and what has arrived. */
#ifndef MOONWIRE_BENCH_LOAD_DELIVERIES_H
#define MOONWIRE_BENCH_LOAD_DELIVERIES_H

#include "base/bytes.h"
#include "load/histogram.h"
#include "load/ledger.h"
#include "load/mark.h"

enum { IN_FLIGHT_MAX = 1 << 18 }; /* messages; a power of two */

struct deliveries {
  uint32_t channels;
  uint32_t *subscribers; /* of each channel */
  uint64_t published;    /* messages; number i is message i / channels of channel i % channels */
  uint64_t awaited_from; /* messages before this one are not awaited */
  uint32_t *awaited;     /* how often message i is to arrive still, at i % IN_FLIGHT_MAX */
  uint64_t in_flight;    /* messages that are awaited */

  uint64_t count;   /* deliveries */
  uint64_t begun;   /* subscribers that have received anything */
  uint64_t now_ns;  /* when the current input was read */
  uint64_t last_ns; /* when the last delivery was read */
  bool is_measured; /* latencies are added to the histogram */
  struct histogram latency;
  struct faults faults;
};

/* Subscriber i belongs to channel i % channels. */
void deliveries_init(struct deliveries *deliveries, uint32_t subscribers, uint32_t channels);
void deliveries_deinit(struct deliveries *deliveries);

/* Returns the mark of the next message, except its size and time. `is_awaited`: it is in flight until
 * each subscriber of its channel has it. */
struct mark deliveries_publish(struct deliveries *deliveries, bool is_awaited);
/* Takes every payload in a text that a subscriber of `channel` has received. */
void deliveries_take(struct deliveries *deliveries, struct ledger *ledger, uint32_t subscriber, uint32_t channel,
                     struct bytes text);
/* Stops awaiting what is in flight. */
void deliveries_give_up(struct deliveries *deliveries);
/* Returns how many messages of the channel were published. */
uint32_t deliveries_published(const struct deliveries *deliveries, uint32_t channel);

#endif
