/* GET /poll: one request for messages, which waits for them if there are none, and is answered
 * once.
 *
 * While it waits, its channels are subscribed to: by the poll itself, or, with client=, by a client
 * that lasts from poll to poll (transport/poll/poll_client.h). Messages with a position are read
 * from the histories when the poll arrives. Later messages are collected until the end of the turn,
 * and then the poll is answered. On the worker's thread. */
#ifndef MOONWIRE_TRANSPORT_POLL_POLL_H
#define MOONWIRE_TRANSPORT_POLL_POLL_H

#include "app/subscribe_query.h"
#include "base/list.h"
#include "base/rope.h"
#include "hub/id.h"
#include "transport/poll/poll_items.h"

VISIBILITY_PUSH

struct exchange;
struct poll_client;
struct reply_class;

struct poll {
  struct subscriber subscriber; /* of a poll without a client; else in no channel */
  struct poll_items items;      /* of a poll without a client */
  struct exchange *exchange;
  struct poll_client *client;   /* NULL: a poll without a client */
  struct list link;             /* in the list of that client's polls */
  struct subscribe_query query; /* until it waits */
  struct since since;
  /* while it waits, the highest position that it has seen; the query is not needed any more */
  uint64_t seen;
  struct epoch epoch; /* while it waits, of that position */
  uint64_t due_ms;    /* when the wait ends */
  /* until when its own token is valid, since 1970; 0: without end, or there is none */
  uint64_t expires_ms;
  struct mw_client *user; /* of a poll without a client, if the app authenticates; a reference */
  struct rope joined;     /* the channels that it has joined (dialect->poll_joined) */
  size_t joining;         /* channels of the query that are marked as joined, and still to be joined */
  size_t joined_at;       /* index in the query of the next of them */
  unsigned fetches;       /* how often it has waited for the broker */
  bool is_new;            /* the client was made for this poll */
  bool names_channels;    /* its query names channels */
};

/* The sink of a poll without a client. */
extern const struct sink_ops poll_sink;
/* The answers to what is joined for its query. */
extern const struct reply_class poll_reply;

/* Answers if there are messages; else waits. */
void poll_begin(struct poll *poll);
/* Answers a waiting poll with what was collected, maybe nothing. */
void poll_finish(struct poll *poll);

VISIBILITY_POP

#endif
