#include "load/deliveries.h"

#include <inttypes.h>
#include <stdlib.h>

#include "net/poller.h"

void deliveries_init(struct deliveries *deliveries, uint32_t subscribers, uint32_t channels) {
  *deliveries = (struct deliveries){.channels = channels};
  deliveries->subscribers = calloc(channels, sizeof(uint32_t));
  deliveries->awaited = calloc(IN_FLIGHT_MAX, sizeof(uint32_t));
  if (!deliveries->subscribers || !deliveries->awaited) die("out of memory");
  for (uint32_t i = 0; i < subscribers; i++) deliveries->subscribers[i % channels]++;
}

void deliveries_deinit(struct deliveries *deliveries) {
  free(deliveries->subscribers);
  free(deliveries->awaited);
}

struct mark deliveries_publish(struct deliveries *deliveries, bool is_awaited) {
  uint64_t number = deliveries->published++;
  uint32_t channel = (uint32_t)(number % deliveries->channels);
  uint32_t *awaited = &deliveries->awaited[number % IN_FLIGHT_MAX];
  if (*awaited > 0) die("the server falls behind: %d messages are in flight; use a lower rate", IN_FLIGHT_MAX);
  if (is_awaited) {
    *awaited = deliveries->subscribers[channel];
    deliveries->in_flight++;
  }
  return (struct mark){.channel = channel, .sequence = (uint32_t)(number / deliveries->channels)};
}

static void deliveries_count(struct deliveries *deliveries, const struct mark *mark) {
  uint64_t number = (uint64_t)mark->sequence * deliveries->channels + mark->channel;
  uint32_t *awaited = &deliveries->awaited[number % IN_FLIGHT_MAX];
  deliveries->count++;
  deliveries->last_ns = deliveries->now_ns;
  if (deliveries->is_measured)
    histogram_add(&deliveries->latency, deliveries->now_ns > mark->due_ns ? deliveries->now_ns - mark->due_ns : 0);
  if (number >= deliveries->awaited_from && *awaited > 0 && --*awaited == 0) deliveries->in_flight--;
}

static bool is_published(const struct deliveries *deliveries, const struct mark *mark) {
  return mark->sequence < deliveries_published(deliveries, mark->channel);
}

void deliveries_take(struct deliveries *deliveries, struct ledger *ledger, uint32_t subscriber, uint32_t channel,
                     struct bytes text) {
  struct faults *faults = &deliveries->faults;
  struct mark mark;
  enum mark_found found;
  while ((found = mark_next(&text, &mark)) != MARK_NONE) {
    if (found == MARK_FOREIGN) continue;
    if (found == MARK_ALTERED || mark.channel != channel || !is_published(deliveries, &mark)) {
      faults_state(faults, "subscriber %" PRIu32 ": %s", subscriber,
                   found == MARK_ALTERED ? "an altered payload" : "a message of another channel");
      faults->altered++;
      continue;
    }
    if (!ledger->has_begun) deliveries->begun++;
    if (ledger_take(ledger, mark.sequence, subscriber, faults)) deliveries_count(deliveries, &mark);
  }
}

void deliveries_give_up(struct deliveries *deliveries) {
  memset(deliveries->awaited, 0, IN_FLIGHT_MAX * sizeof(uint32_t));
  deliveries->awaited_from = deliveries->published;
  deliveries->in_flight = 0;
}

uint32_t deliveries_published(const struct deliveries *deliveries, uint32_t channel) {
  uint64_t rounds = deliveries->published / deliveries->channels;
  return (uint32_t)rounds + (channel < deliveries->published % deliveries->channels ? 1 : 0);
}
