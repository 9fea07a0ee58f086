#include "hub/hub.h"

#include <assert.h>

#include "base/status.h"
#include "hub/id.h"

/* As soon as that a client is acknowledged behind what was lost. */
enum { ROSTERS_LOST_SECONDS = 2 };

void hub_init(struct hub *hub, const struct clock *clock, const struct hub_bounds *bounds, hub_deliver_fn deliver) {
  *hub = (struct hub){.clock = clock,
                      .position = bounds->position,
                      .channels_max = bounds->channels,
                      .history_max = bounds->history,
                      .deliver = deliver};
  oldest_init(&hub->oldest);
  marks_init(&hub->marks, bounds->marks, bounds->position);
  atomic_init(&hub->late_bytes, 0);
  table_init(&hub->channels);
  list_init(&hub->all);
}

static void forget(struct hub *hub, struct channel *channel) {
  if (hub->on_forget) hub->on_forget(hub, channel);
  hub->history_bytes -= history_weight(&channel->history, 0);
  oldest_remove(&hub->oldest, channel);
  table_remove(&hub->channels, channel->name);
  channel_free(channel);
}

/* Frees a channel of which nothing is left but up to where its messages are gone: that becomes its mark. */
static void forget_unused(struct hub *hub, struct channel *channel) {
  if (channel->subscription_count > 0 || channel->history.count > 0 || channel->turn_count > 0) return;
  if (channel->promised > 0 || channel->roster) return;
  uint64_t evicted = channel->history.evicted;
  /* What is not above the floor tells no more than the floor does. */
  if (evicted > marks_floor(&hub->marks, channel->policy.kind) || channel->ended > 0)
    marks_put(&hub->marks, channel->name, channel->policy.kind, evicted, channel->ended > 0);
  forget(hub, channel);
}

void hub_deinit(struct hub *hub) {
  hub_end_turn(hub);
  while (!list_empty(&hub->all)) forget(hub, container_of(hub->all.next, struct channel, link));
  table_deinit(&hub->channels);
  oldest_deinit(&hub->oldest);
  marks_deinit(&hub->marks);
}

struct channel *hub_find(const struct hub *hub, struct bytes name) {
  return table_get(&hub->channels, name);
}

static int find_or_make(struct hub *hub, struct bytes name, const struct channel_policy *policy, struct channel **found) {
  struct channel *channel = hub_find(hub, name);
  if (!channel) {
    if (hub->channels.count >= hub->channels_max) return MW_ELIMIT;
    struct mark mark = marks_get(&hub->marks, name, policy->kind);
    channel = channel_new(name, policy, mark.position, &hub->late_bytes);
    if (!channel) return MW_ENOMEM;
    channel->ended = mark.is_final ? mark.position : 0;
    channel->floor = mark.is_floor ? mark.position : 0;
    if (table_set(&hub->channels, channel->name, channel) < 0) {
      channel_free(channel);
      return MW_ENOMEM;
    }
    list_append(&hub->all, &channel->link);
  }
  *found = channel;
  return 0;
}

/* Times of messages never go back, so neither does the time by which they expire, also if the clock is set back. */
static uint64_t time_of(const struct hub *hub) {
  uint64_t wall_ms = hub->clock->wall_ms, newest_ms = position_time_ms(hub->position);
  return wall_ms > newest_ms ? wall_ms : newest_ms;
}

static void expire(struct hub *hub, struct channel *channel) {
  uint64_t ttl = channel->policy.history_ttl_ms, before = history_weight(&channel->history, 0), now_ms = time_of(hub);
  if (ttl > 0 && now_ms > ttl) history_expire(&channel->history, now_ms - ttl);
  hub->history_bytes -= before - history_weight(&channel->history, 0);
}

uint64_t hub_history_bytes(const struct hub *hub) {
  return hub->history_bytes + atomic_load_explicit(&hub->late_bytes, memory_order_relaxed);
}

