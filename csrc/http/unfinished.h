/* Messages of WebSockets and bodies of requests whose end has not come: who holds how much of it in memory, and since when.
 *
 * All connections together may hold limits.queue. Beyond that the largest holder is closed. So one that holds no more than its share, which is
 * limits.queue divided by the number of holders, is never closed because of others. */
#ifndef MOONWIRE_HTTP_UNFINISHED_H
#define MOONWIRE_HTTP_UNFINISHED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/visibility.h"

VISIBILITY_PUSH

struct exchange;
struct http;

/* The text of a refusal over limits.queue. */
extern const char unfinished_refusal[];

/* Lists of holders whose sizes have the same number of bits. */
enum { UNFINISHED_SIZES = 64 };

/* A worker's account. */
struct unfinished {
  size_t bytes, count;
  struct list sizes[UNFINISHED_SIZES];
  struct list ages; /* those that have held the longest first */
};

/* Part of a connection's struct exchange_session, or struct http1. */
struct holder {
  struct list size_link, age_link; /* alone: it holds nothing */
  struct exchange *exchange;
  size_t size;
  uint64_t since_ms;
  bool has_deadline;
};

void unfinished_init(struct unfinished *unfinished);
/* has_deadline: as opposed to a request, which has its own. */
void holder_init(struct holder *holder, struct exchange *exchange, bool has_deadline);
/* The connection is in the middle of a message, or a body, and holds so many bytes of it. is_new: it is another message than before. */
void unfinished_hold(struct http *http, struct holder *holder, size_t size, bool is_new);
void unfinished_release(struct http *http, struct holder *holder);
/* Closes the largest holders until the others are within limits.queue. One that is alone may hold any size. */
void unfinished_settle(struct http *http);
/* Closes those that have been in the middle of one message for limits.message_ms. Called once a second. */
void unfinished_expire(struct http *http);

VISIBILITY_POP

#endif
