/* Cross-site request forgery: a page of another site sends a request, and the browser adds the
 * user's cookies to it. */
#ifndef MOONWIRE_HTTP_CSRF_H
#define MOONWIRE_HTTP_CSRF_H

#include "codec/http/http_reader.h"

VISIBILITY_PUSH

struct exchange;

/* Returns true if the content type is application/json, which a page of another site can only send
 * after a preflight (Fetch standard, CORS-safelisted request-header). */
bool csrf_is_json(const struct http_head *head);
/* Returns true if the request may be forged, so that its cookie proves nothing: it has one, and
 * neither comes from a page that is trusted (cors_trusts) nor is JSON. */
bool csrf_suspects(struct exchange *exchange);
/* The reason of a refusal. */
extern const char csrf_refusal[];

VISIBILITY_POP

#endif
