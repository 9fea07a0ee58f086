/* UTF-8 in pieces. An invalid byte is found in the piece that contains it, not at the end of its
 * code point. */
#ifndef MOONWIRE_BASE_UTF8_STREAM_H
#define MOONWIRE_BASE_UTF8_STREAM_H

#include "base/bytes.h"

VISIBILITY_PUSH

/* Zeroed, it is at the beginning of a text. */
struct utf8_stream {
  uint8_t needed;    /* continuation bytes that are still missing */
  uint8_t low, high; /* the range of the next one */
};

/* Checks the next piece. Returns false at the first byte that no valid text can have there; do not
 * use the stream after that. */
bool utf8_stream_feed(struct utf8_stream *stream, struct bytes piece);
/* Returns true if the text may end here. */
static inline bool utf8_stream_complete(const struct utf8_stream *stream) { return stream->needed == 0; }

VISIBILITY_POP

#endif
