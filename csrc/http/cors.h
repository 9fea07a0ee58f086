/* CORS (Fetch standard, "HTTP extensions"): which pages may send a request, and the fields by which
 * they may read the answer.
 *
 * The head of every answer to a request with request->is_shared has these fields (exchange.c),
 * refusals included: a page that cannot read an answer believes that its request failed. */
#ifndef MOONWIRE_HTTP_CORS_H
#define MOONWIRE_HTTP_CORS_H

#include "codec/http/http_fields.h"

VISIBILITY_PUSH

struct exchange;

/* Returns true if the request has no Origin, the server's own, or a listed one. */
bool cors_allows(struct exchange *exchange);
/* Appends Vary, and the fields by which a page of a listed origin may read the answer. Appends
 * nothing if `fields`, the answer's other fields, already have an Access-Control-Allow-Origin: then
 * the app decides. */
void cors_add(struct exchange *exchange, const struct http_fields *fields, struct http_fields *out);
/* Appends the further fields of an answer to a preflight: the page may use `methods` ("GET, HEAD")
 * and the headers that it lists. Appends nothing if the request is not a preflight of an allowed
 * origin. */
void cors_add_preflight(struct exchange *exchange, struct bytes methods, struct http_fields *out);

VISIBILITY_POP

#endif
