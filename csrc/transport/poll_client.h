/* A client that lasts from poll to poll (GET /poll?client=): a connection without a peer, so that it is subscribed, present, found and sent to as
 * any other. Its messages are read from the histories by each poll's own `since`; what no history has is collected for the next poll. */
#ifndef MOONWIRE_TRANSPORT_POLL_CLIENT_H
#define MOONWIRE_TRANSPORT_POLL_CLIENT_H

#include "app/party.h"
#include "http/exchange.h"
#include "transport/poll.h"

VISIBILITY_PUSH

/* A channel that has ended, and was left for that. Until the client has seen the end, its polls read it. */
struct poll_left {
  uint64_t ended; /* the position of its last message */
  bool asked;     /* a query asked for it: it is not joined again before it begins anew */
  struct bytes name;
  char text[];
};

struct poll_client {
  struct exchange *exchange;
  struct list polls;       /* that are under way for it, the newest last */
  struct poll *waiting;    /* at most one waits: an older one is answered when another comes */
  struct poll_items items; /* what goes out with the next */
  struct poll_left **left; /* at most limits.client_channels */
  size_t left_count;
  uint32_t left_capacity;
  struct party *party; /* whom it and its channels are charged to (PARTY_POLLS); NULL: nobody */
  size_t charged;      /* how many that are */
  bool has_ends;       /* a channel has ended: to be left at the end of the turn */
  bool is_over;        /* to be closed at the end of the turn */
};

/* Marks subscriptions that a query asked for: they end when a later one does not. */
enum { POLL_ASKED = 1 << 8 };

/* True if one more from that address, or one of its clients, may be in `count` more channels: limits.address_polls. */
bool poll_client_allowed(struct http *http, const char *remote, size_t count);
/* Its channels have changed: charges for as many as they are now. MW_ELIMIT, MW_ENOMEM: not for more than before. */
int poll_client_charge(struct poll_client *client);
/* Makes one for the client that the job has connected. MW_ELIMIT, MW_ENOMEM. */
int poll_client_new(struct http *http, struct script_job *job, struct poll_client **client);
/* The one of that id, or NULL. */
struct poll_client *poll_client_find(struct http *http, struct bytes id);
struct mw_client *poll_client_identity(const struct poll_client *client); /* borrowed */
/* A poll is for it, or is over. */
void poll_client_attach(struct poll_client *client, struct poll *poll);
void poll_client_detach(struct poll *poll);
/* Joins the channels that the poll asks for, leaves others, and lets the poll begin when that is done. */
void poll_client_join(struct poll *poll);
/* A channel was joined, and this is told of it; NULL: it was joined already. */
void poll_client_joined(struct poll *poll, const struct rope *told);
/* Channels that the poll asks for, and that have begun anew since they were left, are gaps of its answer. */
void poll_client_tell_restarts(const struct poll *poll, struct poll_answer *answer);
/* A verb of the client's, or the app, has subscribed it to a channel: if that has ended the client is told so, and it is over. */
void poll_client_subscribed(struct poll_client *client, struct bytes channel);
/* Lets it end, with the turn. */
void poll_client_end(struct poll_client *client);

VISIBILITY_POP

#endif
