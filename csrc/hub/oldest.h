/* Finds the channel that keeps the oldest message of all. It is a heap by the oldest message of
 * each channel at the time when it was last checked. That position only increases, so an outdated
 * entry is too close to the top, and is corrected when it gets there. So publishing costs
 * nothing. Older messages that a broker hands in are no exception: they count as new (stored->fetched).
 */
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
void oldest_deinit(struct oldest *oldest); /* It must be empty. */
/* Makes room for that many further channels. Returns 0 or MW_ENOMEM. */
int oldest_reserve(struct oldest *oldest, uint32_t count);
/* Adds a channel that is about to keep a message of that position. Does nothing if it was added before. Returns 0 or MW_ENOMEM. */
int oldest_add(struct oldest *oldest, struct stored *stored, uint64_t position);
/* Does nothing if it was not added. */
void oldest_remove(struct oldest *oldest, struct stored *stored);
/* Returns the channel with the oldest message of all, or NULL. */
struct stored *oldest_top(struct oldest *oldest);

VISIBILITY_POP

#endif