/* Lets the oldest messages of all go until the rest may be held. */
static void bound(struct hub *hub) {
  while (hub_history_bytes(hub) > hub->history_max) {
    struct channel *channel = oldest_top(&hub->oldest);
    if (!channel) return;
    hub->history_bytes -= history_weight(&channel->history, 0) - history_weight(&channel->history, 1);
    history_evict(&channel->history);
    hub->evicted++;
  }
}

/* Makes room for one more message beside those that have been promised a place. MW_ENOMEM. */
static int make_room(struct hub *hub, struct channel *channel) {
  if (channel->oldest_place == 0 && oldest_reserve(&hub->oldest, hub->promised + 1) < 0) return MW_ENOMEM;
  return history_reserve(&channel->history, channel->promised + 1, &channel->policy.history);
}

static void keep(struct hub *hub, struct channel *channel, struct message *message, bool was_promised) {
  struct history *history = &channel->history;
  hub->history_bytes -= history_weight(history, 0);
  if (channel->policy.history.size == 0) {
    history_pass(history, message->position);
  } else if ((!was_promised && make_room(hub, channel) < 0) || oldest_add(&hub->oldest, channel, message->position) < 0) {
    history_pass(history, message->position);
    hub->lost++;
  } else {
    history_push(history, message, &channel->policy.history);
  }
  hub->history_bytes += history_weight(history, 0);
  bound(hub);
}

int hub_subscribe(struct hub *hub, struct bytes name, const struct channel_policy *policy, struct subscription *subscription) {
  struct channel *channel;
  int status = find_or_make(hub, name, policy, &channel);
  if (status < 0) return status;
  status = channel_add(channel, subscription);
  if (status < 0) forget_unused(hub, channel);
  return status;
}

void hub_unsubscribe(struct hub *hub, struct subscription *subscription) {
  struct channel *channel = subscription->channel;
  if (!channel) return;
  channel_remove(channel, subscription);
  forget_unused(hub, channel);
}

/* ---- Publishing ------------------------------------------------------------------------------------------------------------ */

int hub_promise(struct hub *hub, struct message *message, const struct channel_policy *policy) {
  struct channel *channel;
  if (policy->history.size == 0) return 0;
  int status = find_or_make(hub, message->parts.channel, policy, &channel);
  if (status < 0) return status;
  if (make_room(hub, channel) < 0) {
    forget_unused(hub, channel);
    return MW_ENOMEM;
  }
  if (channel->promised++ == 0) hub->promised++;
  message->promised = channel;
  return 0;
}

/* The channel that waits for the message no longer, or NULL if it was promised none. */
static struct channel *take_promise(struct hub *hub, struct message *message) {
  struct channel *channel = message->promised;
  message->promised = NULL;
  if (channel && --channel->promised == 0) hub->promised--;
  return channel;
}

void hub_break_promise(struct hub *hub, struct message *message) {
  struct channel *channel = take_promise(hub, message);
  if (channel) forget_unused(hub, channel);
}

static int append_to_turn(struct hub *hub, struct channel *channel, struct message *message) {
  int status = channel_turn_append(channel, message);
  if (status == 0 && channel->turn_count == 1) {
    channel->next_in_turn = hub->in_turn;
    hub->in_turn = channel;
  }
  return status;
}

/* The channel that a message is for; NULL if it leaves nothing behind there but a mark, or nothing at all. */
static struct channel *channel_for(struct hub *hub, struct message *message, const struct channel_policy *policy) {
  struct channel *channel = hub_find(hub, message->parts.channel);
  if (channel || message->position == 0) return channel;
  if (policy->history.size > 0 && find_or_make(hub, message->parts.channel, policy, &channel) < 0) hub->lost++;
  if (!channel) marks_put(&hub->marks, message->parts.channel, policy->kind, message->position, message->parts.is_final);
  return channel;
}

