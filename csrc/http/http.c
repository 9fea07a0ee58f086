#include "http/http.h"

#include <assert.h>

#include "base/memory.h"
#include "base/random.h"
#include "http/conn.h"

static void on_expiry(struct timers *timers, struct timer *timer) {
  container_of(timers, struct http, expiries)->sessions->expire(timer);
}

int http_init(struct http *http, void (*on_second)(struct timers *timers)) {
  list_init(&http->conns);
  list_init(&http->unflushed);
  unfinished_init(&http->unfinished);
  random_fill(&http->random, sizeof http->random);
  http->random |= 1;
  http->read_buffer = memory_alloc(HTTP_READ_BUFFER);
  if (!http->read_buffer) return MW_ENOMEM;
  int status = timers_init(&http->timers, http->loop, conn_on_due, on_second);
  if (status < 0) {
    memory_free(http->read_buffer);
    return status;
  }
  timers_init_driven(&http->expiries, http->loop, on_expiry);
  conn_class_init(&http->accepted, http, http->protocol);
  conn_class_init(&http->forwarded, http, http->forwarded_protocol);
  return 0;
}

void http_accept(struct http *http, struct listener *listener) { conn_accept(&http->accepted, listener); }

void http_accept_descriptor(struct http *http, enum stream_kind kind, int fd, const char *address, bool is_private,
                            bool has_header) {
  conn_accept_descriptor(&http->accepted, kind, fd, address, is_private, has_header);
}

int http_accept_memory(struct http *http, struct stream_peer *peer) { return conn_accept_memory(&http->accepted, peer); }

/* Connections that are closing stay in the list until they are closed. */
void http_stop(struct http *http, bool is_due) {
  for (struct list *link = http->conns.next; link != &http->conns; link = link->next) {
    conn_stop(container_of(link, struct conn, link), is_due);
  }
}

void http_abort(struct http *http) {
  for (struct list *link = http->conns.next, *next; link != &http->conns; link = next) {
    next = link->next;
    conn_abort(container_of(link, struct conn, link));
  }
}

void http_close(struct http *http) {
  http_abort(http);
  timers_close(&http->timers);
}

void http_deinit(struct http *http) {
  assert(http->conn_count == 0 && "connections were miscounted");
  assert(http->unfinished.bytes == 0 && http->unfinished.count == 0 && "bytes of unfinished messages were miscounted");
  memory_free(http->put_off.items);
  memory_free(http->read_buffer);
}

void http_second(struct http *http) {
  unfinished_expire(http);
  timers_run(&http->expiries);
}

void http_flush(struct http *http) {
  while (!list_empty(&http->unflushed)) {
    struct conn_flush *flush = container_of(http->unflushed.next, struct conn_flush, link);
    list_remove(&flush->link);
    conn_class_of(flush->conn)->protocol->flush(flush->conn);
  }
}

uint32_t http_random(struct http *http, uint32_t low, uint32_t high) {
  http->random ^= http->random << 13;
  http->random ^= http->random >> 7;
  http->random ^= http->random << 17;
  return low + (uint32_t)(http->random % (high - low + 1));
}
