/* Which channel keeps the oldest message of all: a heap by what each one's oldest was when it was last looked at. That only ever gets
 * newer, so an entry that is out of date stands too near to the top, and is set right when it is met there: publishing costs nothing. */
#ifndef MOONWIRE_HUB_OLDEST_H
#define MOONWIRE_HUB_OLDEST_H

#include <stdint.h>

#include "base/visibility.h"

VISIBILITY_PUSH

struct stored;

struct oldest {
  struct stored **heap;
  uint32_t count, capacity;
};

void oldest_init(struct oldest *oldest);
void oldest_deinit(struct oldest *oldest); /* there must be no channel in it */
/* Makes room for that many channels more than there are. MW_ENOMEM. */
int oldest_reserve(struct oldest *oldest, uint32_t count);
/* A channel is about to keep a message of that position, and all that is kept elsewhere is older. Does nothing if it is in. MW_ENOMEM. */
int oldest_add(struct oldest *oldest, struct stored *stored, uint64_t position);
void oldest_remove(struct oldest *oldest, struct stored *stored); /* does nothing if it is not in */
/* The channel whose oldest message is the oldest of all, or NULL. */
struct stored *oldest_top(struct oldest *oldest);

VISIBILITY_POP

#endif
