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
 * Order of lines: retry, id, event, data. */
void sse_write(struct buffer *out, const struct sse_event *event);
/* Appends ": <text>\n\n"; text of one line. Empty text gives ":\n\n". */
void sse_write_comment(struct buffer *out, struct bytes text);

VISIBILITY_POP

#endif
