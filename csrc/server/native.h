/* A client of the native protocol: takes what it sends, one after the other, and answers. The same for WebSocket frames and for what comes by
 * POST /send on behalf of a client that only receives.
 *
 * While one of its requests is with the script, all that follows waits in a bounded stash. */
#ifndef MOONWIRE_SERVER_NATIVE_H
#define MOONWIRE_SERVER_NATIVE_H

#include "app/command.h"
#include "base/buffer.h"
#include "codec/ws_reader.h"
#include "http/budget.h"
#include "http/exchange.h"
#include "http/unfinished.h"

VISIBILITY_PUSH

/* What only some sessions have. An idle subscriber that nobody asked after has none. */

struct native {
  struct subscriber_extra extra;
  struct script_job *job; /* as exchange_job; a reference */
  struct budget budget;
  struct holder holder;           /* of an unfinished message, in `reader` */
  struct mw_client *client;       /* NULL until somebody must know who it is */
  struct mw_socket *socket;       /* of a raw endpoint, a reference; NULL: it speaks the native protocol */
  struct ws_reader *reader;       /* NULL between messages */
  struct http_copy *http;         /* of the upgrade, until it is connected; then its essence, for a newer token */
  size_t stash_at;                /* where the first message that is still in it begins */
  struct buffer stash;            /* of struct input_head, each with its bytes behind it */
  struct reply_to asked_by;       /* of the request that is with the script */
  struct blob *asked_ref;         /* its ref, raw JSON; NULL: none */
  struct membership *memberships; /* to be undone when the session ends; the connecting one last */
  struct ws_deflate_terms terms;  /* if anything is taken over; else zeroed */
  struct poll_client *poll;       /* with role_poll_client: what goes out with its polls */
};

struct input {
  struct bytes bytes; /* one object of the protocol; with reply_to.is_poll, the name of a channel to subscribe to */
  bool is_binary;
  struct reply_to reply_to;
};

/* With EXCHANGE_NATIVE. */
static inline struct native *native_of(struct exchange *exchange) {
  return container_of(exchange->subscriber.extra, struct native, extra);
}
/* The session's native state, made if need be; NULL without memory. */
struct native *native_get(struct exchange *exchange);
/* The same, with an identity that others can find. */
struct mw_client *native_client(struct exchange *exchange);
/* Gives the session an identity that it got before it was one. MW_ENOMEM. */
int native_identify(struct exchange *exchange, struct mw_client *client);
bool native_is_identified(struct exchange *exchange);
/* The raw WebSocket that the exchange is; NULL: it is not one, or has ended. */
struct mw_socket *native_socket(struct exchange *exchange);
/* Takes one message of the client: handles it, or lets it wait. */
void native_receive(struct exchange *exchange, const struct input *input);
/* Reads no more of the peer until there is room again. */
void native_stop_reading(struct exchange *exchange);
void native_resume_reading(struct exchange *exchange);
/* Continues with the input that was put off and is in the stash. */
void native_resume(struct exchange *exchange);
/* The script has answered what was asked. */
void native_on_answer(struct exchange *exchange, struct script_job *job);
/* Takes what is to be undone out of the job, and keeps it until the session ends. */
void native_keep(struct exchange *exchange, struct script_job *job);
/* True if a membership of this channel is kept. */
bool native_is_member(struct exchange *exchange, struct bytes channel);
/* Ends a subscription; with a code the client is told "moonwire:unsubscribed". */
void native_unsubscribe(struct exchange *exchange, struct bytes channel, const char *code, const char *reason);
/* Sends the membership of one channel back to the script, if there is one. */
void native_leave(struct exchange *exchange, struct bytes channel);
/* The session is over: gives everything back. */
/* As role->finishes: the handler of a message is waited for, so that whoever sent it gets the answer. */
bool native_finishes(struct exchange *exchange);
void native_end(struct exchange *exchange);

VISIBILITY_POP

#endif
