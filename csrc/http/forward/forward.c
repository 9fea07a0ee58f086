/* The half of the worker whose peer waits (http/forward/forward.h). */
#include "http/forward/forward.h"

#include <string.h>

#include "base/memory.h"
#include "base/refs.h"
#include "http/request.h"

/* How much longer than a poll may wait: for the other worker's queue, and for the script. */
enum { GRACE_MS = 10000 };

static const struct role forward_role, forward_poll_role;

/* ---- The request ----------------------------------------------------------------------------- */

static size_t text_len(const struct http_head *head, struct bytes body) {
  size_t len = head->method.len + head->target.len + head->path.len + head->query.len + head->host.len + body.len;
  for (size_t i = 0; i < head->field_count; i++) len += head->fields[i].name.len + head->fields[i].value.len;
  return len;
}

/* A slice without a pointer stays one: it means that there is nothing. */
static struct bytes place(char **at, struct bytes from) {
  struct bytes copy = bytes_of(from.ptr ? *at : NULL, from.len);
  if (from.len > 0) memcpy(*at, from.ptr, from.len);
  *at += from.len;
  return copy;
}

static struct forward *forward_new(const struct http_head *head, struct bytes body, uint32_t *size) {
  size_t header_size = head->field_count * sizeof *head->fields;
  size_t all = sizeof(struct forward) + header_size + text_len(head, body);
  struct forward *forward = memory_calloc(1, all);
  if (!forward) return NULL;
  *size = mail_size(all);
  atomic_init(&forward->refs, 1);
  char *at = (char *)&forward->header[head->field_count];
  forward->head = *head;
  forward->head.method = place(&at, head->method);
  forward->head.target = place(&at, head->target);
  forward->head.path = place(&at, head->path);
  forward->head.query = place(&at, head->query);
  forward->head.host = place(&at, head->host);
  forward->head.fields = forward->header;
  for (size_t i = 0; i < head->field_count; i++)
    forward->header[i] = (struct http_field){place(&at, head->fields[i].name), place(&at, head->fields[i].value)};
  forward->body = place(&at, body);
  return forward;
}

struct forward *forward_ref(struct forward *forward) {
  refs_add(&forward->refs);
  return forward;
}

void forward_unref(struct forward *forward) {
  if (!refs_remove(&forward->refs)) return;
  blob_unref(forward->fields);
  blob_unref(forward->text);
  memory_free(forward);
}

static void refuse(struct exchange *exchange) {
  exchange_refuse(exchange, 503, "unavailable", "temporarily unavailable; retry", bytes_of(NULL, 0));
}

void exchange_forward(struct exchange *exchange, uint32_t worker, enum forward_wait wait) {
  struct http *http = exchange_http(exchange);
  struct request *request = exchange_request(exchange);
  uint32_t size = 0;
  bool is_poll = wait == FORWARD_POLL;
  exchange_end_role(exchange);
  exchange_become(exchange, is_poll ? &forward_poll_role : &forward_role);
  bool has_name = slots_take(http->slots, &exchange->subscriber, &exchange->slot) == 0;
  struct forward *forward = has_name ? forward_new(request->head, request->body, &size) : NULL;
  request->of_role = NULL;
  if (!forward) {
    refuse(exchange);
    return;
  }
  forward->is_private = request->is_private;
  forward->due_ms = http->loop->clock.now_ms + http->app->config->options.limits.poll_ms + GRACE_MS;
  exchange_remote(exchange, forward->remote, sizeof forward->remote);
  forward->scheme = exchange_scheme(exchange);
  forward->is_trusted = exchange_is_trusted(exchange);
  forward->answer = (struct mail){.class = &forward_answer, .to = slots_address(http->slots, exchange->slot)};
  forward->cancel = (struct mail){.class = &forwarded_cancel, .to = {.worker = worker}};
  forward->begin = (struct mail){.class = &forwarded_begin, .to = {.worker = worker}, .size = size};
  forward_ref(forward);
  if (http->app->workers->post(http->app, &forward->begin) < 0) {
    forward_unref(forward);
    forward_unref(forward);
    refuse(exchange);
    return;
  }
  request->of_role = forward;
  exchange_set_state(exchange, is_poll ? EXCHANGE_WAITING : EXCHANGE_ASKING);
  exchange_shed(exchange);
}

/* ---- The answer ------------------------------------------------------------------------------ */

/* Returns what the exchange waits for, or NULL. */
static struct forward *forward_of(struct exchange *exchange) {
  bool waits = exchange && (exchange->role == &forward_role || exchange->role == &forward_poll_role);
  return waits && exchange_request(exchange) ? exchange_request(exchange)->of_role : NULL;
}

static void take_answer(struct mail *mail, void *room, struct subscriber *subscriber) {
  struct forward *forward = container_of(mail, struct forward, answer);
  struct exchange *exchange = exchange_of(subscriber);
  (void)room;
  if (forward_of(exchange) == forward) {
    exchange_request(exchange)->of_role = NULL;
    forward_unref(forward);
    if (forward->status > 0) {
      struct http_fields fields = http_fields_kept(forward->fields);
      exchange_answer(exchange,
                      &(struct answer){.status = forward->status, .fields = &fields, .body = blob_bytes(forward->text)});
    } else {
      refuse(exchange);
    }
  }
  forward_unref(forward);
}

static void drop_answer(struct mail *mail) { forward_unref(container_of(mail, struct forward, answer)); }

const struct mail_class forward_answer = {.take = take_answer, .drop = drop_answer};

/* ---- The role of the exchange that waits ----------------------------------------------------- */

static uint64_t left_ms(struct exchange *exchange) {
  const struct forward *forward = forward_of(exchange);
  uint64_t now_ms = exchange_http(exchange)->loop->clock.now_ms;
  return forward && forward->due_ms > now_ms ? forward->due_ms - now_ms : 0;
}

/* No answer is needed any more. */
static void on_end(struct exchange *exchange) {
  struct request *request = exchange_request(exchange);
  struct forward *forward = request ? request->of_role : NULL;
  if (!forward) return;
  request->of_role = NULL;
  /* The mail takes over the reference. */
  exchange_app(exchange)->workers->post(exchange_app(exchange), &forward->cancel);
}

#define FORWARDS                                                                                                                 \
  .start = role_nothing, .on_answer = role_nothing_on_answer, .on_late = refuse, .finishes = role_always_finishes,               \
  .on_end = on_end, .left_ms = left_ms, ROLE_WRITES_AT_ONCE, ROLE_NEVER_STREAMS

static const struct role forward_role = {FORWARDS};
static const struct role forward_poll_role = {FORWARDS, .needs_peer = true};
