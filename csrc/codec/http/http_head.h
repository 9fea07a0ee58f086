/* Slices and checks the head of a request: the part of reading HTTP that does not need parser
 * state. */
#ifndef MOONWIRE_CODEC_HTTP_HEAD_H
#define MOONWIRE_CODEC_HTTP_HEAD_H

#include "base/buffer.h"
#include "codec/http/http_reader.h"

VISIBILITY_PUSH

/* How the body is delimited (RFC 9112 section 6.3). Without a body, length is 0 and chunked is
 * false. */
struct http_framing {
  bool chunked;
  uint64_t length;
};

/* The functions below that return an http_error return status 0 if they accept the request. */

/* Reads a request line without its CRLF into the members method, target, and minor of `head`. */
struct http_error http_head_read_line(struct http_head *head, struct bytes line, size_t target_max);
/* Slices `text` into head->field_count fields. `text` is the lines after the request line, up to
 * and including the empty one, and each ends in CRLF. `fields` must have room for them;
 * head->fields then points to it. */
struct http_error http_head_read_fields(struct http_head *head, struct bytes text, struct http_field *fields);
/* Determines how the body is delimited, and sets has_length. */
struct http_error http_head_frame(struct http_head *head, struct http_framing *framing);
/* Checks the target, Host, the fields that may occur only once, Expect, Connection, and Upgrade,
 * and sets the other members of `head`. `fields` are those of the head. A target in absolute form
 * is reduced in place: its bytes are changed, and Host receives its host. */
struct http_error http_head_check(struct http_head *head, struct http_field *fields, const struct http_framing *framing,
                                  char *target);

/* Returns the number of complete lines after the request line, without the empty one. */
size_t http_head_count_lines(struct bytes text);
/* Reads the valid parts of a head that is malformed or incomplete: the method, the request line,
 * the path unless the target is a URL, and up to `field_max` fields. */
void http_head_salvage(struct http_head *head, struct bytes text, struct http_field *fields, size_t field_max, size_t target_max);
/* Copies the method, the host, and the fields of these names to a new *text, and frees the old text
 * and everything else. If out of memory, nothing changes. */
void http_head_shed(struct http_head *head, struct buffer *text, struct http_field *fields, const struct bytes *names,
                    size_t name_count);

/* Returns true for a token (RFC 9110 section 5.6.2), such as a method or a field name. */
bool http_token_valid(struct bytes text);
/* Returns true if `text` can be the value of a field: no control characters except tab. */
bool http_value_valid(struct bytes text);

VISIBILITY_POP

#endif
