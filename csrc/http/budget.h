/* Bounds what one connection may take of a turn. Everything that its peer causes is charged to it:
 * bytes read and inflated, messages and requests handled, questions to the script, bytes built for
 * answers. When the budget is spent, the rest of the input is put off until the next turn, after
 * the input of all other connections. A cost beyond the budget is a debt, which the following turns
 * pay.
 *
 * The unit is roughly the time in which one byte is read: two or three nanoseconds. Only the
 * worker's thread calls these functions. */
#ifndef MOONWIRE_HTTP_BUDGET_H
#define MOONWIRE_HTTP_BUDGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/visibility.h"

VISIBILITY_PUSH

struct http;
struct subscriber;

enum {
  BUDGET_TURN = 128 * 1024,   /* of one connection */
  BUDGET_MESSAGE = 256,       /* a verb, or a control frame */
  BUDGET_REQUEST = 2048,      /* an HTTP request */
  BUDGET_ASK = 32 * 1024,     /* a question to the script, for each channel that it is about */
  BUDGET_PUBLISH = 1024,      /* a message that is published */
  BUDGET_PART = 64,           /* a message in an answer, besides its bytes */
  BUDGET_PER_INFLATED = 2,    /* each byte: it is inflated, and then read */
  BUDGET_PER_COMPRESSED = 16, /* each byte that is compressed for an answer */
  /* bytes of messages in one answer of the verb history, or of a poll, if it is more than one
   * message */
  BUDGET_ANSWER = 256 * 1024,
  BUDGET_LEFTOVERS = 512 * 1024 /* of all connections together that are resumed in one turn */
};

/* Part of what a connection has beyond the least (struct http1, struct session). Most connections
 * are idle, so it is small. */
struct budget {
  uint32_t turn;  /* the turn that `left` is for */
  int32_t left;   /* negative: a debt */
  uint32_t place; /* in http->put_off, counted from 1; 0: no input is put off */
};

struct put_off {
  struct budget *budget; /* NULL: it has gone, or was resumed */
  struct subscriber *subscriber;
};

/* A worker's: whose input is put off, in order. */
struct put_off_list {
  struct put_off *items;
  uint32_t count, capacity;
};

void budget_init(struct budget *budget, struct subscriber *subscriber);
/* Called when the struct that holds the budget is freed. The connection may last. */
void budget_deinit(struct http *http, struct budget *budget);

/* Charges what was done for the peer of the exchange. */
void budget_charge(struct subscriber *subscriber, size_t cost);
/* Returns what is left in this turn: 0 if it is spent, or if there is a debt. */
size_t budget_left(struct subscriber *subscriber);
/* Puts off the input that the connection keeps: its session, or http1, continues in the next turn,
 * and its stream is not read until then. It must have one of them. Without memory the subscriber is
 * broken. */
void budget_put_off(struct subscriber *subscriber);
bool budget_is_put_off(struct subscriber *subscriber);
/* Resumes the connections that were put off in earlier turns, in that order. Called once a turn. */
void budget_resume(struct http *http);

VISIBILITY_POP

#endif
