#include "http/exchange.h"

#include <assert.h>

#include "app/socket.h"
#include "base/log_limit.h"
#include "http/request.h"
#include "server/native.h"
#include "transport/poll_client.h"

void exchange_init(struct exchange *exchange, const struct conn_class *class) {
  const struct sink *sink = &class->sinks[FORM_SSE][false].sink;
  *exchange = (struct exchange){.subscriber.sink = sink, .slot = SLOT_NONE, .state = EXCHANGE_IDLE};
}

void exchange_deinit(struct exchange *exchange) {
  delivery_forget(exchange->subscriber.sink->delivery, &exchange->subscriber);
  outbox_free(exchange->subscriber.outbox);
}

void exchange_set_form(struct exchange *exchange, enum form form) {
  exchange->subscriber.sink = &exchange_class(exchange)->sinks[form][false].sink;
}

void exchange_set_chunked(struct exchange *exchange, bool chunked) {
  exchange->subscriber.sink = &exchange_class(exchange)->sinks[exchange_form(exchange)][chunked].sink;
}

struct request *exchange_request(struct exchange *exchange) {
  return exchange->state < EXCHANGE_STREAMING ? exchange->request : NULL;
}

struct budget *exchange_budget(struct exchange *exchange) {
  return exchange->request ? exchange->request->budget : NULL;
}

/* In what the exchange has only as long as it needs it. */
static struct script_job **find_job(struct exchange *exchange) {
  struct request *request = exchange_request(exchange);
  if (request) return &request->job;
  return exchange->flags & EXCHANGE_NATIVE ? &native_of(exchange)->job : NULL;
}

struct script_job *exchange_job(struct exchange *exchange) {
  struct script_job **job = find_job(exchange);
  return job ? *job : NULL;
}

void exchange_set_job(struct exchange *exchange, struct script_job *job) {
  struct script_job **place = find_job(exchange);
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
  if (exchange->state == EXCHANGE_STREAMING) exchange->role->close(exchange, &(struct closing){.reason = reason, .text = text});
}

struct exchange *exchange_find(const struct http *http, struct address address) {
  return address.worker == http->slots->worker ? exchange_of(slots_find(http->slots, address)) : NULL;
}

int exchange_take_name(struct exchange *exchange) {
  return slots_take(exchange_http(exchange)->slots, &exchange->subscriber, &exchange->slot);
}

struct address exchange_address(struct exchange *exchange) {
  return slots_address(exchange_http(exchange)->slots, exchange->slot);
}

void exchange_release_name(struct exchange *exchange) { slots_release(exchange_http(exchange)->slots, &exchange->slot); }

/* ---- Its protocol --------------------------------------------------------------------------------------------------------- */

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
  exchange_protocol(exchange)->remote(exchange, out, size);
}

void exchange_resume(struct exchange *exchange) {
  if (exchange->state == EXCHANGE_STREAMING && exchange->flags & EXCHANGE_NATIVE) native_resume(exchange);
  if (!budget_is_put_off(exchange)) exchange_protocol(exchange)->resume(exchange);
}

/* ---- Asking the script --------------------------------------------------------------------------------------------------- */

void exchange_release_held(struct http *http, struct script_job *job) {
  struct mail *mail;
  /* The client may live at another address by now, or have gone. */
  while ((mail = job_take_held(job)) != NULL) mail->class->take(mail, http, slots_find(http->slots, job->client->session));
}

static void drop_raw(struct mail *mail) { raw_data_free(container_of(mail, struct raw_data, mail)); }

static void take_raw(struct mail *mail, void *room, struct subscriber *subscriber) {
  (void)room;
  struct raw_data *data = container_of(mail, struct raw_data, mail);
  struct exchange *exchange = exchange_of(subscriber);
  if (data->socket) atomic_fetch_sub(&data->socket->under_way, data->size);
  if (exchange && exchange->role) exchange->role->on_mail(exchange, mail);
  drop_raw(mail);
}

const struct mail_class exchange_raw_class = {.take = take_raw, .drop = drop_raw};

static void drop_answer(struct mail *mail) { job_drop(container_of(mail, struct script_job, mail)); }

/* The script has answered. Whoever asked may have gone: then what was joined is left again. */
static void take_answer(struct mail *mail, void *room, struct subscriber *subscriber) {
  struct http *http = room;
  struct script_job *job = container_of(mail, struct script_job, mail);
  struct exchange *exchange = exchange_of(subscriber);
  if (exchange && exchange_job(exchange) == job) {
    bool streams = job->type == JOB_STREAM && job->status == 200 && !job->fields;
    /* The exchange's reference stays with a raw stream, as long as it lasts. */
    if (!streams) {
      exchange_set_job(exchange, NULL);
      job_unref(job);
    }
    job->kept = streams;
    if (exchange->role) exchange->role->on_answer(exchange, job);
    exchange_release_held(http, job);
  }
  exchange_return_job(http, job);
}

