/* A request as the app sees it, independent of its connection. */
#ifndef MOONWIRE_APP_HTTP_COPY_H
#define MOONWIRE_APP_HTTP_COPY_H

#include "base/bytes.h"
#include "codec/http/http_head.h"
#include "moonwire.h"

VISIBILITY_PUSH

/* A copy of an HTTP request, which outlives its connection. */
struct http_copy {
  size_t size; /* of all of it */
  struct mw_http http;
  struct mw_http_field fields[];
};
/* Where a request comes from. */
struct http_source {
  const char *remote;  /* terminated */
  struct bytes scheme; /* a constant; empty: "http" */
  bool is_by_proxy;
};
/* Returns a copy, or NULL if out of memory. */
struct http_copy *http_copy_new(const struct http_head *head, struct bytes path, struct bytes body,
                                const struct http_source *source);

/* Returns a copy with only the headers Host and Origin, and without query and body, or NULL if out
 * of memory. */
struct http_copy *http_copy_essence(const struct http_copy *from);
/* Returns a copy with a token of its own (empty: the token of `from`), or NULL if out of memory. */
struct http_copy *http_copy_with_token(const struct http_copy *from, struct bytes token);
/* Returns a request that has only a token, or NULL if out of memory. */
struct http_copy *http_copy_of_token(struct bytes token);

VISIBILITY_POP

#endif
