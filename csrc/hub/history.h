/* The newest messages of a channel, in order of position, and the mark of what is no longer there. */
#ifndef MOONWIRE_HUB_HISTORY_H
#define MOONWIRE_HUB_HISTORY_H

#include "hub/message.h"

VISIBILITY_PUSH

struct history_entry {
  struct message *message; /* a reference */
  uint64_t before;         /* the weight of all that was kept before it, so that the weight of any part is a difference */
};

struct history {
  struct history_entry *ring; /* a power of two of places; NULL while nothing was kept */
  uint32_t capacity;
  uint32_t first; /* the place of the oldest */
  uint32_t count;
  uint64_t evicted; /* the highest position that was published here and is not kept, or what stands in for it (hub/marks.h) */
  uint64_t weight;  /* of all that was ever kept, as it came */
  atomic_size_t *account; /* where its messages count what is encoded of them later */
};

/* How much is kept. */
struct history_bounds {
  uint32_t size;  /* messages; 0: none */
  uint64_t bytes; /* 0: any number */
};

void history_init(struct history *history, uint64_t evicted, atomic_size_t *account);
void history_deinit(struct history *history);
/* Makes places for as many further messages, so that history_push needs no memory for them. MW_ENOMEM. */
int history_reserve(struct history *history, uint32_t count, const struct history_bounds *bounds);
/* Keeps a reference to the newest message, of a higher position than all before; lets the oldest go that are out of bounds. Without
 * memory, or if it is out of bounds by itself, the message counts as evicted, so that whoever returns is told. */
void history_push(struct history *history, struct message *message, const struct history_bounds *bounds);
/* The message, of a higher position than all before, is not kept; nor can be what is older. */
void history_pass(struct history *history, uint64_t position);
/* Lets the oldest go; there must be one. */
void history_evict(struct history *history);
/* Lets go what was published before that time. */
void history_expire(struct history *history, uint64_t before_ms);
/* The index of the first message after `position`; count if there is none. */
uint32_t history_seek(const struct history *history, uint64_t position);
struct message *history_at(const struct history *history, uint32_t index); /* borrowed; index < count */
/* The index after the last message up to `position`, which is that of a hub that may not have seen them all. */
static inline uint32_t history_end(const struct history *history, uint64_t position) {
  bool has_seen_all = history->count == 0 || history_at(history, history->count - 1)->position <= position;
  return has_seen_all ? history->count : history_seek(history, position);
}
/* The highest position that was published here, or what stands in for it (`evicted`). */
uint64_t history_newest(const struct history *history);
/* What the messages from `index` on weigh. */
uint64_t history_weight(const struct history *history, uint32_t index);
/* The lowest index from which on at most `count` messages of at most `bytes` lie; the newest is in any case among them. */
uint32_t history_tail(const struct history *history, uint32_t count, uint64_t bytes);

VISIBILITY_POP

#endif
