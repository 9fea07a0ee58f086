/* Writes the heads of HTTP/1 responses, and chunks (RFC 9112 sections 4 and 7.1). */
#ifndef MOONWIRE_CODEC_HTTP_WRITER_H
#define MOONWIRE_CODEC_HTTP_WRITER_H

#include "base/buffer.h"

VISIBILITY_PUSH

/* Returns the reason phrase of a status, or "Unknown". */
const char *http_reason(int status);

/* Appends "HTTP/1.1 200 OK\r\n" and "Date:" with that time (IMF-fixdate, RFC 9110 section
 * 5.6.7). */
void http_write_status(struct buffer *out, int status, uint64_t wall_ms);
/* Appends a field. Returns false and appends nothing if `name` is not a token, or if `value` has a
 * control character other than tab. */
bool http_write_field(struct buffer *out, struct bytes name, struct bytes value);
/* Appends the empty line. */
void http_write_end(struct buffer *out);

/* A chunk is a head of at most CHUNK_HEAD_MAX bytes, the data, and CRLF. */
enum { CHUNK_HEAD_MAX = 18 };
/* Writes "<hex>\r\n" for a chunk of `len` > 0 bytes. Returns its length. */
size_t http_chunk_head(char out[CHUNK_HEAD_MAX], size_t len);
/* "0\r\n\r\n" */
extern const struct bytes http_last_chunk;

/* Writes an IMF-fixdate: 29 bytes and a NUL. */
void http_date(char out[30], uint64_t wall_ms);

VISIBILITY_POP

#endif
