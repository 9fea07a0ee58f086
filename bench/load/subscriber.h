/* A subscriber: a WebSocket, an event stream, or a client that polls. */
#ifndef MOONWIRE_BENCH_LOAD_SUBSCRIBER_H
#define MOONWIRE_BENCH_LOAD_SUBSCRIBER_H

#include "load/deliveries.h"
#include "load/ws_client.h"

enum transport { TRANSPORT_WS, TRANSPORT_SSE, TRANSPORT_POLL, TRANSPORT_COUNT };

/* What all subscribers of one transport share. */
struct crowd {
  struct poller *poller;
  struct deliveries *deliveries;
  enum transport transport;
  struct target target;
  struct greetings greetings; /* of WebSockets */
  const char *cursor;         /* the member of a poll's answer that continues it */
  uint32_t open;              /* subscribers that are subscribed */
  uint32_t failed;            /* subscribers that ended before they were */
};

struct subscriber {
  struct crowd *crowd;
  uint32_t number, channel;
  bool is_open;
  struct ledger ledger;
  struct ws_client ws;  /* event streams and polls use its connection and its answer only */
  struct buffer text;   /* an incomplete line of an event stream, or the body of a poll's answer */
  struct buffer cursor; /* of a poll */
};

/* Begins to connect a zeroed subscriber. */
void subscriber_open(struct subscriber *subscriber, struct crowd *crowd, uint32_t number, uint32_t channel);
void subscriber_close(struct subscriber *subscriber);

/* For the parts of a subscriber: it is subscribed; a text has arrived; it has ended. */
void subscriber_opened(struct subscriber *subscriber);
void subscriber_take(struct subscriber *subscriber, struct bytes text);
void subscriber_ended(struct subscriber *subscriber, const char *reason, bool is_invalid);

/* Event streams and polls, over HTTP. */
void http_subscriber_open(struct subscriber *subscriber);

#endif
