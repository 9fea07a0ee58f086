/* Messages that a subscriber has not taken yet and that no history keeps, in the order in which
 * they came. Of messages that are put by their key, only the newest of each key is kept. */
#ifndef MOONWIRE_DELIVERY_LATEST_H
#define MOONWIRE_DELIVERY_LATEST_H

#include "base/list.h"
#include "base/table.h"
#include "hub/message.h"

VISIBILITY_PUSH

struct latest {
  struct table by_key;
  struct list all; /* oldest first */
  size_t bytes;    /* of all their texts, and LATEST_PLACE for each */
};

enum { LATEST_PLACE = 64 };

void latest_init(struct latest *latest);
void latest_deinit(struct latest *latest);
/* Keeps a message, a reference, in the place of an older one of the same channel and key;
 * `position` is where it stands among those with a position. True in *replaced if there was one.
 * MW_ENOMEM. */
int latest_put(struct latest *latest, struct message *message, uint64_t position, bool *replaced);
/* Keeps a reference to a message, regardless of its key. Returns 0 or MW_ENOMEM. */
int latest_append(struct latest *latest, struct message *message, uint64_t position);
/* Returns the oldest message, borrowed, and its place; NULL if there is none. */
struct message *latest_first(const struct latest *latest, uint64_t *position);
void latest_drop_first(struct latest *latest);
/* Drops all of one channel; how many there were. */
size_t latest_forget(struct latest *latest, struct bytes channel);

VISIBILITY_POP

#endif
