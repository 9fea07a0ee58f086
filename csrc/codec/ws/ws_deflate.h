/* Compression by permessage-deflate (RFC 7692 section 7.2) with zlib, which allocates through
 * base/memory.h. */
#ifndef MOONWIRE_CODEC_WS_DEFLATE_H
#define MOONWIRE_CODEC_WS_DEFLATE_H

#include "base/buffer.h"
#include "codec/ws/ws_extension.h"

VISIBILITY_PUSH

/* ---- Deflating: messages of the server ------------------------------------------------------- */

struct ws_deflater;

/* Returns a deflater, which the caller owns, or NULL if out of memory. With takeover, each message
 * refers to those before it, and the deflater belongs to one connection. Without, each message
 * stands alone, and a deflater serves any number of connections with the same window. It allocates
 * 166 KiB with 15 bits, 38 KiB with 12, and 24 KiB with 9. */
struct ws_deflater *ws_deflater_new(enum ws_window window, bool takeover);
void ws_deflater_free(struct ws_deflater *deflater); /* NULL is allowed */

/* Deflates one message, given in parts, and appends it as the payload of one frame, whose header
 * has RSV1. Returns false if out of memory: then `out` has failed, and with takeover the connection
 * must be closed, because its client lacks what the deflater has seen. */
bool ws_deflater_message(struct ws_deflater *deflater, const struct bytes *parts, size_t part_count, struct buffer *out);

/* ---- Inflating: messages of a client, for ws_reader ------------------------------------------ */

struct ws_inflater;

enum { WS_INFLATER_SIZE = 40 << 10 }; /* bytes of one inflater */

enum ws_inflate {
  WS_INFLATE_MORE,   /* all input is used, and all output of it was written */
  WS_INFLATE_FULL,   /* `out` is full; there may be more output */
  WS_INFLATE_BROKEN, /* the input is not deflate data */
  WS_INFLATE_MEMORY, /* out of memory */
};

struct ws_inflater *ws_inflater_new(void);           /* NULL if out of memory */
void ws_inflater_free(struct ws_inflater *inflater); /* NULL is allowed */
/* Forgets all previous messages. */
void ws_inflater_reset(struct ws_inflater *inflater);

/* Reads what it can of *input, which then is the rest, and writes at most *len bytes to `out`. *len
 * receives the number of bytes written; output before an invalid byte is included. */
enum ws_inflate ws_inflater_feed(struct ws_inflater *inflater, struct bytes *input, char *out, size_t *len);
/* Ends the input of a message, and writes the rest of the output. Call until WS_INFLATE_MORE, which
 * means that the message ended correctly. */
enum ws_inflate ws_inflater_finish(struct ws_inflater *inflater, char *out, size_t *len);

VISIBILITY_POP

#endif
