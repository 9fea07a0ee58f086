#include "server/worker.h"

#include <assert.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/random.h"
#include "base/status.h"
#include "codec/envelope.h"
#include "codec/ws/ws_deflate.h"
#include "delivery/subscriber.h"
#include "dialect/native.h"
#include "http/forward/forward.h"
#include "http/http1/http1.h"
#include "server/server.h"
#include "server/upkeep.h"
#include "session/names.h"
#include "transport/exchange_session.h"
#include "transport/http_session.h"
#include "transport/roles.h"
#include "transport/websocket/deflate.h"

enum { TURN_BYTES = 8 * 1024 * 1024 };

static void on_second(struct timers *timers) {
  struct worker *worker = container_of(timers, struct worker, http.timers);
  if (worker->hub.rosters_lost > 0) worker->hub.rosters_lost--;
  http_second(&worker->http);
  transport_second(&worker->transport);
  if (worker->index == 0) upkeep_second(worker->server);
  if (worker->server->worker_count == 1) script_second(&worker->server->script);
}

void worker_use_config(struct worker *worker, const struct mw_config *config) {
  const struct mw_limits *limits = &config->options.limits;
  worker->delivery.replay.messages = limits->replay;
  worker->delivery.replay.bytes = limits->replay_bytes;
  worker->delivery.deflate_min = deflate_min(&config->options.deflate);
  mailbox_set_limit(&worker->mailbox, limits->queue);
  transport_set_limits(&worker->transport, limits);
}

/* ---- Older messages, which the broker has ---------------------------------------------------- */

/* For subscribers that wait for them (delivery/fetching.h). */
struct page_wait {
  struct completion completion;
  struct bytes channel; /* of a kept one: below */
  char text[CHANNEL_NAME_MAX];
};

static struct page_wait *wait_of(struct completion *completion) { return container_of(completion, struct page_wait, completion); }

static void on_page(struct completion *completion, int status) {
  struct page_wait *wait = wait_of(completion);
  order_end_waiting(completion->http->app);
  delivery_fetched(completion->http->delivery, wait->channel, status);
  memory_free(wait);
}

static struct completion *keep_page(struct completion *completion) {
  struct page_wait *kept = memory_alloc(sizeof *kept);
  if (!kept || !order_begin_waiting(completion->http->app)) {
    memory_free(kept);
    return NULL;
  }
  *kept = *wait_of(completion);
  kept->channel.ptr = kept->text;
  return &kept->completion;
}

static int fetch_page(void *context, struct bytes channel, uint64_t until) {
  struct worker *worker = context;
  struct orderer *orderer = worker->server->app.orderer;
  struct page_wait wait = {.completion = {.http = &worker->http, .keep = keep_page, .on_done = on_page},
                           .channel = bytes_of(NULL, channel.len)};
  if (channel.len > sizeof wait.text) return MW_EINVAL;
  memcpy(wait.text, channel.ptr, channel.len);
  int status = orderer->page(orderer, channel, until, &wait.completion);
  return status == MW_PENDING ? 0 : MW_EUNAVAILABLE;
}

int worker_init(struct worker *worker, struct mw_server *server, uint32_t index, struct loop *loop) {
  const struct mw_limits *limits = &server->app.config->options.limits;
  worker->server = server;
  worker->index = index;
  worker->loop = loop;
  worker->epoch = bus_epoch(&server->bus);
  slots_init(&worker->slots, index, SLOTS_MAX);
  int status = mailbox_init(&worker->mailbox, loop, limits->queue);
  if (status < 0) return status;
  hub_init(&worker->hub, &server->store, subscriber_deliver);
  worker->delivery = (struct delivery){.hub = &worker->hub,
                                       .clock = &loop->clock,
                                       .epoch = &worker->epoch,
                                       .stats = &worker->stats,
                                       .replay = {.messages = limits->replay, .bytes = limits->replay_bytes},
                                       .form_users = &server->bus.forms,
                                       .deflate_min = deflate_min(&server->app.config->options.deflate),
                                       .turn_bytes = TURN_BYTES,
                                       .fetch = server->broker ? fetch_page : NULL,
                                       .fetch_context = worker};
  worker->http = (struct http){.app = &server->app,
                               .delivery = &worker->delivery,
                               .slots = &worker->slots,
                               .loop = loop,
                               .stats = &worker->stats,
                               .router = &transport_router,
                               .protocol = &http1_protocol,
                               .forwarded_protocol = &forwarded_protocol,
                               .sessions = &server_http_session,
                               .session = &exchange_session,
                               .transport = &worker->transport};
  transport_init(&worker->transport, &worker->http, &native_dialects);
  status = http_init(&worker->http, on_second);
  if (status < 0) {
    hub_deinit(&worker->hub);
    mailbox_deinit(&worker->mailbox);
  }
  return status;
}

void worker_close(struct worker *worker) {
  http_close(&worker->http);
  transport_stop(&worker->transport, true);
  delivery_flush(&worker->delivery);
  mailbox_drop(&worker->mailbox);
}

void worker_deinit(struct worker *worker) {
  mailbox_drop(&worker->mailbox); /* mail of the app's last callbacks */
  http_deinit(&worker->http);
  transport_deinit(&worker->transport);
  delivery_deinit(&worker->delivery);
  hub_deinit(&worker->hub);
  mailbox_deinit(&worker->mailbox);
  slots_deinit(&worker->slots);
}

void worker_drain(struct worker *worker) {
  struct mail *mail;
  while ((mail = mailbox_take(&worker->mailbox)) != NULL)
    mail->class->take(mail, &worker->http, slots_find(&worker->slots, mail->to));
}

/* ---- The end of a turn ----------------------------------------------------------------------- */

void worker_flush(struct worker *worker) {
  bool goes_on = delivery_flush(&worker->delivery);
  http_flush(&worker->http);
  if (goes_on) loop_wake(worker->loop);
}

void worker_turn(struct worker *worker) {
  delivery_begin_turn(&worker->delivery);
  worker_drain(worker);
  worker_flush(worker);
  if (!worker->loop->has_polled) return;
  budget_resume(&worker->http);
  worker_flush(worker);
}

void worker_stop(struct worker *worker, bool is_due) {
  http_stop(&worker->http, is_due);
  transport_stop(&worker->transport, is_due);
}

bool worker_busy(struct worker *worker) {
  return worker->delivery.dirty || !list_empty(&worker->http.unflushed) || !mailbox_empty(&worker->mailbox);
}
