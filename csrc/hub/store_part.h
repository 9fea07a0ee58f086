/* What the files of the store have in common. Everything is called under its lock. */
#ifndef MOONWIRE_HUB_STORE_PART_H
#define MOONWIRE_HUB_STORE_PART_H

#include "hub/store.h"

VISIBILITY_PUSH

/* Finds the part of a channel, or makes it. Returns 0, MW_ENOMEM, or MW_ELIMIT, as store_acquire. */
int store_find_or_make(struct store *store, struct bytes name, const struct channel_policy *policy, struct stored **found);
/* Frees one of which only the position is left up to which its messages are missing. It becomes the
 * mark. */
void store_free_unused(struct store *store, struct stored *stored);
/* Expires old messages. */
void store_expire(struct store *store, struct stored *stored);
/* Makes room for one message more than those that were promised. Returns 0 or MW_ENOMEM. */
int store_make_room(struct store *store, struct stored *stored);
/* Keeps the newest message of a channel as its policy defines. `was_promised`: it has room. */
void store_keep(struct store *store, struct stored *stored, struct message *message, bool was_promised);

VISIBILITY_POP

#endif
