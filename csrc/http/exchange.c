#include "http/exchange.h"

#include <assert.h>

#include "app/socket.h"
#include "base/log_limit.h"
#include "http/admission/remote.h"
#include "http/request.h"

void exchange_init(struct exchange *exchange, struct conn_class *class) {
  const struct sink *sink = conn_class_sink(class, NULL, &form_text, false);
  *exchange = (struct exchange){.subscriber.sink = sink, .slot = SLOT_NONE, .state = EXCHANGE_IDLE};
}

void exchange_deinit(struct exchange *exchange) {
  delivery_forget(exchange->subscriber.sink->delivery, &exchange->subscriber);
  outbox_free(exchange->subscriber.outbox);
}

void exchange_set_dialect(struct exchange *exchange, const struct dialect *dialect, const struct form_class *form) {
  exchange->subscriber.sink = conn_class_sink(exchange_class(exchange), dialect, form, false);
}

void exchange_set_chunked(struct exchange *exchange, bool chunked) {
  exchange->subscriber.sink =
      conn_class_sink(exchange_class(exchange), exchange_dialect(exchange), exchange_form(exchange), chunked);
}

struct request *exchange_request(struct exchange *exchange) {
  return exchange->state < EXCHANGE_STREAMING ? exchange->request : NULL;
}

struct budget *exchange_budget(struct exchange *exchange) {
  return exchange->request ? exchange->request->budget : NULL;
}

/* The request, or the session, keeps it: memory that an exchange has only as long as it needs
 * it. */
struct script_job **exchange_question(struct exchange *exchange) {
  struct request *request = exchange_request(exchange);
  if (request) return &request->job;
  struct subscriber *subscriber = &exchange->subscriber;
  return http_has_session(subscriber) ? http_of(subscriber)->sessions->question(subscriber) : NULL;
}

struct script_job *exchange_job(struct exchange *exchange) {
  struct script_job **job = exchange_question(exchange);
  return job ? *job : NULL;
}

void exchange_set_job(struct exchange *exchange, struct script_job *job) {
  struct script_job **place = exchange_question(exchange);
  if (place) *place = job;
}

void exchange_set_state(struct exchange *exchange, enum exchange_state state) {
#define STEP(to) (1u << (to))
  static const unsigned allowed[] = {
      [EXCHANGE_IDLE] = STEP(EXCHANGE_READING) | STEP(EXCHANGE_ANSWERING) | STEP(EXCHANGE_OVER),
      [EXCHANGE_READING] = STEP(EXCHANGE_ASKING) | STEP(EXCHANGE_WAITING) | STEP(EXCHANGE_ANSWERING) | STEP(EXCHANGE_STREAMING) |
                           STEP(EXCHANGE_OVER),
      [EXCHANGE_ASKING] = STEP(EXCHANGE_WAITING) | STEP(EXCHANGE_ANSWERING) | STEP(EXCHANGE_STREAMING) | STEP(EXCHANGE_OVER),
      [EXCHANGE_WAITING] = STEP(EXCHANGE_ANSWERING) | STEP(EXCHANGE_OVER),
      [EXCHANGE_ANSWERING] = STEP(EXCHANGE_IDLE) | STEP(EXCHANGE_OVER),
      [EXCHANGE_STREAMING] = STEP(EXCHANGE_ENDING) | STEP(EXCHANGE_OVER),
      [EXCHANGE_ENDING] = STEP(EXCHANGE_OVER),
      [EXCHANGE_OVER] = 0,
  };
  assert(allowed[exchange->state] & STEP(state));
#undef STEP
  exchange->state = (uint8_t)state;
  exchange_set_deadline(exchange);
}

void exchange_become(struct exchange *exchange, const struct role *role) {
  assert(!exchange->role && (!role || role_is_complete(role)));
  exchange->role = role;
}

void exchange_end_role(struct exchange *exchange) {
  if (exchange->role) exchange->role->on_end(exchange);
  exchange->role = NULL;
}

void exchange_close(struct exchange *exchange, enum close_reason reason, const char *text) {
  struct closing closing = {.reason = reason, .text = text};
  if (exchange->state != EXCHANGE_STREAMING) return;
  exchange_http(exchange)->sessions->depart_closing(&exchange->subscriber, &closing);
  exchange->role->close(exchange, &closing);
}

struct exchange *exchange_find(const struct http *http, struct address address) {
  return address.worker == http->slots->worker ? exchange_of(slots_find(http->slots, address)) : NULL;
}

void exchange_release_name(struct exchange *exchange) { slots_release(exchange_http(exchange)->slots, &exchange->slot); }

/* ---- Its protocol ---------------------------------------------------------------------------- */

void exchange_disconnect(struct exchange *exchange) { exchange_protocol(exchange)->reset(exchange, RESET_CLOSED); }

