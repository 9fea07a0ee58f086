/* How often clients may send. A message counts for its client (limits.rate of the app), for its
 * client in its channel (limits.rate of the channel, or the event's own rate), and for its channel
 * (limits.total_rate).
 *
 * A user is one client over all connections. An anonymous client is one connection, or, if it is a
 * client for one message only, its address. */
#ifndef MOONWIRE_APP_LIMITS_SEND_RATE_H
#define MOONWIRE_APP_LIMITS_SEND_RATE_H

#include "app/app.h"

VISIBILITY_PUSH

struct mw_socket;

/* The number in the key of a bucket (rates_key) states what is counted. Small ones are for messages
 * to channels; further, messages of raw WebSocket endpoints with a rate of their own, each with its
 * number added; and verbs (session/verb_rate.c). */
#define RATE_OF_ENDPOINTS (UINT64_C(1) << 32)
#define RATE_OF_VERBS (UINT64_C(1) << 33)

/* A message of a client. */
struct send_rate {
  struct app *app;
  const struct mw_config *config;
  const struct mw_client *client;
  bool is_transient; /* a client for this message only */
  struct bytes channel;
  const struct kind *kind;
  const struct event_rule *rule;
  uint64_t now_ms;
};

struct send_rate_refusal {
  const char *reason;
  uint32_t wait_ms; /* after which it may succeed; at least 1 */
  bool closes;      /* the client is to be closed */
};

/* Counts the message. Returns false, and counts the refusal instead, if it is one too many. Any
 * thread. */
bool send_rate_allows(const struct send_rate *send, struct send_rate_refusal *refusal);

/* Returns the milliseconds that a refusal states for a wait. */
uint32_t send_rate_wait_ms(uint64_t wait_ns);
/* Counts a message of a raw WebSocket. Returns how long the client must wait before its next one, in
 * milliseconds; 0: it need not. Counts each such wait. With rate_closes, anything but 0 means that
 * this message is one too many instead. */
uint32_t send_rate_charge(struct app *app, const struct mw_socket *socket, uint64_t now_ms);

VISIBILITY_POP

#endif
