/* Header fields of an answer, as names and values. What they look like on the wire is up to the
 * protocol: HTTP/1 prints them, HTTP/2 would compress them. */
#ifndef MOONWIRE_CODEC_HTTP_FIELDS_H
#define MOONWIRE_CODEC_HTTP_FIELDS_H

#include "base/blob.h"
#include "base/buffer.h"
#include "codec/http/http_reader.h"

VISIBILITY_PUSH

struct http_fields {
  struct buffer text; /* of each field: name, NUL, value, NUL; neither can have a NUL in it */
};

void http_fields_init(struct http_fields *fields);
void http_fields_deinit(struct http_fields *fields);

/* Appends a field. False, and nothing appended, if the name is not a token or the value has a
 * control character other than tab. If out of memory, fields->text has failed. */
bool http_fields_add(struct http_fields *fields, struct bytes name, struct bytes value);
/* Appends all of `more`; NULL: none. */
void http_fields_add_all(struct http_fields *fields, const struct http_fields *more);
/* True if there is a field of that name, compared without regard to case. NULL: there is none. */
bool http_fields_have(const struct http_fields *fields, struct bytes name);
/* True for the fields that every answer has, or that frame it: the app must not set them. */
bool http_field_is_reserved(struct bytes name);

/* Walks the fields: start with a cursor of 0. False: there are no more. NULL is an empty list. */
bool http_fields_next(const struct http_fields *fields, size_t *cursor, struct http_field *field);

/* Keeps the fields as one blob; NULL if out of memory, then or before. */
struct blob *http_fields_keep(const struct http_fields *fields);
/* Returns the fields that are kept in the blob, which is borrowed; they may not be appended to. */
struct http_fields http_fields_kept(const struct blob *blob);

/* "Cache-Control: no-store" and nothing else. */
extern const struct http_fields http_fields_no_store;
/* What every event stream has: its type, and what keeps proxies from holding it back. */
extern const struct http_fields http_fields_event_stream;

VISIBILITY_POP

#endif
