/* Reads HTTP/1.0 and HTTP/1.1 requests (RFC 9112) with llhttp. The parser returns events and calls
 * nothing.
 *
 * Bytes go in as they arrive; one request at a time comes out. It is stricter than llhttp. It
 * refuses other major versions, HTTP/0.9, obs-fold, a missing or repeated Host on HTTP/1.1, a
 * repeated Origin, Content-Type, or Authorization, transfer codings other than a single "chunked",
 * and Transfer-Encoding on HTTP/1.0. It reads HTTP/1.2 and above as 1.1. */
#ifndef MOONWIRE_CODEC_HTTP_READER_H
#define MOONWIRE_CODEC_HTTP_READER_H

#include "base/bytes.h"

VISIBILITY_PUSH

struct http_limits {
  size_t target; /* bytes of the request target; beyond it: 414 */
  size_t head;   /* bytes of the request line and the fields; beyond it: 431 */
  size_t fields; /* number of fields; beyond it: 431 */
  size_t body;   /* bytes of the body; beyond it: 413 */
};

struct http_field {
  struct bytes name;  /* as sent */
  struct bytes value; /* without surrounding white space */
};

/* One request. All slices point into the reader. They are valid until http_reader_free, or until
 * the first http_reader_next after HTTP_DONE. */
struct http_head {
  struct bytes method;
  /* as sent: origin-form or "*". Absolute-form is reduced to origin-form; CONNECT is refused
   * (501) */
  struct bytes target;
  struct bytes path;  /* the target up to the first '?', percent-encoded as sent */
  struct bytes query; /* the part after the '?', or empty */
  /* the host of an absolute-form target, which then replaces the value of Host; otherwise that
   * value. ptr is NULL if there is none */
  struct bytes host;
  int minor;       /* HTTP/1.minor: 0 or 1 */
  bool keep_alive; /* as Connection and the version state; false with `upgrade` */
  bool expect_continue;
  bool has_length; /* the request has Content-Length or is chunked; otherwise it has no body */
  bool has_body;   /* it is chunked, or Content-Length is above 0 */
  /* a GET of HTTP/1.1 offers WebSocket: the bytes after the head are not HTTP. With a body, it is
   * refused. Offers of other protocols are ignored */
  bool upgrade;
  const struct http_field *fields;
  size_t field_count;
};

enum http_event {
  HTTP_MORE, /* all input was used; nothing is complete */
  HTTP_HEAD, /* the head is complete: http_reader_head. Some input may be left */
  /* the body is complete, which follows the head directly if there is none: http_reader_body */
  HTTP_DONE,
  HTTP_ERROR, /* http_reader_error; nothing more can be read */
};

/* The limit that a request exceeds. */
enum http_bound { HTTP_BOUND_NONE, HTTP_BOUND_TARGET, HTTP_BOUND_HEAD, HTTP_BOUND_FIELDS, HTTP_BOUND_BODY };

struct http_error {
  int status;         /* 400, 413, 414, 417, 431, 501, or 505; 503 if out of memory */
  const char *reason; /* the fault: a constant in plain ASCII */
  enum http_bound exceeded;
};

struct http_reader;

/* Returns a reader, which the caller owns, or NULL if out of memory. `limits` is borrowed and must
 * outlive the reader. */
struct http_reader *http_reader_new(const struct http_limits *limits);
void http_reader_free(struct http_reader *reader); /* NULL is allowed */

/* Reads some of `input` and returns an event; *used receives the number of bytes read. Call again
 * with the rest until HTTP_MORE. After HTTP_HEAD, call again (without input, if none is left) to
 * read the body. After HTTP_DONE, the next call releases the request and begins the next one. If
 * the connection is not kept alive, the reader then ignores all further input. */
enum http_event http_reader_next(struct http_reader *reader, struct bytes input, size_t *used);
/* After HTTP_ERROR in a head, or with an incomplete head: fills http_reader_head with its valid
 * parts. These are the method, the request line, the path unless the target is a URL, and the
 * complete fields. A complete head does not change. */
void http_reader_salvage(struct http_reader *reader);
const struct http_head *http_reader_head(const struct http_reader *reader);
struct bytes http_reader_body(const struct http_reader *reader);
struct http_error http_reader_error(const struct http_reader *reader);
/* Frees the part of the body that was read. Nothing more is read. */
void http_reader_drop_body(struct http_reader *reader);
/* Between HTTP_DONE and the next request: keeps the method, the host, and the fields of these
 * names, and frees the rest, body included. */
void http_reader_shed(struct http_reader *reader, const struct bytes *names, size_t name_count);
/* Returns true between requests: no byte of the next one was read. */
bool http_reader_idle(const struct http_reader *reader);

/* Returns the value of a field, or ptr NULL. If the name occurs more than once, the last one
 * counts. Names are compared regardless of case. */
struct bytes http_head_field(const struct http_head *head, struct bytes name);
/* Returns how many fields have that name. */
size_t http_head_count(const struct http_head *head, struct bytes name);
/* Returns true if a field of that name lists the token (RFC 9110 section 5.6.1). */
bool http_head_lists(const struct http_head *head, struct bytes name, struct bytes token);
/* Returns the credentials of "Authorization: Bearer …" (RFC 6750 section 2.1), or empty bytes. */
struct bytes http_head_bearer(const struct http_head *head);
/* Returns true if If-None-Match has the entity tag, which is given with its quotes: the answer is
 * 304 (RFC 9110 section 13.1.2). */
bool http_head_has_tag(const struct http_head *head, struct bytes tag);

VISIBILITY_POP

#endif
