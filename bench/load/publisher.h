/* Publishes over one connection: a WebSocket, or POST requests that may be pipelined. */
#ifndef MOONWIRE_BENCH_LOAD_PUBLISHER_H
#define MOONWIRE_BENCH_LOAD_PUBLISHER_H

#include "load/deliveries.h"
#include "load/ws_client.h"

struct publisher {
  struct deliveries *deliveries;
  bool is_post;
  struct target target;
  struct greetings greetings;
  const char *message; /* a template */
  bool is_open;
  size_t unanswered;   /* requests */
  struct ws_client ws; /* a POST uses its connection and its answer only */
  struct buffer out, text, payload;
};

/* Begins to connect. The caller has set the deliveries, is_post, the target, the greetings, and the
 * message of a zeroed publisher. */
void publisher_open(struct publisher *publisher, struct poller *poller);
void publisher_close(struct publisher *publisher);

/* Publishes the `count` messages with these marks: with one POST if there are several, as a JSON
 * array of messages, or with a frame each. They are written by publisher_flush. */
void publisher_publish(struct publisher *publisher, const struct mark *marks, size_t count);
void publisher_flush(struct publisher *publisher);

#endif
