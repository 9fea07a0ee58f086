/* UTF-8 that comes in pieces: a wrong byte is found in the piece that holds it, not when the code point should have ended. */
#ifndef MOONWIRE_BASE_UTF8_STREAM_H
#define MOONWIRE_BASE_UTF8_STREAM_H

#include "base/bytes.h"

VISIBILITY_PUSH

/* Zeroed, it stands at the beginning of a text. */
struct utf8_stream {
  uint8_t needed;    /* continuation bytes that the code point begun still lacks */
  uint8_t low, high; /* what the next of them may be */
};

/* False at the first byte that no valid text can have there; such a stream is not to be fed again. */
bool utf8_stream_feed(struct utf8_stream *stream, struct bytes piece);
/* True if the text may end here. */
static inline bool utf8_stream_complete(const struct utf8_stream *stream) { return stream->needed == 0; }

VISIBILITY_POP

#endif
