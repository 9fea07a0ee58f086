/* The newest messages of a channel, in order of position, and the mark of what is no longer there. */
#ifndef MOONWIRE_HUB_HISTORY_H
#define MOONWIRE_HUB_HISTORY_H

#include "hub/message.h"

VISIBILITY_PUSH

struct history {
  struct message **ring; /* a power of two of places; NULL while nothing was kept */
  uint32_t capacity;
  uint32_t first; /* the place of the oldest */
  uint32_t count;
  uint64_t evicted; /* the highest position that was published here and is not kept (or the hub's floor) */
};

void history_init(struct history *history, uint64_t evicted);
void history_deinit(struct history *history);
/* Keeps a reference to the newest message, of a higher position than all before; lets the oldest go above `size` messages. A size
 * of 0 keeps nothing and leaves the mark. Without memory the message counts as evicted, so that whoever returns is told. */
void history_push(struct history *history, struct message *message, uint32_t size);
/* Lets go what was published before that time. */
void history_expire(struct history *history, uint64_t before_ms);
/* The index of the first message after `position`; count if there is none. */
uint32_t history_seek(const struct history *history, uint64_t position);
struct message *history_at(const struct history *history, uint32_t index); /* borrowed; index < count */

VISIBILITY_POP

#endif
