/* Slices the head of a request and judges it: the part of reading HTTP that needs no parser state. */
#ifndef MOONWIRE_CODEC_HTTP_HEAD_H
#define MOONWIRE_CODEC_HTTP_HEAD_H

#include "base/buffer.h"
#include "codec/http_reader.h"

VISIBILITY_PUSH

/* How the body is delimited (RFC 9112 section 6.3). Without a body, length is 0 and chunked false. */
struct http_framing {
  bool chunked;
  uint64_t length;
};

/* All of these return status 0 if there is nothing to refuse. */

/* Reads a request line without its CRLF into method, target and minor of `head`. */
struct http_error http_head_read_line(struct http_head *head, struct bytes line, size_t target_max);
/* Slices `text`, the lines behind the request line up to and including the empty one, each ending in CRLF, into
 * head->field_count fields. `fields` has room for them, and head->fields points there afterwards. */
struct http_error http_head_read_fields(struct http_head *head, struct bytes text, struct http_field *fields);
/* Finds out how the body is delimited, and sets has_length. */
struct http_error http_head_frame(struct http_head *head, struct http_framing *framing);
/* Judges target, Host, the fields that may come only once, Expect, Connection and Upgrade, and sets what is left of `head`.
 * `fields` are those of the head. An absolute-form target is reduced in place: its bytes are written to, and Host gets its host. */
struct http_error http_head_check(struct http_head *head, struct http_field *fields, const struct http_framing *framing,
                                  char *target);

/* The complete lines after the request line, without the empty one. */
size_t http_head_count_lines(struct bytes text);
/* Reads what is well formed of `text`, a head that is wrong somewhere or not complete: method, request line, path unless the target is a
 * URL, and up to `field_max` fields. */
void http_head_salvage(struct http_head *head, struct bytes text, struct http_field *fields, size_t field_max, size_t target_max);
/* Moves method and host and the fields of these names to a new *text, and gives back the old one and all else. Without memory
 * nothing is changed. */
void http_head_shed(struct http_head *head, struct buffer *text, struct http_field *fields, const struct bytes *names,
                    size_t name_count);

/* True if it is a token (RFC 9110 section 5.6.2): a method, a field name. */
bool http_token_valid(struct bytes text);
/* True if it can be a field's value: no control characters but tab. */
bool http_value_valid(struct bytes text);

VISIBILITY_POP

#endif
