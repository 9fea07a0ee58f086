/* Reads HTTP/1.0 and HTTP/1.1 requests (RFC 9112) with llhttp, as a parser that returns what it found and calls nobody.
 *
 * Bytes go in as they come; one request at a time comes out. Stricter than llhttp where it is lax: other major versions,
 * HTTP/0.9, obs-fold, a missing or doubled Host on 1.1, a doubled Origin, Content-Type or Authorization, transfer codings other
 * than a single "chunked", and Transfer-Encoding on HTTP/1.0 are refused. HTTP/1.2 and above are read as 1.1. */
#ifndef MOONWIRE_CODEC_HTTP_READER_H
#define MOONWIRE_CODEC_HTTP_READER_H

#include "base/bytes.h"

VISIBILITY_PUSH

struct http_limits {
  size_t target; /* bytes of the request target, else 414 */
  size_t head;   /* bytes of request line and fields together, else 431 */
  size_t fields; /* how many fields, else 431 */
  size_t body;   /* bytes of the body, else 413 */
};

struct http_field {
  struct bytes name;  /* as sent */
  struct bytes value; /* without surrounding white space */
};

/* One request. All slices point into the reader and hold until the next http_reader_next after HTTP_DONE or http_reader_free. */
struct http_head {
  struct bytes method;
  struct bytes target; /* as sent: origin-form or "*"; absolute-form is reduced to origin-form; CONNECT is refused (501) */
  struct bytes path;   /* target up to the first '?', percent-encoded as sent */
  struct bytes query;  /* behind it, or empty */
  struct bytes host;   /* of an absolute-form target, which is the Host field's value then, too; else that; ptr NULL: none */
  int minor;           /* HTTP/1.minor: 0 or 1 */
  bool keep_alive;     /* what Connection and the version ask for; false with `upgrade` */
  bool expect_continue;
  bool has_length; /* Content-Length or chunked was given; without it there is no body */
  bool has_body;   /* chunked, or a Content-Length above 0 */
  bool upgrade;    /* a GET of HTTP/1.1 offers WebSocket: the bytes after the head are then not HTTP. With a body it is refused;
                    * offers of other protocols are ignored */
  const struct http_field *fields;
  size_t field_count;
};

enum http_event {
  HTTP_MORE,  /* all input was used, nothing is complete */
  HTTP_HEAD,  /* the head is complete: http_reader_head; not all input need be used */
  HTTP_DONE,  /* the body is complete (also straight after the head if there is none): http_reader_body */
  HTTP_ERROR, /* http_reader_error; nothing more can be read */
};

struct http_error {
  int status;         /* 400, 413, 414, 417, 431, 501, 505; 503 without memory */
  const char *reason; /* a constant sentence in plain ASCII that says what was wrong */
};

struct http_reader;

/* NULL without memory. `limits` is borrowed and must outlive the reader. */
struct http_reader *http_reader_new(const struct http_limits *limits);
void http_reader_free(struct http_reader *reader); /* NULL is allowed */

/* Takes some of `input` and returns what came of it; *used says how much. Call again with the rest until HTTP_MORE.
 * After HTTP_HEAD, calling on (with no input, if none is left) reads the body. After HTTP_DONE, the next call lets go of what the
 * request held and begins the next one; if it was not to be kept alive, the rest of the connection is used up unread. */
enum http_event http_reader_next(struct http_reader *reader, struct bytes input, size_t *used);
/* After an HTTP_ERROR in a head, or in the middle of one: fills http_reader_head with what came of it, as far as it is well formed: the
 * method, the request line, the path unless it is a URL, and the complete fields. A complete head stays as it is. */
void http_reader_salvage(struct http_reader *reader);
const struct http_head *http_reader_head(const struct http_reader *reader);
struct bytes http_reader_body(const struct http_reader *reader);
struct http_error http_reader_error(const struct http_reader *reader);
/* Gives back what has come of the body; nothing more is read. */
void http_reader_drop_body(struct http_reader *reader);
/* Between HTTP_DONE and the next request: of this one no more is needed than method, host, and the fields of these names. The rest,
 * body included, is given back. */
void http_reader_shed(struct http_reader *reader, const struct bytes *names, size_t name_count);
/* True between requests: no byte of the next one has come. */
bool http_reader_idle(const struct http_reader *reader);

/* The field's value, or ptr NULL. Of several fields of the name the last one (names compared without regard to case). */
struct bytes http_head_field(const struct http_head *head, struct bytes name);
/* How many fields have that name. */
size_t http_head_count(const struct http_head *head, struct bytes name);
/* True if one of the fields of that name lists the token (RFC 9110 section 5.6.1). */
bool http_head_lists(const struct http_head *head, struct bytes name, struct bytes token);
/* The credentials of "Authorization: Bearer …" (RFC 6750 section 2.1), or empty. */
struct bytes http_head_bearer(const struct http_head *head);
/* True if If-None-Match names the entity tag, which is given with its quotes: the answer is 304 (RFC 9110 section 13.1.2). */
bool http_head_has_tag(const struct http_head *head, struct bytes tag);

VISIBILITY_POP

#endif
