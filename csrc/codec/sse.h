/* Writes event streams (WHATWG HTML section 9.2). */
#ifndef MOONWIRE_CODEC_SSE_H
#define MOONWIRE_CODEC_SSE_H

#include "base/buffer.h"

VISIBILITY_PUSH

struct sse_event {
  struct bytes id;    /* ptr NULL: no id line; an empty id clears the client's */
  struct bytes event; /* empty or "message": no event line */
  struct bytes data;  /* split on CR, LF and CRLF, each line a data line; ptr NULL: no data line at all */
  int64_t retry_ms;   /* negative: no retry line */
};

/* Appends one block with its blank line. An id or event with CR, LF (or NUL in the id) is a broken invariant (assert).
 * Order of lines: retry, event, data, id. The id is last because some clients remember it as soon as they see it: if the stream is cut in the
 * middle of the block, they must not have the id of an event that they did not get. */
void sse_write(struct buffer *out, const struct sse_event *event);
/* Appends "retry: <ms>\n" alone, which counts at once and belongs to the block that follows, if one does. */
void sse_write_retry(struct buffer *out, uint64_t ms);
/* Adds an id to the block at the end of `out`, which has none. */
void sse_add_id(struct buffer *out, struct bytes id);
/* Appends ": <text>\n"; text of one line. Empty text gives ":\n". No blank line follows: between blocks it would be a block without data,
 * which some clients hand on. */
void sse_write_comment(struct buffer *out, struct bytes text);

VISIBILITY_POP

#endif