void exchange_reset(struct exchange *exchange) { exchange_protocol(exchange)->reset(exchange, RESET_ABORTED); }

void exchange_read(struct exchange *exchange, bool on) {
  exchange->flags &= (uint16_t)~EXCHANGE_STOPPED;
  if (!on) exchange->flags |= EXCHANGE_STOPPED;
  exchange_protocol(exchange)->read(exchange, on);
}

void exchange_give_up(struct exchange *exchange) { exchange_protocol(exchange)->give_up(exchange); }

void exchange_shed(struct exchange *exchange) { exchange_protocol(exchange)->shed(exchange); }

void exchange_remote(struct exchange *exchange, char *out, size_t size) {
  remote_write(exchange_protocol(exchange)->conn(exchange), out, size);
}

enum scheme exchange_scheme(struct exchange *exchange) { return remote_scheme(exchange_protocol(exchange)->conn(exchange)); }

struct bytes exchange_scheme_text(struct exchange *exchange) {
  static const struct bytes texts[] = {[SCHEME_UNKNOWN] = {NULL, 0}, [SCHEME_HTTP] = {"http", 4}, [SCHEME_HTTPS] = {"https", 5}};
  return texts[exchange_scheme(exchange)];
}

bool exchange_is_trusted(struct exchange *exchange) { return remote_is_trusted(exchange_protocol(exchange)->conn(exchange)); }

void exchange_resume(struct exchange *exchange) { exchange_protocol(exchange)->resume(exchange); }

/* ---- Asking the script ----------------------------------------------------------------------- */

static void drop_raw(struct mail *mail) { raw_data_free(container_of(mail, struct raw_data, mail)); }

static void take_raw(struct mail *mail, void *room, struct subscriber *subscriber) {
  const struct http *http = room;
  struct raw_data *data = container_of(mail, struct raw_data, mail);
  /* Mail for a raw WebSocket names only its worker, which knows the rest. */
  if (data->socket) subscriber = slots_find(http->slots, data->socket->client->address);
  struct exchange *exchange = exchange_of(subscriber);
  if (data->socket) atomic_fetch_sub(&data->socket->under_way, data->size);
  if (exchange && exchange->role) exchange->role->on_mail(exchange, mail);
  drop_raw(mail);
}

const struct mail_class exchange_raw_class = {.take = take_raw, .drop = drop_raw};

bool exchange_ask(struct exchange *exchange, struct script_job *job) {
  job->awaited = true;
  if (!exchange_http(exchange)->sessions->ask(&exchange->subscriber, job)) return false;
  if (exchange->state == EXCHANGE_ASKING) {
    exchange_set_deadline(exchange); /* a file was looked for before */
  } else {
    exchange_set_state(exchange, EXCHANGE_ASKING);
  }
  return true;
}

/* ---- Writing --------------------------------------------------------------------------------- */

void exchange_push(struct exchange *exchange, struct blob *blob, struct bytes part) {
  subscriber_push(&exchange->subscriber, blob, part);
}

void exchange_push_rope(struct exchange *exchange, const struct rope *rope) { subscriber_push_rope(&exchange->subscriber, rope); }

/* ---- The end --------------------------------------------------------------------------------- */

void exchange_break(struct exchange *exchange) { subscriber_break(&exchange->subscriber); }

void exchange_end(struct exchange *exchange) {
  exchange_end_role(exchange);
  subscriber_end(&exchange->subscriber);
  exchange_release_name(exchange);
  /* A raw stream's job is returned as it is; any other that is still here has no answer. */
  if (exchange_job(exchange) && exchange_job(exchange)->type == JOB_STREAM && exchange->state == EXCHANGE_STREAMING) {
    exchange_app(exchange)->script->end_stream(exchange_app(exchange), exchange_job(exchange));
    exchange_set_job(exchange, NULL);
  } else {
    exchange_http(exchange)->sessions->forget(&exchange->subscriber);
  }
  exchange_http(exchange)->sessions->end(exchange);
  /* The end is written even to a slow peer. */
  exchange->subscriber.flags &= (uint16_t)~SUBSCRIBER_SLOW;
}

void exchange_finish(struct exchange *exchange) {
  exchange_end(exchange);
  exchange_set_state(exchange, EXCHANGE_OVER);
  exchange->subscriber.flags |= SUBSCRIBER_OVER;
}

void exchange_end_stream(struct exchange *exchange) {
  /* What was published so far still goes out; nothing follows. */
  subscriber_settle(&exchange->subscriber, 0);
  exchange_end(exchange);
  exchange_set_state(exchange, EXCHANGE_ENDING);
  exchange_protocol(exchange)->end(exchange);
  subscriber_mark(&exchange->subscriber);
}

void exchange_close_stream(struct exchange *exchange, const struct closing *closing) {
  (void)closing;
  exchange_end_stream(exchange);
}
