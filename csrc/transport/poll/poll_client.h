/* A client that lasts from poll to poll (GET /poll?client=): a subscriber with a session, and
 * without a connection. It is subscribed, present, found, and sent to as any other. Each poll reads
 * messages from the histories by its own `since`; messages that no history has are collected for
 * the next poll. On the worker's thread. */
#ifndef MOONWIRE_TRANSPORT_POLL_POLL_CLIENT_H
#define MOONWIRE_TRANSPORT_POLL_POLL_CLIENT_H

#include "app/party.h"
#include "session/session.h"
#include "transport/poll/poll.h"

VISIBILITY_PUSH

/* The poll clients of a worker, and the sink of their subscribers. */
struct poll_clients {
  /* busy: with polls in progress; idle: without, the one that is due first comes first */
  struct list busy, idle;
  size_t count;
  struct http_sink sink;
  struct http_sink alone; /* of polls without a client */
};

/* A channel that the client has left because it ended. Until the client has seen the end, its polls
 * read it. */
struct poll_left {
  uint64_t ended; /* the position of its last message */
  bool asked;     /* a query named it: it is not joined again before it restarts */
  struct bytes name;
  char text[];
};

struct poll_client {
  struct subscriber subscriber;
  struct session session;
  uint32_t slot;
  struct list link;        /* among those of its worker */
  uint64_t due_ms;         /* when it ends, if it is idle */
  struct list polls;       /* that are in progress, the newest last */
  struct poll *waiting;    /* at most one waits: an older one is answered when another arrives */
  struct poll_items items; /* for the next answer */
  struct poll_left **left; /* at most limits.client_channels */
  size_t left_count;
  uint32_t left_capacity;
  struct party *party; /* charged for it and its channels (PARTY_POLLS); NULL: none */
  size_t charged;      /* how many that are */
  bool has_ends;       /* a channel has ended: left at the end of the turn */
  bool is_closing;     /* closed at the end of the turn */
  bool is_late;        /* it has not polled in time */
  bool is_closed;      /* it has left everything, and is freed at the end of the turn */
};

/* `dialect` is how they speak. */
void poll_clients_init(struct poll_clients *clients, struct http *http, const struct dialect *dialect);
/* Closes clients that have not polled in time. Called once a second. */
void poll_clients_expire(struct poll_clients *clients);
/* Called when the server stops: closes all of them. Unless is_due, clients whose messages are being
 * handled are closed when that is done. */
void poll_clients_stop(struct poll_clients *clients, bool is_due);

/* Returns true if limits.address_polls allows one more client from that address, or `count` more
 * channels of one. */
bool poll_client_allowed(struct http *http, const char *remote, size_t count);
/* Called when its channels have changed: charges for their number. Returns 0, or MW_ELIMIT or
 * MW_ENOMEM if it is not charged for more than before. */
int poll_client_charge(struct poll_client *client);
/* Makes the client that the job has connected. Returns 0, MW_ELIMIT, or MW_ENOMEM. */
int poll_client_new(struct http *http, struct script_job *job, struct poll_client **client);
/* Sends the poll to the worker of that client, if it is another one (http/forward/forward.h). Returns
 * whether it did. */
bool poll_client_forward(struct exchange *exchange, struct bytes id);
/* Returns the client of that id on this worker, or NULL. */
struct poll_client *poll_client_find(struct http *http, struct bytes id);
/* Called when a poll is for it, or has ended. */
void poll_client_attach(struct poll_client *client, struct poll *poll);
void poll_client_detach(struct poll *poll);
/* Ends it at the end of the turn. */
void poll_client_end(struct poll_client *client);

VISIBILITY_POP

#endif