void hub_publish(struct hub *hub, struct message *message, const struct channel_policy *policy) {
  if (message->position > 0) hub->position = message->position;
  struct channel *channel = take_promise(hub, message);
  bool was_promised = channel != NULL;
  if (!channel) channel = channel_for(hub, message, policy);
  if (!channel) return;
  if (message->position > 0) {
    keep(hub, channel, message, was_promised);
    expire(hub, channel);
    channel->ended = message->parts.is_final ? message->position : 0;
  }
  if (channel->subscription_count == 0) {
    forget_unused(hub, channel);
    return;
  }
  if (append_to_turn(hub, channel, message) < 0) {
    hub->lost++;
    message = NULL;
  }
  for (uint32_t i = 0; i < channel->subscription_count; i++) hub->deliver(channel->subscriptions[i], message);
  if (message) hub->delivered += channel->subscription_count;
}

/* ---- Rosters --------------------------------------------------------------------------------------------------------------- */

/* False if the roster is not what it should be. */
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
  int status = channel || batch->count == 0 ? 0 : find_or_make(hub, batch->channel, policy, &channel);
  bool is_kept = status == 0;
  if (is_kept && channel) {
    is_kept = apply(channel, batch);
    channel->roster_lost = !is_kept;
  }
  /* Who subscribes next would be told that nobody is there. A channel without a roster may be freed below, and forget it. */
  if (!is_kept && status != MW_ELIMIT && !(channel && channel->roster)) hub->rosters_lost = ROSTERS_LOST_SECONDS;
  if (batch->message) {
    hub_publish(hub, batch->message, policy);
  } else if (channel) {
    forget_unused(hub, channel);
  }
  return is_kept;
}

/* Such a client is cut off, and when it returns the script tells all members. */
static bool is_roster_lost(const struct hub *hub, const struct channel *channel) {
  bool has_roster = channel && channel->roster;
  return (channel && channel->roster_lost) || (!has_roster && hub->rosters_lost);
}

struct blob *hub_snapshot(const struct hub *hub, struct bytes name, bool counts_only, size_t most) {
  struct channel *channel = hub_find(hub, name);
  if (is_roster_lost(hub, channel)) return NULL;
  return roster_snapshot(channel ? channel->roster : NULL, counts_only, most);
}

bool hub_write_page(const struct hub *hub, struct bytes name, const struct roster_query *query, struct buffer *out) {
  const struct channel *channel = hub_find(hub, name);
  if (is_roster_lost(hub, channel)) return false;
  roster_write_page(channel ? channel->roster : NULL, query, out);
  return true;
}

/* ---- Turns and histories ---------------------------------------------------------------------------------------------------- */

void hub_end_turn(struct hub *hub) {
  while (hub->in_turn) {
    struct channel *channel = hub->in_turn;
    hub->in_turn = channel->next_in_turn;
    channel_turn_clear(channel);
    forget_unused(hub, channel);
  }
  bound(hub);
}

bool hub_complete(struct hub *hub, struct channel *channel, uint64_t since) {
  expire(hub, channel);
  uint64_t evicted = channel->history.evicted;
  if (since >= evicted) return true;
  if (evicted == channel->floor) hub->floor_gaps++;
  return false;
}

uint32_t hub_replay_from(struct hub *hub, struct channel *channel, bool has_since, uint64_t since) {
  expire(hub, channel);
  const struct history *history = &channel->history;
  if (has_since) return history_seek(history, since);
  uint32_t replay = channel->policy.replay;
  return history->count > replay ? history->count - replay : 0;
}

struct channel *hub_look(struct hub *hub, struct bytes name) {
  struct channel *channel = hub_find(hub, name);
  if (channel) expire(hub, channel);
  return channel;
}

uint64_t hub_ended(const struct hub *hub, struct bytes name) {
  const struct channel *channel = hub_find(hub, name);
  if (channel) return channel->ended;
  struct mark mark = marks_get(&hub->marks, name, 0);
  return mark.is_final ? mark.position : 0;
}

static void sweep_channel(struct hub *hub, struct channel *channel) {
  expire(hub, channel);
  forget_unused(hub, channel);
}

void hub_sweep(struct hub *hub, size_t budget) {
  if (budget > hub->channels.count) budget = hub->channels.count;
  for (; budget > 0; budget--) {
    struct channel *channel = container_of(hub->all.next, struct channel, link);
    list_remove(&channel->link);
    list_append(&hub->all, &channel->link);
    sweep_channel(hub, channel);
  }
}
