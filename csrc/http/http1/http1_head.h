/* Writes the heads of HTTP/1 answers (RFC 9112) from what other protocols would write in their
 * own way. */
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

/* Appends all but what delimits the body and the empty line (http1_write_length,
 * http_write_end). If fields are missing for lack of memory, `out` has failed. */
void http1_write_head(struct buffer *out, const struct http1_head *head);
/* Appends the length of the body. */
void http1_write_length(struct buffer *out, uint64_t length);
/* Appends how the body of a stream is delimited, and ends the head. */
void http1_write_stream(struct buffer *out, bool is_chunked);
/* Appends the whole answer that upgrades to a WebSocket, for a key as ws_handshake_check returns
 * it. False, and nothing is appended, if the library of hashes fails. */
bool http1_write_upgrade(struct buffer *out, struct bytes key, const struct http_fields *fields);

VISIBILITY_POP

#endif
