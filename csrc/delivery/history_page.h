/* A part of a channel's history, for whoever asks for it: the app, or a client by the verb "history". */
#ifndef MOONWIRE_DELIVERY_HISTORY_PAGE_H
#define MOONWIRE_DELIVERY_HISTORY_PAGE_H

#include "delivery/form.h"
#include "hub/hub.h"

VISIBILITY_PUSH

struct history_page {
  const struct history *history; /* NULL: there is none */
  uint32_t first, count;
  bool more;       /* further ones lie between the ids that were given */
  bool from_first; /* what is dropped of it is dropped from its end */
  size_t bytes;    /* after history_page_fit: of the encoded messages */
};

struct history_query {
  struct since since;  /* SINCE_POSITION: what comes after, the oldest first; else the newest */
  struct since before; /* SINCE_POSITION: nothing from there on; SINCE_NONE: open; else nothing at all */
  size_t limit;        /* messages; 0: 100 */
};

/* Holds until the hub changes. */
struct history_page history_page_of(struct hub *hub, struct bytes channel, const struct history_query *query);
/* Encodes its messages in that form, each once for all who ask for it, and drops the farther ones of those that come to more bytes; one stays whatever its size.
 * MW_ENOMEM. */
int history_page_fit(struct history_page *page, const struct form_class *form, const struct epoch *epoch, size_t bytes);

VISIBILITY_POP

#endif
