/* permessage-deflate's compression (RFC 7692 section 7.2), by zlib, whose memory is ours. */
#ifndef MOONWIRE_CODEC_WS_DEFLATE_H
#define MOONWIRE_CODEC_WS_DEFLATE_H

#include "base/buffer.h"
#include "codec/ws_extension.h"

VISIBILITY_PUSH

/* ---- Deflating: what the server sends ------------------------------------------------------------------------------------- */

struct ws_deflater;

/* With takeover each message refers to those before, and the deflater belongs to one connection; without, every message stands
 * for itself, and one deflater serves any number of connections that have the same window. It takes 166 KiB with 15 bits, 38 with 12, 24 with 9, from
 * the beginning. NULL without memory. */
struct ws_deflater *ws_deflater_new(enum ws_window window, bool takeover);
void ws_deflater_free(struct ws_deflater *deflater); /* NULL is allowed */

/* Deflates one message, given in parts, and appends it as the payload of one frame, whose header says "compressed". False without
 * memory: then `out` has failed; with takeover the connection must be closed, since its client lacks what the deflater has seen. */
bool ws_deflater_message(struct ws_deflater *deflater, const struct bytes *parts, size_t part_count, struct buffer *out);

/* ---- Inflating: what the client sends, used by the reader ----------------------------------------------------------------- */

struct ws_inflater;

enum { WS_INFLATER_SIZE = 40 << 10 }; /* bytes that one takes */

enum ws_inflate {
  WS_INFLATE_MORE,   /* all input is used up, and all that came of it was written */
  WS_INFLATE_FULL,   /* `out` is full, there may be more */
  WS_INFLATE_BROKEN, /* no deflate data */
  WS_INFLATE_MEMORY, /* there is none left */
};

struct ws_inflater *ws_inflater_new(void);           /* NULL without memory */
void ws_inflater_free(struct ws_inflater *inflater); /* NULL is allowed */
/* Forgets all that came before. */
void ws_inflater_reset(struct ws_inflater *inflater);

/* Takes what it can of *input, which becomes the rest, and writes at most *len bytes to `out`; *len becomes what was written, which
 * is also there in front of what is broken. */
enum ws_inflate ws_inflater_feed(struct ws_inflater *inflater, struct bytes *input, char *out, size_t *len);
/* The message has no more input: writes what is left of it, until WS_INFLATE_MORE says that it ended as it should. */
enum ws_inflate ws_inflater_finish(struct ws_inflater *inflater, char *out, size_t *len);

VISIBILITY_POP

#endif
