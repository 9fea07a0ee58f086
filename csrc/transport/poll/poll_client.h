/* A client that lasts from poll to poll (GET /poll?client=): a subscriber with a session, and no connection. It is subscribed, present, found and
 * sent to as any other. Its messages are read from the histories by each poll's own `since`; what no history has is collected for the next poll. */
#ifndef MOONWIRE_TRANSPORT_POLL_POLL_CLIENT_H
#define MOONWIRE_TRANSPORT_POLL_POLL_CLIENT_H

#include "app/party.h"
#include "session/session.h"
#include "transport/poll/poll.h"

VISIBILITY_PUSH

/* A worker's, and what their subscribers receive by. */
struct poll_clients {
  struct list busy, idle; /* with polls under way, or none; of the idle the one that is due first is first */
  size_t count;
  struct http_sink sink;
  struct http_sink alone; /* of polls that stand for themselves */
};

/* A channel that has ended, and was left for that. Until the client has seen the end, its polls read it. */
struct poll_left {
  uint64_t ended; /* the position of its last message */
  bool asked;     /* a query asked for it: it is not joined again before it begins anew */
  struct bytes name;
  char text[];
};

struct poll_client {
  struct subscriber subscriber;
  struct session session;
  uint32_t slot;
  struct list link;        /* among those of its worker */
  uint64_t due_ms;         /* when it has gone, if it is idle */
  struct list polls;       /* that are under way for it, the newest last */
  struct poll *waiting;    /* at most one waits: an older one is answered when another comes */
  struct poll_items items; /* what goes out with the next */
  struct poll_left **left; /* at most limits.client_channels */
  size_t left_count;
  uint32_t left_capacity;
  struct party *party; /* whom it and its channels are charged to (PARTY_POLLS); NULL: nobody */
  size_t charged;      /* how many that are */
  bool has_ends;       /* a channel has ended: to be left at the end of the turn */
  bool is_closing;     /* to be closed at the end of the turn */
  bool is_late;        /* it has not polled in time */
  bool is_closed;      /* it has left everything, and is freed at the end of the turn */
};

/* `dialect` is how they speak. */
void poll_clients_init(struct poll_clients *clients, struct http *http, const struct dialect *dialect);
/* Closes those that have not polled in time. Called once a second. */
void poll_clients_expire(struct poll_clients *clients);
/* The server stops: closes all of them; unless is_due, those whose messages are being handled are closed when that is done. */
void poll_clients_stop(struct poll_clients *clients, bool is_due);

/* True if one more from that address, or one of its clients, may be in `count` more channels: limits.address_polls. */
bool poll_client_allowed(struct http *http, const char *remote, size_t count);
/* Its channels have changed: charges for as many as they are now. MW_ELIMIT, MW_ENOMEM: not for more than before. */
int poll_client_charge(struct poll_client *client);
/* Makes one for the client that the job has connected. MW_ELIMIT, MW_ENOMEM. */
int poll_client_new(struct http *http, struct script_job *job, struct poll_client **client);
/* Returns the one of that id, or NULL. */
struct poll_client *poll_client_find(struct http *http, struct bytes id);
/* A poll is for it, or is over. */
void poll_client_attach(struct poll_client *client, struct poll *poll);
void poll_client_detach(struct poll *poll);
/* Lets it end, with the turn. */
void poll_client_end(struct poll_client *client);

VISIBILITY_POP

#endif
