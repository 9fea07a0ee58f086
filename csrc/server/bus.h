/* The one point of order: every message passes here, gets its position, and goes to every worker in
 * the same order. */
#ifndef MOONWIRE_SERVER_BUS_H
#define MOONWIRE_SERVER_BUS_H

#include "delivery/form_users.h"
#include "hub/id.h"
#include "hub/roster.h"
#include "net/thread.h"

VISIBILITY_PUSH

struct mw_config;
struct mw_server;
struct orderer;
struct worker;

/* The bus as the orderer of a server. */
extern const struct orderer bus_orderer;

struct bus {
  struct lock lock;
  /* which thread runs the server: an address that each has its own of */
  _Atomic(const char *) thread;
  atomic_uint_least64_t epoch; /* the text of a struct epoch; written under the lock */
  uint64_t position;           /* of the newest message; written under the lock */
  struct form_users forms;
  atomic_ullong published;
};

/* Continues the epoch after its `position`; an epoch of NULL: draws a new one. MW_ENOMEM or a
 * status of libuv. */
int bus_init(struct bus *bus, const struct epoch *epoch, uint64_t position);
void bus_deinit(struct bus *bus);
/* The calling thread runs the server from now on. */
void bus_enter(struct bus *bus);
/* Takes a new message. With keep it gets a position; without, it is volatile. Returns 0 or
 * MW_EUNAVAILABLE, and, on the thread that runs the server, MW_ELIMIT if the history of the channel
 * could not keep it. After a failure it went nowhere. Any thread. */
int bus_publish(struct mw_server *server, struct message *message, bool keep, struct since *placed);

/* ---- Messages that a broker orders (server/bus_broker.c); on the server's thread ------------- */

/* Takes a message that a broker has put at that position, after all that it took before; `before` is
 * the position of the message before it in its channel. 0: a volatile one. Returns 0; MW_EUNAVAILABLE
 * or MW_ENOMEM: it went nowhere, and bus_disconnect must follow. */
int bus_deliver(struct mw_server *server, const struct message_parts *parts, uint64_t position, uint64_t before);
/* Has every worker reach a position, in order with the messages: nothing follows below it. Returns 0;
 * MW_EUNAVAILABLE or MW_ENOMEM: a later one does it. */
int bus_reach(struct mw_server *server, uint64_t position);
/* Messages of the channel up to the position are nowhere. Its subscribers receive a gap, in order
 * with the messages, and so does every client that resumes from up to there, or from any position
 * that was reached. MW_ENOMEM: nothing was done. */
int bus_gap(struct mw_server *server, struct bytes channel, uint64_t position);
/* Messages of the channel up to the position were not delivered, and are elsewhere: its history is
 * not used any more, and its subscribers are disconnected, in order with the messages, so that they
 * resume. MW_ENOMEM: nothing was done. */
int bus_disconnect(struct mw_server *server, struct bytes channel, uint64_t position);
/* Without threads: takes mail until there is room for a message of that size. */
void bus_make_room(struct mw_server *server, size_t size);

/* Sends changes of a channel's members to every worker, in order with the messages. The caller
 * keeps its reference. Returns 0 or MW_EUNAVAILABLE: then it went nowhere. */
int bus_update_roster(struct mw_server *server, struct roster_batch *batch);

/* Returns the epoch of what is published from now on. Any thread. */
struct epoch bus_epoch(struct bus *bus);
/* What orders messages has begun a new epoch, after its `position`: what is published from now on
 * is of that epoch. In order with the messages, the histories are dropped, and every subscriber is
 * disconnected, so that it resumes and receives a gap. MW_ENOMEM, MW_EUNAVAILABLE: nothing has
 * changed. The server's thread. */
int bus_begin_epoch(struct mw_server *server, const struct epoch *epoch, uint64_t position);

/* Replaces the configuration, in order with the messages: what is published or asked before that
 * goes on with the earlier one, channels have the new policies when they are next published or
 * subscribed to. The limits apply to what begins from then on: a connection that is accepted keeps
 * its place beyond a lower limits.connections, and what is queued or reserved stays. A request that
 * was read, a raw WebSocket, and a channel that opens or closes go on with the configuration that
 * they began with. MW_EINVAL: it has another broker, which only a restart can change, and the log says
 * so. MW_ENOMEM, MW_EUNAVAILABLE, too: nothing has changed. Any thread. */
int bus_set_config(struct mw_server *server, struct mw_config *config);

/* Reserves room in the queue of every worker, or in none: MW_EUNAVAILABLE, and *full is the one that
 * has no room. Then posts to each its mail. The bus's own, and for tests of several workers. */
int bus_reserve(struct worker *workers, size_t worker_count, size_t size, size_t *full);
void bus_post_reserved(struct worker *workers, struct mail *mails, size_t worker_count);

VISIBILITY_POP

#endif
