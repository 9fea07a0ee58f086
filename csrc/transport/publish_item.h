/* The publishes of one POST /publish, each with its outcome, which may come later and out of
 * turn. */
#ifndef MOONWIRE_TRANSPORT_PUBLISH_ITEM_H
#define MOONWIRE_TRANSPORT_PUBLISH_ITEM_H

#include "codec/json_scan.h"
#include "http/exchange.h"

VISIBILITY_PUSH

/* The result of one publish. */
struct publish_result {
  int status; /* of HTTP */
  char id[MW_ID_MAX];
  char reason[sizeof(struct mw_error)];
};

struct publish_item;

/* Outcomes that are not all known: on its own, since the exchange may end before they are. */
struct publish_batch {
  struct http *http;
  struct address asker; /* the exchange */
  size_t waiting;       /* outcomes that are to come, and 1 while the request is read */
  struct buffer text;   /* what was written before the first of these */
  struct publish_item *first, *last;
  /* Every outcome is known: the exchange is to be answered. Not called if it has ended. */
  void (*on_done)(struct publish_batch *batch, struct exchange *exchange);
};

/* The request, on the stack while it is read. */
struct publish_call {
  struct exchange *exchange;
  void (*on_done)(struct publish_batch *batch, struct exchange *exchange); /* of its batch */
  /* NULL: every outcome so far was known immediately */
  struct publish_batch *batch;
};

struct publish_result publish_failed(int status, const char *reason);
/* Publishes what the object says. True: *result has the outcome. False: the outcome will be in
 * call->batch, at its place. */
bool publish_item(struct publish_call *call, struct json_value object, struct publish_result *result);
/* Appends an outcome that is known to call->batch. False: out of memory. */
bool publish_append(struct publish_call *call, const struct publish_result *result);
/* The request was read: the batch is done when its last outcome comes. `text` is taken: what
 * precedes the outcomes of the batch. */
void publish_wait(struct publish_call *call, struct buffer *text);
/* Returns the outcomes of a batch that is done, one after the other: begins with NULL, ends with
 * it. */
struct publish_item *publish_next(const struct publish_batch *batch, struct publish_item *item);
const struct publish_result *publish_result_of(const struct publish_item *item);

VISIBILITY_POP

#endif
