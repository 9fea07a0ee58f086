#include "transport/websocket/deflate.h"

#include "base/memory.h"
#include "delivery/compress.h"
#include "dialect/dialect.h"
#include "transport/exchange_session.h"

/* Smaller messages are sent uncompressed: there is little to gain. */
enum { MIN_DEFAULT = 256 };

struct bytes deflate_agree(const struct http_head *head, const struct mw_deflate_options *options, struct ws_deflate_terms *terms,
                           char out[WS_EXTENSION_MAX]) {
  struct ws_deflate_policy policy = {
      .server_takeover = options->server_takeover, .client_takeover = options->client_takeover, .window = WS_WINDOW_15};
  return ws_extension_agree(head, options->is_off ? NULL : &policy, terms, out);
}

bool deflate_begin(struct exchange *exchange, struct ws_deflate_terms terms, size_t min) {
  if (!terms.agreed) return true;
  struct session *session = terms.server_takeover ? session_get(&exchange->subscriber) : NULL;
  struct own_deflate *own = session ? memory_calloc(1, sizeof *own) : NULL;
  if (terms.server_takeover && !own) return false;
  if (own) *own = (struct own_deflate){.window = (enum ws_window)terms.window, .min = min};
  if (own) session->extra.own = own;
  if (terms.client_takeover) exchange->flags |= EXCHANGE_TAKES_OVER;
  const struct dialect *dialect = exchange_dialect(exchange);
  exchange_set_dialect(exchange, dialect, own ? dialect->own : &dialect->compressed[terms.window]);
  return true;
}

struct ws_deflate_terms deflate_terms(struct exchange *exchange) {
  return (struct ws_deflate_terms){.agreed = exchange_form(exchange)->plain != NULL,
                                   .client_takeover = exchange->flags & EXCHANGE_TAKES_OVER};
}

size_t deflate_min(const struct mw_deflate_options *options) { return options->min > 0 ? options->min : MIN_DEFAULT; }
