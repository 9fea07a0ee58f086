/* The way to a Redis, as the state machines of the broker see it: one connection for commands, and
 * one for pub/sub. They know neither sockets nor time, so a test can put a model in its place.
 *
 * The link opens both connections by itself, again and again, with delays that grow and differ. The
 * two have no order between them, and each can be lost without the other. Everything runs on one
 * thread. The link calls its owner from its loop only, never within a call of the owner; so a
 * function here may be called from within any event. */
#ifndef MOONWIRE_BROKER_LINK_H
#define MOONWIRE_BROKER_LINK_H

#include "base/bytes.h"
#include "base/list.h"
#include "broker/resp.h"

VISIBILITY_PUSH

enum link_end {
  LINK_COMMANDS, /* scripts and single commands, whose replies come in the order of sending */
  LINK_PUSHES    /* pub/sub: confirmations and messages, in the order in which Redis wrote them */
};

/* A command that was sent. It is a member of what waits for the reply, and stays where it is until
 * on_reply. */
struct link_command {
  struct list link; /* the link's, from sending to the reply */
  /* Called exactly once for each command that was sent. `reply` is borrowed; RESP_ERROR is a reply,
   * too. NULL: the connection was lost before the reply, and whether Redis has carried the command
   * out is unknown. Then the calls come in the order of sending, before on_lost. */
  void (*on_reply)(struct link_command *command, const struct resp_value *reply);
};

/* What the owner is notified of. Every function is set. */
struct link_events {
  /* A connection is established: it has logged in, read the run id of its Redis
   * (INFO server, run_id: another one after a restart and after a failover; borrowed), and, for
   * commands, loaded the scripts. A new connection for pub/sub has no subscriptions. */
  void (*on_open)(void *context, enum link_end end, struct bytes run_id);
  /* It was lost, after it was open. The link opens it again. */
  void (*on_lost)(void *context, enum link_end end, const char *problem);
  /* An attempt to open it has failed, which the link has logged. `error` is what Redis has answered; empty:
   * it has not. */
  void (*on_failed)(void *context, enum link_end end, struct bytes error);
  /* Redis has confirmed the subscription: from here on, every message of the channel comes. */
  void (*on_subscribed)(void *context, struct bytes channel);
  void (*on_message)(void *context, struct bytes channel, struct bytes payload);
};

/* The scripts that a link loads when it connects. Their texts are static. */
struct link_script {
  const char *name;
  struct bytes text;
};

struct link;

/* What implements a link. Arguments are borrowed, and copied if necessary. */
struct link_class {
  /* Sends a command. 0: on_reply follows. MW_ECLOSED: the connection is not open; MW_EUNAVAILABLE:
   * too much is unsent; MW_ENOMEM. Then on_reply is not called. */
  int (*send)(struct link *link, const struct bytes *arguments, size_t count, struct link_command *command);
  /* Runs script number `script` (EVALSHA): the first `key_count` of the arguments are keys. Returns
   * as send does. An answer NOSCRIPT never arrives here: the link takes it for a lost connection. */
  int (*run)(struct link *link, size_t script, size_t key_count, const struct bytes *arguments, size_t count,
             struct link_command *command);
  /* SUBSCRIBE or UNSUBSCRIBE, one command for all. Returns as send does. on_subscribed follows for each
   * channel that is subscribed to; the end of a subscription is not confirmed. */
  int (*subscribe)(struct link *link, const struct bytes *channels, size_t count);
  int (*unsubscribe)(struct link *link, const struct bytes *channels, size_t count);
  /* The owner has found that a connection is of no use: it is closed and opened again, after the
   * usual delay. on_lost follows, unless it is not open. `reason` is for the log. */
  void (*reset)(struct link *link, enum link_end end, const char *reason);
};

/* Embedded first in what implements a link. */
struct link {
  const struct link_class *class;
  const struct link_events *events;
  void *context; /* of the events */
};

VISIBILITY_POP

#endif
