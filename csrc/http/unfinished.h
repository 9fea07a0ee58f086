/* Accounts for incomplete messages of WebSockets and incomplete bodies of requests: who holds how
 * much of them in memory, and since when.
 *
 * All connections together may hold limits.queue. Beyond that, the largest holder is closed. So a
 * connection that holds at most its share, limits.queue divided by the number of holders, is never
 * closed because of others. */
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
  struct list ages; /* longest first */
};

/* Part of what a connection has for input that is not complete: struct kept_input, or struct http1. */
struct holder {
  struct list size_link, age_link; /* unlinked while it holds nothing */
  struct exchange *exchange;
  size_t size;
  uint64_t since_ms;
  bool has_deadline;
};

void unfinished_init(struct unfinished *unfinished);
/* Initializes a holder. has_deadline: limits.message_ms applies; a request has its own deadline. */
void holder_init(struct holder *holder, struct exchange *exchange, bool has_deadline);
/* Sets how many bytes of an incomplete message or body the connection holds. is_new: of another
 * message than before. */
void unfinished_hold(struct http *http, struct holder *holder, size_t size, bool is_new);
void unfinished_release(struct http *http, struct holder *holder);
/* Closes the largest holders until the others are within limits.queue. A single holder may have any
 * size. */
void unfinished_settle(struct http *http);
/* Closes holders whose message has been incomplete for limits.message_ms. Called once a second. */
void unfinished_expire(struct http *http);

VISIBILITY_POP

#endif
