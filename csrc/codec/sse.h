/* Writes event streams (WHATWG HTML section 9.2). */
#ifndef MOONWIRE_CODEC_SSE_H
#define MOONWIRE_CODEC_SSE_H

#include "base/buffer.h"

VISIBILITY_PUSH

struct sse_event {
  struct bytes id;    /* ptr is NULL: no id line; an empty id clears the one of the client */
  struct bytes event; /* empty or "message": no event line */
  /* a data line for each line, split at CR, LF, and CRLF; ptr is NULL: no data line */
  struct bytes data;
  int64_t retry_ms; /* negative: no retry line */
};

/* Appends one event with its empty line. Asserts that the event name and the id have no CR or LF,
 * and the id no NUL. The order of the lines is retry, event, data, id. Some clients remember an id
 * as soon as they read its line. If the connection ends within an event, they must not remember the
 * id of an event that they did not receive, so it comes last. */
void sse_write(struct buffer *out, const struct sse_event *event);
/* Appends "retry: <ms>\n" alone. It takes effect immediately and belongs to the event that follows,
 * if any. */
void sse_write_retry(struct buffer *out, uint64_t ms);
/* Adds an id to the event at the end of `out`, which has none. */
void sse_add_id(struct buffer *out, struct bytes id);

VISIBILITY_POP

#endif
