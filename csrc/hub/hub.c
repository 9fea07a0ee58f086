#include "hub/hub.h"

#include "base/status.h"

/* Within this time, a client is disconnected that was acknowledged after members were lost. */
enum { ROSTERS_LOST_SECONDS = 2 };

void hub_init(struct hub *hub, struct store *store, hub_deliver_fn deliver) {
  *hub = (struct hub){.store = store, .deliver = deliver, .position = store->position};
  table_init(&hub->channels);
  list_init(&hub->all);
}

static void hub_forget(struct hub *hub, struct channel *channel) {
  struct stored *stored = channel->stored;
  table_remove(&hub->channels, channel->name);
  channel_free(channel);
  store_release(hub->store, stored);
}

static void hub_forget_unused(struct hub *hub, struct channel *channel) {
  if (channel->subscription_count == 0 && channel->turn_count == 0 && !channel->roster) hub_forget(hub, channel);
}

void hub_deinit(struct hub *hub) {
  hub_end_turn(hub);
  while (!list_empty(&hub->all)) hub_forget(hub, container_of(hub->all.next, struct channel, link));
  table_deinit(&hub->channels);
}

struct channel *hub_find(const struct hub *hub, struct bytes name) {
  return table_get(&hub->channels, name);
}

static int hub_find_or_make(struct hub *hub, struct bytes name, const struct channel_policy *policy, struct channel **found) {
  struct stored *stored;
  *found = hub_find(hub, name);
  if (*found) policy_renew(&(*found)->policy, policy);
  if (*found) return 0;
  store_lock(hub->store); /* until the channel has read the policy */
  int status = store_acquire(hub->store, name, policy, &stored);
  struct channel *channel = status == 0 ? channel_new(stored) : NULL;
  store_unlock(hub->store);
  if (status < 0) return status;
  if (!channel || table_set(&hub->channels, channel->name, channel) < 0) {
    if (channel) channel_free(channel);
    store_release(hub->store, stored);
    return MW_ENOMEM;
  }
  list_append(&hub->all, &channel->link);
  *found = channel;
  return 0;
}

int hub_subscribe(struct hub *hub, struct bytes name, const struct channel_policy *policy, struct subscription *subscription) {
  struct channel *channel;
  int status = hub_find_or_make(hub, name, policy, &channel);
  if (status < 0) return status;
  status = channel_add(channel, subscription);
  if (status < 0) {
    hub_forget_unused(hub, channel);
  } else {
    hub->subscription_count++;
    /* Relaxed, here and below: see struct stored. */
    atomic_fetch_add_explicit(&channel->stored->subscriber_count, 1, memory_order_relaxed);
  }
  return status;
}

void hub_unsubscribe(struct hub *hub, struct subscription *subscription) {
  struct channel *channel = subscription->channel;
  if (!channel) return;
  channel_remove(channel, subscription);
  hub->subscription_count--;
  atomic_fetch_sub_explicit(&channel->stored->subscriber_count, 1, memory_order_relaxed);
  hub_forget_unused(hub, channel);
}

/* ---- Publishing ------------------------------------------------------------------------------ */

static int append_to_turn(struct hub *hub, struct channel *channel, struct message *message) {
  int status = channel_turn_append(channel, message);
  if (status == 0 && channel->turn_count == 1) {
    channel->next_in_turn = hub->in_turn;
    hub->in_turn = channel;
  }
  if (status == 0) hub->turn_bytes += message_size(message);
  return status;
}

void hub_publish(struct hub *hub, struct message *message, const struct channel_policy *policy) {
  struct channel *channel = hub_find(hub, message->parts.channel);
  if (message->position > 0) {
    /* A store that is shared has it: it is put there before it is sent to the hubs. */
    bool is_put = hub->store->lock.is_shared || message->position <= hub->store->position;
    if (!is_put) store_put(hub->store, channel ? channel->stored : NULL, message, policy);
    hub->position = message->position;
  }
  if (!channel || channel->subscription_count == 0) return;
  policy_renew(&channel->policy, policy);
  if (append_to_turn(hub, channel, message) < 0) {
    hub->lost++;
    message = NULL;
  }
  for (uint32_t i = 0; i < channel->subscription_count; i++) hub->deliver(channel->subscriptions[i], message);
  if (message) hub->delivered += channel->subscription_count;
}

/* ---- Rosters --------------------------------------------------------------------------------- */

/* Returns false if the roster is incomplete. */
static bool apply(struct channel *channel, const struct roster_batch *batch) {
  if (batch->count == 0) {
    roster_free(channel->roster);
    channel->roster = NULL;
    return true;
  }
  if (!channel->roster) channel->roster = roster_new();
  bool applied = channel->roster && roster_apply(channel->roster, batch) == 0;
  return applied && (batch->is_whole || !channel->roster_lost);
}

bool hub_update_roster(struct hub *hub, const struct roster_batch *batch, const struct channel_policy *policy) {
  struct channel *channel = hub_find(hub, batch->channel);
  int status = channel || batch->count == 0 ? 0 : hub_find_or_make(hub, batch->channel, policy, &channel);
  bool is_kept = status == 0;
  if (is_kept && channel) {
    is_kept = apply(channel, batch);
    channel->roster_lost = !is_kept;
  }
  /* The next subscriber would receive an empty list of members. A channel without a roster may be
   * freed below, and then does not remember that. */
  if (!is_kept && status != MW_ELIMIT && !(channel && channel->roster)) hub->rosters_lost = ROSTERS_LOST_SECONDS;
  if (batch->message) hub_publish(hub, batch->message, policy);
  if (channel) hub_forget_unused(hub, channel);
  return is_kept;
}

/* Such a client is disconnected. When it reconnects, the script sends all members. */
static bool is_roster_lost(const struct hub *hub, const struct channel *channel) {
  bool has_roster = channel && channel->roster;
  return (channel && channel->roster_lost) || (!has_roster && hub->rosters_lost);
}

bool hub_roster(const struct hub *hub, struct bytes name, struct roster **roster) {
  struct channel *channel = hub_find(hub, name);
  *roster = channel ? channel->roster : NULL;
  return !is_roster_lost(hub, channel);
}

/* ---- A new epoch ----------------------------------------------------------------------------- */

void hub_restart(struct hub *hub, uint64_t position) {
  hub->position = position;
  for (struct list *link = hub->all.next; link != &hub->all; link = link->next) {
    struct channel *channel = container_of(link, struct channel, link);
    for (uint32_t i = 0; i < channel->subscription_count; i++) hub->deliver(channel->subscriptions[i], NULL);
  }
}

/* ---- Turns ----------------------------------------------------------------------------------- */

void hub_end_turn(struct hub *hub) {
  while (hub->in_turn) {
    struct channel *channel = hub->in_turn;
    hub->in_turn = channel->next_in_turn;
    channel_turn_clear(channel);
    hub_forget_unused(hub, channel);
  }
  hub->turn_bytes = 0;
  if (!hub->store->lock.is_shared) store_bound(hub->store);
}
