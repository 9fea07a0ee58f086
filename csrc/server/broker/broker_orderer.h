/* The broker as the orderer of a server (app/order.h): publishes go to the broker, and the messages
 * come back through the bus. docs/decisions/0025-a-broker-orders.md.
 *
 * The broker runs on the server's thread. Any thread posts its calls as mail, which the server's thread
 * takes at the beginning and at the end of each turn. */
#ifndef MOONWIRE_SERVER_BROKER_BROKER_ORDERER_H
#define MOONWIRE_SERVER_BROKER_BROKER_ORDERER_H

#include "app/order.h"
#include "broker/broker.h"
#include "net/alarm.h"
#include "net/mailbox.h"

VISIBILITY_PUSH

struct broker_op;
struct mw_server;

extern const struct orderer broker_orderer;

struct broker_orderer {
  struct mw_server *server;
  struct link *link;
  struct broker *broker;
  struct alarm *alarm;
  struct mailbox mailbox; /* struct broker_op */
  struct list done;       /* struct broker_op that no worker waits for, and whose outcome is known */
  struct epoch epoch;
  /* Something was lost because of a failed allocation, or a full queue: all histories begin again, and
   * nothing is delivered until they do. */
  bool must_restart;
  bool is_unreached;    /* the bus is not at the position of the broker */
  atomic_bool is_ended; /* nothing is accepted any more */
  bool is_up;
  atomic_int outage; /* why not even a volatile message can be published; 0: it can */
  uint64_t lost_ms;  /* when is_up became false, or connecting began, by the loop's clock */
  uint64_t losses;   /* how often is_up became false */
  bool is_leaving, has_left;
  uint64_t leaving_ms; /* since when it is leaving */
};

/* What the broker calls (server/broker/broker_sink.c). */
extern const struct broker_sink broker_orderer_sink;

/* Begins to connect. The server's loop and connections exist, its workers do not. Returns 0, MW_ENOMEM,
 * MW_EINVAL, or a status of libuv. */
int broker_orderer_begin(struct mw_server *server);
/* Called at the beginning and at the end of each turn. */
void broker_orderer_begin_turn(struct broker_orderer *orderer);
void broker_orderer_end_turn(struct broker_orderer *orderer);
/* Tells the broker that this node stops, so that it does not count as dead only later. Returns true if the
 * broker knows, cannot be told, or has not answered for a second; until then, call it again in each
 * turn. Nothing is published or joined from then on. */
bool broker_orderer_leave(struct broker_orderer *orderer);
/* Disconnects. Called when no worker runs any more, and before the connections of the server are
 * closed. */
void broker_orderer_stop(struct broker_orderer *orderer);
/* Frees it, after broker_orderer_stop and the end of all mailboxes. NULL is allowed. */
void broker_orderer_free(struct broker_orderer *orderer);

/* Passes the outcome of an op to its caller. */
void broker_orderer_finish(struct broker_orderer *orderer, struct broker_op *op, int status);

VISIBILITY_POP

#endif
