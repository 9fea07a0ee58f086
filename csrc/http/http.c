#include "http/http.h"

#include <assert.h>

#include "base/memory.h"
#include "base/random.h"
#include "http/conn.h"
#include "http/exchange_sink.h"

enum { READ_BUFFER = 64 * 1024 };

int http_init(struct http *http, void (*on_second)(struct timers *timers)) {
  list_init(&http->conns);
  list_init(&http->put_off);
  unfinished_init(&http->unfinished);
  random_fill(&http->random, sizeof http->random);
  http->random |= 1;
  http->streams = (struct stream_owner){.loop = http->loop,
                                        .read_buffer = memory_alloc(READ_BUFFER),
                                        .read_buffer_size = READ_BUFFER,
                                        .may_read = conn_may_read,
                                        .on_read = conn_on_read,
                                        .on_end = conn_on_end,
                                        .on_written = conn_on_written,
                                        .on_closed = conn_on_closed};
  if (!http->streams.read_buffer) return MW_ENOMEM;
  int status = timers_init(&http->timers, http->loop, conn_on_due, on_second);
  if (status < 0) {
    memory_free(http->streams.read_buffer);
    return status;
  }
  for (enum form form = 0; form <= FORM_WS_OWN; form++) {
    for (size_t chunked = 0; chunked < 2; chunked++)
      sink_init(&http->sinks[form][chunked], &exchange_sink, http->delivery, form, form_framing(form, chunked));
  }
  return 0;
}

void http_close(struct http *http) {
  for (struct list *link = http->conns.next, *next; link != &http->conns; link = next) {
    next = link->next;
    conn_abort(container_of(link, struct conn, link));
  }
  timers_close(&http->timers);
}

void http_deinit(struct http *http) {
  assert(http->conn_count == 0 && http->poll_client_count == 0 && "connections were miscounted");
  assert(http->unfinished.bytes == 0 && http->unfinished.count == 0 && "bytes of unfinished messages were miscounted");
  memory_free(http->streams.read_buffer);
}

void http_second(struct http *http) { unfinished_expire(http); }

uint32_t http_random(struct http *http, uint32_t low, uint32_t high) {
  http->random ^= http->random << 13;
  http->random ^= http->random >> 7;
  http->random ^= http->random << 17;
  return low + (uint32_t)(http->random % (high - low + 1));
}
