/* GET /poll: one question for messages, which waits for them if there are none, and is answered once.
 *
 * What a poll asks for is subscribed to while it waits: by the poll itself, or, with client=, by a client that lasts from poll to poll
 * (transport/poll/poll_client.h). Messages with a position are read from the histories of the channels when it comes; from then on what is delivered is
 * collected until the end of the turn, and then it is answered. */
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
  struct subscriber subscriber; /* of one that stands for itself; else in no channel */
  struct poll_items items;      /* likewise */
  struct exchange *exchange;
  struct poll_client *client;   /* NULL: it stands for itself */
  struct list link;             /* among the polls of that client */
  struct subscribe_query query; /* until it waits */
  struct since since;
  uint64_t seen;       /* while it waits: it needs nothing up to here */
  uint64_t due_ms;     /* when it waits no longer */
  struct rope joined;  /* members of "channels": what joining gave */
  size_t joining;      /* channels that are still to be joined, of those that the query marks as joined */
  size_t joined_at;    /* of the query: the next of them */
  bool is_new;         /* the client was made for it */
  bool names_channels; /* its query did */
};

/* The sink of a poll that stands for itself. */
extern const struct sink_ops poll_sink;
/* The answers to what is joined for its query. */
extern const struct reply_class poll_reply;

/* Looks whether there is something; answers, or waits. */
void poll_begin(struct poll *poll);
/* Answers one that waits with what was collected, maybe nothing. */
void poll_finish(struct poll *poll);

VISIBILITY_POP

#endif
