#include "delivery/fetching.h"

enum {
  WAITS_MAX = 16, /* for how many turns a subscriber waits until its hub has received what was published */
  TRIES_MAX = 4   /* pages that were fetched, and evicted before they were read */
};

static bool is_ahead(const struct subscriber *subscriber, const struct catchup *catchup) {
  const struct hub *hub = subscriber->sink->delivery->hub;
  for (size_t i = 0; i < catchup->count; i++) {
    const struct catchup_source *source = &catchup->sources[i];
    if (store_is_ahead(hub->store, source->subscription->channel->stored, source->after, hub->position)) return true;
  }
  return false;
}

static void skip(struct catchup *catchup, struct catchup_source *source, uint64_t position) {
  source->after = position;
  source->subscription->mark |= CATCHUP_GAP;
  catchup->has_gap = true;
}

/* Messages after the source's position are in the broker only. Returns true if it waits for them. */
static bool await(struct catchup *catchup, struct catchup_source *source) {
  struct channel *channel = source->subscription->channel;
  uint64_t evicted = channel->stored->history.evicted;
  if (!channel->is_fetching) {
    if (evicted < source->wanted) source->tries = 0;
    if (source->tries == TRIES_MAX) {
      skip(catchup, source, evicted);
      return false;
    }
    source->asks = true;
    source->wanted = evicted;
    source->tries++;
  }
  source->subscription->mark |= CATCHUP_FETCHES;
  return true;
}

/* Returns true if the source waits. What is later than the hub's position is delivered, or kept until
 * it is read. */
static bool look_into(const struct hub *hub, struct catchup *catchup, struct catchup_source *source) {
  struct stored *stored = source->subscription->channel->stored;
  enum store_has has = STORE_HAS_ALL;
  while (source->after < hub->position && (has = store_complete(hub->store, stored, source->after)) == STORE_HAS_GAP)
    skip(catchup, source, store_gone(hub->store, stored));
  return has == STORE_MUST_FETCH && await(catchup, source);
}

/* While it is not known whether a source has a gap, nothing may be pushed: a client that is
 * disconnected after that resumes from there. One turn is enough, unless the store is ahead again; a
 * worker that does not keep up tells a gap, perhaps of what is still to come. */
enum catchup_step fetching_look(struct subscriber *subscriber, struct catchup *catchup) {
  const struct hub *hub = subscriber->sink->delivery->hub;
  bool fetches = false;
  if (catchup->waits < WAITS_MAX && is_ahead(subscriber, catchup)) {
    catchup->waits++;
    return CATCHUP_NEXT_TURN;
  }
  catchup->waits = 0;
  for (size_t i = 0; i < catchup->count; i++) fetches = look_into(hub, catchup, &catchup->sources[i]) || fetches;
  return fetches ? CATCHUP_WAITS : CATCHUP_GOES_ON;
}

/* Asks for a page of the channel up to `until`, unless one is on its way. Returns false if that fails. */
static bool ask(struct delivery *delivery, struct channel *channel, uint64_t until) {
  if (channel->is_fetching) return true;
  channel->is_fetching = delivery->fetch && delivery->fetch(delivery->fetch_context, channel->name, until) == 0;
  return channel->is_fetching;
}

void fetching_ask(struct subscriber *subscriber, struct catchup *catchup) {
  for (size_t i = 0; i < catchup->count; i++) {
    struct catchup_source *source = &catchup->sources[i];
    if (!source->asks) continue;
    source->asks = false;
    if (!ask(subscriber->sink->delivery, source->subscription->channel, source->wanted)) subscriber_break(subscriber);
  }
}

void delivery_fetched(struct delivery *delivery, struct bytes name, int status) {
  struct channel *channel = hub_find(delivery->hub, name);
  if (!channel || !channel->is_fetching) return;
  channel->is_fetching = false;
  for (uint32_t i = 0; i < channel->subscription_count; i++) {
    struct subscription *subscription = channel->subscriptions[i];
    if (!(subscription->mark & CATCHUP_FETCHES)) continue;
    subscription->mark &= ~(uint32_t)CATCHUP_FETCHES;
    if (status < 0) {
      subscriber_break(subscription_owner(subscription));
    } else {
      subscriber_mark(subscription_owner(subscription));
    }
  }
}
