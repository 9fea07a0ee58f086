#include "server/worker.h"

#include <assert.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/random.h"
#include "codec/ws_deflate.h"
#include "delivery/subscriber.h"
#include "http/conn.h"
#include "http/exchange_sink.h"
#include "server/names.h"
#include "server/server.h"
#include "server/upkeep.h"
#include "transport/deflate.h"
#include "transport/roles.h"

enum { READ_BUFFER = 64 * 1024, TURN_BYTES = 8 * 1024 * 1024 };

static void on_second(struct timers *timers) {
  struct worker *worker = container_of(timers, struct worker, timers);
  if (worker->hub.rosters_lost > 0) worker->hub.rosters_lost--;
  unfinished_expire(worker);
  if (worker->index == 0) upkeep_second(worker->server);
  if (worker->index == 0) script_second(worker->server);
}

int worker_init(struct worker *worker, struct mw_server *server, uint32_t index, struct loop *loop) {
  const struct mw_limits *limits = &server->config->options.limits;
  *worker = (struct worker){.server = server, .index = index, .loop = loop, .router = &transport_router};
  worker->ws_limits = (struct ws_limits){.frame = limits->ws_message_size, .message = limits->ws_message_size};
  slots_init(&worker->slots, index, SLOTS_MAX);
  list_init(&worker->conns);
  list_init(&worker->put_off);
  unfinished_init(&worker->unfinished);
  random_fill(&worker->random, sizeof worker->random);
  worker->random |= 1;
  worker->streams = (struct stream_owner){.loop = loop,
                                          .read_buffer = memory_alloc(READ_BUFFER),
                                          .read_buffer_size = READ_BUFFER,
                                          .may_read = conn_may_read,
                                          .on_read = conn_on_read,
                                          .on_end = conn_on_end,
                                          .on_written = conn_on_written,
                                          .on_closed = conn_on_closed};
  if (!worker->streams.read_buffer) return MW_ENOMEM;
  int status = mailbox_init(&worker->fifo, loop, limits->queue);
  if (status < 0) goto fail_buffer;
  status = timers_init(&worker->timers, loop, conn_on_due, on_second);
  if (status < 0) goto fail_mailbox;
  hub_init(&worker->hub, &server->store, subscriber_deliver);
  worker->delivery = (struct delivery){.hub = &worker->hub,
                                       .clock = &loop->clock,
                                       .epoch = &server->bus.epoch,
                                       .stats = &worker->stats,
                                       .replay = limits->replay,
                                       .replay_bytes = limits->replay_bytes,
                                       .deflate_min = deflate_min(&server->config->options.deflate),
                                       .turn_bytes = TURN_BYTES};
  for (enum form form = 0; form <= FORM_WS_OWN; form++) {
    for (size_t chunked = 0; chunked < 2; chunked++)
      sink_init(&worker->sinks[form][chunked], &exchange_sink, &worker->delivery, form, form_framing(form, chunked));
  }
  return 0;

fail_mailbox:
  mailbox_deinit(&worker->fifo);
fail_buffer:
  memory_free(worker->streams.read_buffer);
  return status;
}

void worker_close(struct worker *worker) {
  for (struct list *link = worker->conns.next, *next; link != &worker->conns; link = next) {
    next = link->next;
    conn_abort(container_of(link, struct conn, link));
  }
  mailbox_drop(&worker->fifo);
  timers_close(&worker->timers);
}

/* Every connection has gone, and nothing of any of them is left. */
static void assert_empty(const struct worker *worker) {
  assert(worker->conn_count == 0 && worker->poll_client_count == 0 && "connections were miscounted");
  assert(worker->unfinished.bytes == 0 && worker->unfinished.count == 0 && "bytes of unfinished messages were miscounted");
}

void worker_deinit(struct worker *worker) {
  mailbox_drop(&worker->fifo); /* what the app's last callbacks said */
  assert_empty(worker);
  ws_reader_free(worker->spare_reader);
  for (size_t i = 0; i < 2; i++) blob_unref(worker->pings[i]);
  delivery_deinit(&worker->delivery);
  hub_deinit(&worker->hub);
  mailbox_deinit(&worker->fifo);
  slots_deinit(&worker->slots);
  memory_free(worker->streams.read_buffer);
}

void worker_drain(struct worker *worker) {
  struct mail *mail;
  while ((mail = mailbox_take(&worker->fifo)) != NULL) mail->class->take(mail, worker, slots_find(&worker->slots, mail->to));
}

/* ---- The end of a turn ---------------------------------------------------------------------------------------------------- */

void worker_flush(struct worker *worker) {
  if (delivery_flush(&worker->delivery)) loop_wake(worker->loop);
}

bool worker_busy(struct worker *worker) { return worker->delivery.dirty || !mailbox_empty(&worker->fifo); }

uint32_t worker_random(struct worker *worker, uint32_t low, uint32_t high) {
  worker->random ^= worker->random << 13;
  worker->random ^= worker->random >> 7;
  worker->random ^= worker->random << 17;
  return low + (uint32_t)(worker->random % (high - low + 1));
}
