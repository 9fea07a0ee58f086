/* A part of a channel's history, for whoever asks for it: the app, or a client by the verb
 * "history". */
#ifndef MOONWIRE_DELIVERY_HISTORY_PAGE_H
#define MOONWIRE_DELIVERY_HISTORY_PAGE_H

#include "delivery/form.h"
#include "hub/hub.h"

VISIBILITY_PUSH

struct history_page {
  const struct history *history; /* NULL: the channel keeps none */
  uint32_t first, count;
  bool more;       /* further messages lie between the given ids */
  bool from_first; /* messages are dropped from its end */
  size_t bytes;    /* after history_page_fit: of the encoded messages */
};

struct history_query {
  struct since since; /* SINCE_POSITION: messages after it, the oldest first; else the newest */
  /* SINCE_POSITION: messages before it; SINCE_NONE: no bound; else no messages */
  struct since before;
  size_t limit; /* how many messages; 0: 100 */
};

/* Returns true if the store is a cache that lacks some of the page's messages. They are to be fetched
 * (delivery->fetch) up to *until. Fetch again while *until falls. Any thread. */
bool history_page_must_fetch(struct store *store, struct bytes channel, const struct history_query *query, uint64_t *until);
/* Returns the page that the query names, of messages up to `position`. It is valid as long as the
 * caller holds the lock of the store (store_lock), and changes nothing of the store. */
struct history_page history_page_until(struct store *store, uint64_t position, struct bytes channel,
                                       const struct history_query *query);
/* The same, of messages that the hub has received. */
static inline struct history_page history_page_of(struct hub *hub, struct bytes channel, const struct history_query *query) {
  return history_page_until(hub->store, hub->position, channel, query);
}
/* Encodes its messages in that form, each once for all who ask for it, and drops the farther ones
 * of those that come to more bytes; one stays whatever its size. MW_ENOMEM. */
int history_page_fit(struct history_page *page, const struct form_class *form, const struct epoch *epoch, size_t bytes);

VISIBILITY_POP

#endif
