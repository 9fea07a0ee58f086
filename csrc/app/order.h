/* The only point that orders messages, as the rooms above app/ see it: the bus, or a broker before
 * it. */
#ifndef MOONWIRE_APP_ORDER_H
#define MOONWIRE_APP_ORDER_H

#include "app/config.h"
#include "app/job_channel.h"
#include "hub/message.h"
#include "hub/roster.h"

VISIBILITY_PUSH

struct app;
struct http;

/* What becomes of a publish, of an interest, or of a fetch. It is on the caller's stack, and only an
 * orderer that cannot answer immediately has it moved. */
struct completion {
  char id[MW_ID_MAX]; /* of a message that was published; empty if it is volatile */
  /* An orderer of several servers publishes only the first message with this idempotency key. Borrowed
   * during the call; empty: none. */
  struct bytes once;
  struct http *http; /* of the worker on whose thread the call is made; NULL: none */
  /* Returns the completion in memory that lasts until on_done: then the call returns MW_PENDING. Or
   * NULL: it cannot wait, and the call fails. Called at most once, within the call. */
  struct completion *(*keep)(struct completion *completion);
  /* A kept completion: 0, or a negative status. Called exactly once, never within the call: on the
   * worker's thread, after all that was delivered to the worker until then; without one, on the
   * server's thread, in a turn. Frees it. */
  void (*on_done)(struct completion *completion, int status);
};

/* A user that becomes a member of a channel on this server. Texts are borrowed. */
struct order_join {
  struct bytes channel, user_id;
  struct bytes info;  /* JSON; empty: null */
  size_t members_max; /* of the channel, on all servers */
  /* 0. MW_ELIMIT: there are too many members. Otherwise negative, for order_refusal. Called once, never
   * within the call. */
  void (*on_done)(void *context, int status);
  void *context;
};

struct orderer {
  /* Publishes a message whose parts were checked, and are borrowed. 0: it is published, and
   * completion->id has its id. MW_PENDING: the kept completion tells later. A negative
   * status, for order_refusal: it was not published, except for MW_ECLOSED, MW_EBROKER_UNSURE, and
   * MW_EBROKER_UNREPLICATED of a kept completion. Any thread. */
  int (*publish)(struct orderer *orderer, const struct kind *kind, const struct message_parts *parts, bool is_volatile,
                 struct completion *completion);
  /* Declares that a client is about to join the channels: this server must receive their messages
   * from now on. Once for each subscription, however many a channel has. 0: it does. MW_PENDING: the
   * kept completion tells when it does. Negative, for order_refusal: nothing was declared. A caller
   * without a completion (NULL) does not wait: MW_EUNAVAILABLE if it would have to. A worker's
   * thread, or the server's. */
  int (*interest)(struct orderer *orderer, const struct job_channel *channels, size_t count, struct completion *completion);
  /* Ends one interest in the channel. A worker's thread, or the server's. */
  void (*end_interest)(struct orderer *orderer, struct bytes channel);
  /* Restores the histories of the channels to the store, and waits until this server has reached the
   * cursors channels[i].since, if they were ever assigned. Then, if there is an interest in the
   * channels, a client may join them in the same turn. Returns as interest does. A worker's thread, or the
   * server's. */
  int (*fetch)(struct orderer *orderer, const struct job_channel *channels, size_t count, struct completion *completion);
  /* Restores older messages of a channel in which there is an interest to the store: the newest ones up
   * to the position `until`. The store has none of them yet. MW_PENDING: the kept completion tells when it does.
   * Otherwise as interest. Any thread. */
  int (*page)(struct orderer *orderer, struct bytes channel, uint64_t until, struct completion *completion);
  /* interest and fetch may be pending: so every client that joins, and every history that is read,
   * goes through the script's queue, and waits there. */
  bool may_wait;
  /* Ends everything that is pending with MW_ECLOSED: the server stops. Nothing is pending from then
   * on. The server's thread. */
  void (*end_pending)(struct orderer *orderer);
  /* Sends changes of a channel's members to all workers, in order with the messages. The caller
   * keeps its reference. The batch has a mail for each worker (roster_batch_new). MW_EUNAVAILABLE:
   * it was not sent. */
  int (*update_roster)(struct orderer *orderer, struct roster_batch *batch);
  size_t (*worker_count)(struct orderer *orderer);
  /* Counts a user as a member of the channel on all servers, until `leave`. NULL: only this server
   * knows its members. 0: it is a member. MW_PENDING: on_done follows. Otherwise negative, for
   * order_refusal. The server's thread. */
  int (*join)(struct orderer *orderer, const struct order_join *join);
  /* The user has left this server, after a join that has succeeded. The server's thread. */
  void (*leave)(struct orderer *orderer, struct bytes channel, struct bytes user_id);
  /* Returns the position of the newest message. Any thread. */
  uint64_t (*position)(struct orderer *orderer);
};

/* Checks a publish, finds its kind, and publishes it, as orderer->publish does. Sets *error if it
 * fails. */
int order_publish(struct app *app, const struct mw_publish *publish, struct completion *completion, struct mw_error *error);
/* Checks a publish or a send, except the channel. `parts` borrows from `publish`. */
int order_read_parts(struct app *app, const struct mw_config *config, const struct mw_publish *publish,
                     struct message_parts *parts, struct mw_error *error);
/* A publish is going to be pending: counts it among those that wait (limits.waiting). False: too
 * many wait. */
bool order_begin_waiting(struct app *app);
/* It is not pending any more. */
void order_end_waiting(struct app *app);
/* What a negative status of the orderer is for clients: an HTTP status, a code, and a reason, which are
 * static. */
struct order_refusal {
  int status;
  const char *code, *reason;
};
struct order_refusal order_refusal(int status);

VISIBILITY_POP

#endif
