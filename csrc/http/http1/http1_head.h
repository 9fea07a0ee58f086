/* Writes the heads of HTTP/1 answers (RFC 9112). */
#ifndef MOONWIRE_HTTP_HTTP1_HEAD_H
#define MOONWIRE_HTTP_HTTP1_HEAD_H

#include "codec/http/http_fields.h"

VISIBILITY_PUSH

struct http1_head {
  int status;
  uint64_t wall_ms;                        /* for Date */
  const struct http_fields *fields, *more; /* NULL: none */
  bool keep_alive;                         /* another request may follow */
};

/* Appends the head without the fields that delimit the body and without the empty line
 * (http1_write_length, http_write_end). If fields are missing because out of memory, `out` has
 * failed. */
void http1_write_head(struct buffer *out, const struct http1_head *head);
/* Appends the length of the body. */
void http1_write_length(struct buffer *out, uint64_t length);
/* Appends how the body of a stream is delimited, and ends the head. */
void http1_write_stream(struct buffer *out, bool is_chunked);
/* Appends the complete answer that upgrades to a WebSocket, for a key as ws_handshake_check returns
 * it. Returns false, and appends nothing, if the hash library fails. */
bool http1_write_upgrade(struct buffer *out, struct bytes key, const struct http_fields *fields);

VISIBILITY_POP

#endif
