/* A WebSocket client: connects, sends its greetings, and hands over messages. */
#ifndef MOONWIRE_BENCH_LOAD_WS_CLIENT_H
#define MOONWIRE_BENCH_LOAD_WS_CLIENT_H

#include "load/http_answer.h"
#include "net/poller.h"

enum { GREETINGS_MAX = 4 };

/* What is sent after the handshake, one after the other. */
struct greetings {
  size_t count;
  const char *send[GREETINGS_MAX];   /* templates */
  const char *expect[GREETINGS_MAX]; /* a text that the answer has, or NULL: there is none */
};

struct target {
  uint32_t address; /* IPv4, in network byte order */
  uint16_t port;
  const char *path;     /* a template */
  struct buffer fields; /* further fields of the request, as lines */
};

struct ws_client {
  struct conn conn;
  const struct target *target;
  const struct greetings *greetings;
  uint32_t channel;
  size_t greeted; /* greetings that were answered */
  bool is_upgraded, is_open;
  struct http_answer answer;
  struct buffer message; /* the fragments of a message */

  void *owner;
  void (*on_open)(void *owner);
  /* Before the messages of a read. May be NULL. */
  void (*on_read)(void *owner);
  void (*on_message)(void *owner, struct bytes text);
  void (*on_closed)(void *owner, const char *reason, bool is_invalid);
};

/* Begins to connect. The owner has set the functions, the target, the greetings, and the channel of
 * a zeroed client. */
void ws_client_open(struct ws_client *client, struct poller *poller);

#endif
