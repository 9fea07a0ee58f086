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

/* Returns true if the request has the server's own Origin, or a listed one. Without Origin, only a
 * page of another site is refused, which Sec-Fetch-Site reveals (Fetch Metadata): browsers send no
 * Origin when a page opens another, or loads an image. */
bool cors_allows(struct exchange *exchange);
/* The reason for requests that it does not allow. */
extern const char cors_refusal[];
/* Returns true if the cookies of the request count: it does not come from a page, or from one of
 * the same origin, or of an origin that is listed by name. "*" does not make a page trusted. */
bool cors_trusts(struct exchange *exchange);
/* Returns true if the request names such a page. Requests of other clients do not. */
bool cors_proves_trust(struct exchange *exchange);
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
