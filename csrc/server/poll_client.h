/* A client that lasts from poll to poll (GET /poll?client=): a connection without a peer, so that it is subscribed, present, found and sent to as
 * any other. Its messages are read from the histories by each poll's own `since`; what no history has is collected for the next poll. */
#ifndef MOONWIRE_SERVER_POLL_CLIENT_H
#define MOONWIRE_SERVER_POLL_CLIENT_H

#include "server/exchange.h"
#include "server/poll.h"

VISIBILITY_PUSH

struct poll_client {
  struct exchange *exchange;
  struct list polls;       /* that are under way for it, the newest last */
  struct poll *waiting;    /* at most one waits: an older one is answered when another comes */
  struct poll_items items; /* what goes out with the next */
  bool is_over;            /* to be closed at the end of the turn */
};

/* Marks subscriptions that a query asked for: they end when a later one does not. */
enum { POLL_ASKED = 1 << 8 };

/* Makes one for the client that the errand has connected. NULL without memory. */
struct poll_client *poll_client_new(struct worker *worker, struct errand *errand);
/* The one of that id, or NULL. */
struct poll_client *poll_client_find(struct worker *worker, struct bytes id);
struct mw_client *poll_client_identity(const struct poll_client *client); /* borrowed */
/* A poll is for it, or is over. */
void poll_client_attach(struct poll_client *client, struct poll *poll);
void poll_client_detach(struct poll *poll);
/* Joins the channels that the poll asks for, leaves others, and lets the poll begin when that is done. */
void poll_client_join(struct poll *poll);
/* A channel was joined, or not, as the text says. */
void poll_client_on_reply(struct poll *poll, const char *code, struct bytes text);
/* Lets it end, with the turn. */
void poll_client_end(struct poll_client *client);

VISIBILITY_POP

#endif