static const struct mail_class answer_class = {.take = take_answer, .drop = drop_answer};

void exchange_return_job(struct http *http, struct script_job *job) {
  struct app *app = http->app;
  /* It went before the answer came. */
  if (job->connects && job->client && !job->client->is_adopted) registry_remove(&app->registry, job->client);
  struct membership *membership = job_take_memberships(job);
  while (membership) {
    struct membership *next = membership->next;
    app->script->leave(app, membership);
    membership = next;
  }
  if (job->type == JOB_SOCKET && job->socket && !job->kept) app->script->leave_socket(app, socket_ref(job->socket));
  if (job->type == JOB_STREAM && job->stream && !job->kept) {
    app->script->end_stream(app, job);
  } else {
    job_unref(job);
  }
}

bool exchange_post(struct exchange *exchange, struct script_job *job) {
  struct http *http = exchange_http(exchange);
  bool full = atomic_load(&http->app->job_count) >= http->app->config->options.limits.waiting;
  if (full) log_limited(MW_LOG_WARNING, "limits.waiting is reached: a request is refused");
  size_t size = job_size(job);
  if (size > 0 && atomic_load(&http->app->job_bytes) + size > http->app->config->options.limits.queue) {
    log_limited(MW_LOG_WARNING, "limits.queue is reached by requests that wait: one is refused");
    full = true;
  }
  if (full || exchange_take_name(exchange) < 0) {
    job_unref(job);
    return false;
  }
  budget_charge(exchange, BUDGET_ASK * (job->channel_count > 0 ? job->channel_count : 1));
  job->mail.to = exchange_address(exchange);
  /* The app may already ask something of a client that is still coming. */
  if (job->client && !native_is_identified(exchange)) job->client->session = job->mail.to;
  exchange_set_job(exchange, job);
  job->answered = &answer_class;
  atomic_fetch_add(&http->app->job_count, 1);
  atomic_fetch_add(&http->app->job_bytes, size);
  exchange_app(exchange)->script->ask(exchange_app(exchange), job_ref(job));
  return true;
}

bool exchange_ask(struct exchange *exchange, struct script_job *job) {
  if (!exchange_post(exchange, job)) return false;
  exchange_set_state(exchange, EXCHANGE_ASKING);
  return true;
}

void exchange_forget(struct exchange *exchange) {
  struct script_job *job = exchange_job(exchange);
  if (!job) return;
  exchange_set_job(exchange, NULL);
  atomic_store(&job->cancelled, true);
  exchange_app(exchange)->script->cancel(exchange_app(exchange), job);
}

/* ---- Writing ------------------------------------------------------------------------------------------------------------- */

void exchange_push(struct exchange *exchange, struct blob *blob, struct bytes part) {
  subscriber_push(&exchange->subscriber, blob, part);
}

size_t exchange_room(struct exchange *exchange) {
  size_t room = app_answer_room(exchange_app(exchange)), waiting = outbox_own_size(exchange->subscriber.outbox);
  if (exchange_form(exchange) == FORM_POLL) waiting = native_of(exchange)->poll->items.own_bytes;
  return waiting < room ? room - waiting : 0;
}

void exchange_push_rope(struct exchange *exchange, const struct rope *rope) { subscriber_push_rope(&exchange->subscriber, rope); }

/* ---- The end -------------------------------------------------------------------------------------------------------------- */

void exchange_break(struct exchange *exchange) { subscriber_break(&exchange->subscriber); }

void exchange_end(struct exchange *exchange) {
  exchange_end_role(exchange);
  subscriber_end(&exchange->subscriber);
  exchange_release_name(exchange);
  /* A raw stream's job goes back as it is; any other that is still here has not been answered. */
  if (exchange_job(exchange) && exchange_job(exchange)->type == JOB_STREAM && exchange->state == EXCHANGE_STREAMING) {
    exchange_app(exchange)->script->end_stream(exchange_app(exchange), exchange_job(exchange));
    exchange_set_job(exchange, NULL);
  } else {
    exchange_forget(exchange);
  }
  native_end(exchange);
  /* What is still to be said of it is written however slow it was. */
  exchange->subscriber.flags &= (uint16_t)~SUBSCRIBER_SLOW;
}

void exchange_finish(struct exchange *exchange) {
  exchange_end(exchange);
  exchange_set_state(exchange, EXCHANGE_OVER);
  exchange->subscriber.flags |= SUBSCRIBER_OVER;
}
