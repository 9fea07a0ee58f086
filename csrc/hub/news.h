/* What has changed of a channel's members: the facts of an announcement (MESSAGE_PRESENCE), which
 * each dialect writes in its own way. Immutable once a message has it, and reference-counted. */
#ifndef MOONWIRE_HUB_NEWS_H
#define MOONWIRE_HUB_NEWS_H

#include <stdatomic.h>

#include "base/blob.h"

VISIBILITY_PUSH

struct news_change {
  struct blob *key;  /* the user id as a JSON string */
  struct blob *info; /* JSON; NULL: null */
  bool left;         /* false: it has joined */
};

struct news {
  atomic_uint refs;
  bool counts_only; /* who has joined or left is not announced */
  size_t count;     /* members after the changes */
  size_t texts_len; /* bytes of the changes' keys and infos */
  size_t change_count;
  struct news_change changes[]; /* in the order in which they happened */
};

/* Returns news with one reference, without changes and with room for `room`, or NULL if out of
 * memory. The caller sets the counts, and adds the changes. */
struct news *news_new(size_t room);
/* Adds a change, with references of its own. */
void news_add(struct news *news, struct blob *key, struct blob *info, bool left);
struct news *news_ref(struct news *news);
void news_unref(struct news *news); /* NULL is allowed */

VISIBILITY_POP

#endif
