/* Exchanges of clients that poll, which last from one poll to the next and have no peer (http/exchange.h). */
#include "http/http1/http1.h"

struct exchange *exchange_without_peer(struct http *http, const struct role *role) {
  struct conn *conn = conn_new(&http->accepted, STREAM_NONE);
  if (!conn) return NULL;
  struct exchange *exchange = http1_exchange(conn);
  conn->timer.note = http->timers.tick;
  exchange_become(exchange, role);
  exchange_set_state(exchange, EXCHANGE_READING);
  exchange_set_state(exchange, EXCHANGE_STREAMING);
  return exchange;
}

bool exchange_has_peer(const struct exchange *exchange) { return stream_has_peer(&http1_of_exchange(exchange)->conn.stream); }
