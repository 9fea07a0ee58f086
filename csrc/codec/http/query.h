/* Parses application/x-www-form-urlencoded (WHATWG URL standard, section 5.1), and percent-decodes
 * paths. */
#ifndef MOONWIRE_CODEC_QUERY_H
#define MOONWIRE_CODEC_QUERY_H

#include "base/buffer.h"

VISIBILITY_PUSH

/* Walks the pairs of a query: start with *rest = the query; returns false at the end. Clears the
 * buffers and appends name and value, decoded. '+' is a space, invalid escapes stay, and the bytes
 * may be other than UTF-8. */
bool query_next(struct bytes *rest, struct buffer *name, struct buffer *value);

/* Percent-decodes a path and appends it to `out`. Returns false if an escape is invalid or decodes
 * to NUL, or if the result is not UTF-8. */
bool path_decode(struct bytes path, struct buffer *out);

/* Copies a request target for the log, truncated to `size` bytes with the NUL. Replaces by *** the
 * values of the query that may be secrets: those whose names contain "token", "ticket", "key",
 * "pass", "secret", "sig", "auth", "session", "code", "jwt", or "client", or are
 * percent-encoded. */
void query_redact(struct bytes target, char *out, size_t size);

VISIBILITY_POP

#endif
