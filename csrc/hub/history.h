/* The newest messages of a channel, by position, and two positions up to which older ones are
 * missing: here, and everywhere. They differ only in the cache of a node of a cluster. */
#ifndef MOONWIRE_HUB_HISTORY_H
#define MOONWIRE_HUB_HISTORY_H

#include "hub/message.h"

VISIBILITY_PUSH

struct history_entry {
  struct message *message; /* one reference */
  /* total weight of all earlier entries, so that the weight of a range is a difference; modulo 2^64,
   * because older messages can be added before the first one */
  uint64_t before;
};

struct history {
  struct history_entry *ring; /* the capacity is a power of two; NULL before the first message */
  uint32_t capacity;
  uint32_t first; /* index of the oldest */
  uint32_t count;
  /* the highest position that was published and is not kept, or the floor that replaces it
   * (hub/marks.h) */
  uint64_t evicted;
  /* messages up to this position are kept nowhere; at most `evicted`. Between the two, they can be
   * fetched. Not used unless the store is a cache. */
  uint64_t gone;
  uint64_t weight;        /* total weight of all messages that were ever pushed */
  atomic_size_t *account; /* where messages count the forms that are encoded later */
};

/* How much is kept. */
struct history_bounds {
  uint32_t size;  /* messages; 0: none */
  uint64_t bytes; /* 0: no limit */
};

void history_init(struct history *history, uint64_t evicted, atomic_size_t *account);
void history_deinit(struct history *history);
/* Makes room for `count` further messages, so that history_push does not allocate. Returns 0 or
 * MW_ENOMEM. */
int history_reserve(struct history *history, uint32_t count, const struct history_bounds *bounds);
/* Adds the newest message, with a reference; its position is higher than all before. Evicts the
 * oldest messages that exceed the bounds; they are gone. If out of memory, or if the message alone
 * exceeds the bounds, it counts as evicted, so that a client that resumes from before it receives a
 * gap. */
void history_push(struct history *history, struct message *message, const struct history_bounds *bounds);
/* Adds a message before the oldest one, with a reference; there is none between the two in the
 * channel. Returns 0, MW_ELIMIT if it has no room within the bounds, or MW_ENOMEM. */
int history_prepend(struct history *history, struct message *message, const struct history_bounds *bounds);
/* Records that messages up to the position, which is not below that of any before, are not kept
 * anywhere. Evicts all. */
void history_pass(struct history *history, uint64_t position);
/* The same, for messages that are not kept here. */
void history_miss(struct history *history, uint64_t position);
/* Records that messages up to the position are gone. Evicts those that are kept. */
void history_lose(struct history *history, uint64_t position);
/* Evicts the oldest message. There must be one. It is not gone. */
void history_evict(struct history *history);
/* Evicts the messages that were published before that time; they are gone. */
void history_expire(struct history *history, uint64_t before_ms);
/* Returns the index of the first message after `position`, or count. */
uint32_t history_seek(const struct history *history, uint64_t position);
/* Borrowed; index < count. */
struct message *history_at(const struct history *history, uint32_t index);
/* Returns the index after the last message up to `position`, because a hub may not have received
 * them all. */
static inline uint32_t history_end(const struct history *history, uint64_t position) {
  bool has_seen_all = history->count == 0 || history_at(history, history->count - 1)->position <= position;
  return has_seen_all ? history->count : history_seek(history, position);
}
/* Returns the highest position that was published here, or the floor that replaces it
 * (`evicted`). */
uint64_t history_newest(const struct history *history);
/* Returns the weight of the messages from `index` on. */
uint64_t history_weight(const struct history *history, uint32_t index);
/* Returns the lowest index from which at most `count` messages with at most `bytes` follow. The
 * newest message is always among them. */
uint32_t history_tail(const struct history *history, uint32_t count, uint64_t bytes);

VISIBILITY_POP

#endif
