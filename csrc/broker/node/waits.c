/* Interests that wait for their channels, and fetches that wait for a position. */
#include "broker/node/node.h"

/* The interests in all of its channels end. */
static void wait_fail(struct broker *broker, struct wait *wait, int status) {
  wait_end(broker, wait, status);
  for (size_t i = 0; i < wait->count; i++) channel_drop_user(broker, wait->entries[i].channel);
}

/* Both lists are in the order of their deadlines, because all wait for the same time. */
void waits_expire(struct broker *broker, bool all, int status) {
  struct list *lists[] = {&broker->waits, &broker->reaching};
  for (size_t i = 0; i < 2; i++) {
    while (!list_empty(lists[i])) {
      struct wait *wait = container_of(lists[i]->next, struct wait, link);
      if (!all && wait->due_ms > broker->now_ms) break;
      wait_fail(broker, wait, status);
    }
  }
}

static void end_reached(struct broker *broker) {
  for (struct list *link = broker->reaching.next, *next; link != &broker->reaching; link = next) {
    next = link->next;
    struct wait *wait = container_of(link, struct wait, link);
    if (wait->position <= broker->position || wait->bell <= broker->bell_heard) wait_end(broker, wait, 0);
  }
}

void waits_settle(struct broker *broker) {
  end_reached(broker);
  while (!list_empty(&broker->ended_waits)) {
    struct wait *wait = container_of(broker->ended_waits.next, struct wait, link);
    list_remove(&wait->link);
    if (wait->on_done) wait->on_done(wait->context, wait->status);
    memory_free(wait);
  }
}

/* ---- The public functions --------------------------------------------------------------------- */

int broker_reach(struct broker *broker, uint64_t position, void (*on_done)(void *context, int status), void *context) {
  if (broker->is_stopped) return MW_ECLOSED;
  if (position <= broker->position) return 0;
  struct wait *wait = wait_new(broker, 0, on_done, context);
  if (!wait) return MW_ENOMEM;
  wait->position = position;
  wait->bell = broker->bell_wanted = broker->bell_number + 1;
  if (!broker->bell_is_sent) broker->bell_due_ms = broker->now_ms;
  list_append(&broker->reaching, &wait->link);
  return MW_PENDING;
}

/* Releases what was made for the first `count` channels. */
static void undo_interest(struct broker *broker, struct wait *wait, size_t count) {
  for (size_t i = 0; i < count; i++) channel_drop_user(broker, wait->entries[i].channel);
  memory_free(wait);
}

static int declare(struct broker *broker, struct wait *wait, const struct broker_interest *interests) {
  for (size_t i = 0; i < wait->count; i++) {
    struct channel_link *channel = channels_find_or_make(broker, &interests[i]);
    if (!channel) {
      undo_interest(broker, wait, i);
      return MW_ENOMEM;
    }
    channel_add_user(broker, channel);
    wait->entries[i].channel = channel;
    if (interests[i].roster > channel->roster) {
      channel->roster = interests[i].roster;
      channel->has_roster = false;
      roster_need(broker, channel);
    }
    if (!channel_is_ready(channel)) wait->left++;
  }
  return 0;
}

int broker_interest(struct broker *broker, const struct broker_interest *channels, size_t count,
                    void (*on_done)(void *context, int status), void *context) {
  if (broker->is_stopped) return MW_ECLOSED;
  struct wait *wait = wait_new(broker, count, on_done, context);
  if (!wait) return MW_ENOMEM;
  int status = declare(broker, wait, channels);
  if (status < 0) return status;
  if (wait->left == 0) {
    memory_free(wait);
    wait = NULL;
  }
  for (size_t i = 0; wait && i < count; i++) {
    struct wait_entry *entry = &wait->entries[i];
    if (!channel_is_ready(entry->channel)) list_append(&entry->channel->waits, &entry->link);
  }
  if (wait) list_append(&broker->waits, &wait->link);
  channels_step(broker);
  rosters_step(broker);
  return wait ? MW_PENDING : 0;
}

void broker_end_interest(struct broker *broker, struct bytes name) {
  struct channel_link *channel = channels_find(broker, name);
  if (channel && channel->users > 0) channel_drop_user(broker, channel);
}
