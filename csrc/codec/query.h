/* application/x-www-form-urlencoded as the WHATWG URL standard parses it (section 5.1), and percent-decoding of paths. */
#ifndef MOONWIRE_CODEC_QUERY_H
#define MOONWIRE_CODEC_QUERY_H

#include "base/buffer.h"

VISIBILITY_PUSH

/* Walks the pairs of a query. Start with *rest = the query; false at the end. Name and value are appended, decoded, to the
 * buffers, which are cleared first ('+' is a space; bad escapes stay as they are; the bytes need not be UTF-8). */
bool query_next(struct bytes *rest, struct buffer *name, struct buffer *value);

/* Percent-decodes a path to `out` (appends). False if an escape is malformed, or decodes to NUL, or the result is not UTF-8. */
bool path_decode(struct bytes path, struct buffer *out);

/* Copies a request target for the log, cut to `size` bytes with the NUL, with *** for the values of the query that may be secrets: those
 * whose names have "token", "ticket", "key", "pass", "secret", "sig", "auth", "session", "code", "jwt" or "client" in them, or are
 * percent-encoded. */
void query_redact(struct bytes target, char *out, size_t size);

VISIBILITY_POP

#endif
