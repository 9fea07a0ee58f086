#include "http/exchange.h"

#include <assert.h>

#include "app/socket.h"
#include "base/log_limit.h"
#include "base/utf8.h"
#include "codec/http_writer.h"
#include "codec/json_scan.h"
#include "codec/ws_handshake.h"
#include "http/cors.h"
#include "http/http1.h"
#include "http/http1_head.h"
#include "server/native.h"
#include "transport/poll_client.h"

void exchange_init(struct exchange *exchange) {
  *exchange = (struct exchange){.slot = SLOT_NONE, .state = EXCHANGE_IDLE};
  exchange_set_form(exchange, FORM_SSE);
}

void exchange_set_form(struct exchange *exchange, enum form form) {
  bool chunked = exchange->flags & EXCHANGE_CHUNKED;
  exchange->subscriber.sink = &exchange_http(exchange)->sinks[form][chunked];
}

/* In what the exchange has only as long as it needs it. */
static struct script_job **find_job(struct exchange *exchange) {
  struct conn *conn = conn_of(exchange);
  if (conn->http) return &conn->http->job;
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

struct http *exchange_http(struct exchange *exchange) {
  return conn_http(conn_of(exchange));
}

struct exchange *exchange_find(const struct http *http, struct address address) {
  return address.worker == http->slots->worker ? exchange_of(slots_find(http->slots, address)) : NULL;
}

void exchange_set_state(struct exchange *exchange, enum exchange_state state) {
#define STEP(to) (1u << (to))
  static const unsigned allowed[] = {
      [EXCHANGE_IDLE] = STEP(EXCHANGE_READING) | STEP(EXCHANGE_ANSWERING) | STEP(EXCHANGE_OVER),
      [EXCHANGE_READING] = STEP(EXCHANGE_ASKING) | STEP(EXCHANGE_WAITING) | STEP(EXCHANGE_ANSWERING) | STEP(EXCHANGE_STREAMING) |
                           STEP(EXCHANGE_OVER),
      [EXCHANGE_ASKING] = STEP(EXCHANGE_WAITING) | STEP(EXCHANGE_ANSWERING) | STEP(EXCHANGE_STREAMING) | STEP(EXCHANGE_OVER),
      [EXCHANGE_WAITING] = STEP(EXCHANGE_ANSWERING) | STEP(EXCHANGE_OVER),
      [EXCHANGE_ANSWERING] = STEP(EXCHANGE_IDLE) | STEP(EXCHANGE_LINGERING) | STEP(EXCHANGE_OVER),
      [EXCHANGE_STREAMING] = STEP(EXCHANGE_ENDING) | STEP(EXCHANGE_OVER),
      [EXCHANGE_ENDING] = STEP(EXCHANGE_LINGERING) | STEP(EXCHANGE_OVER),
      [EXCHANGE_LINGERING] = STEP(EXCHANGE_OVER),
      [EXCHANGE_OVER] = 0,
  };
  assert(allowed[exchange->state] & STEP(state));
#undef STEP
  exchange->state = (uint8_t)state;
  conn_set_deadline(conn_of(exchange));
}

/* ---- Answers ------------------------------------------------------------------------------------------------------------- */

static void push_buffer(struct exchange *exchange, struct buffer *buffer) {
  struct blob *blob = buffer->failed ? NULL : blob_new(buffer_bytes(buffer));
  buffer_deinit(buffer);
  if (blob) {
    exchange_push(exchange, blob, blob_bytes(blob));
    blob_unref(blob);
  } else {
    exchange_break(exchange);
  }
}

static void write_head(struct exchange *exchange, struct buffer *out, int status, const struct http_fields *fields) {
  struct http *http = exchange_http(exchange);
  struct http_fields cors;
  http_fields_init(&cors);
  if (exchange_request(exchange)->is_shared) cors_add(exchange, fields, &cors);
  if (app_stopping(http->app) || (exchange->flags & EXCHANGE_LINGER)) exchange->flags &= (uint16_t)~EXCHANGE_KEEP_ALIVE;
  struct http1_head head = {.status = status,
                            .wall_ms = http->loop->clock.wall_ms,
                            .fields = fields,
                            .more = &cors,
                            .keep_alive = exchange->flags & EXCHANGE_KEEP_ALIVE};
  http1_write_head(out, &head);
  http_fields_deinit(&cors);
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

int exchange_take_name(struct exchange *exchange) {
  return slots_take(exchange_http(exchange)->slots, &exchange->subscriber, &exchange->slot);
}

struct address exchange_address(struct exchange *exchange) {
  return slots_address(exchange_http(exchange)->slots, exchange->slot);
}

/* Whoever still holds its name means a request that is over, and must not find the next one of the connection. */
static void release_name(struct exchange *exchange) { slots_release(exchange_http(exchange)->slots, &exchange->slot); }

void exchange_answer(struct exchange *exchange, const struct answer *answer) {
  bool empty = answer->status == 204 || answer->status == 304;
  struct buffer out;
  buffer_init(&out);
  write_head(exchange, &out, answer->status, answer->fields);
  if (answer->content_type.len > 0) http_write_field(&out, BYTES("Content-Type"), answer->content_type);
  if (!empty) http1_write_length(&out, answer->rope ? rope_len(answer->rope) : answer->body.len);
  http_write_end(&out);
  bool has_body = !empty && !(exchange->flags & EXCHANGE_NO_BODY);
  if (has_body && !answer->rope) buffer_append(&out, answer->body);
  budget_charge(exchange, out.len + (answer->rope ? rope_len(answer->rope) : 0));
  exchange_set_state(exchange, EXCHANGE_ANSWERING);
  push_buffer(exchange, &out);
  if (has_body && answer->rope) exchange_push_rope(exchange, answer->rope);
  exchange_end_role(exchange);
  release_name(exchange);
}

const char *exchange_code(int status) {
  switch (status) {
    case 401: return "unauthorized";
    case 403: return "forbidden";
    case 404: return "not_found";
    case 413:
    case 414:
    case 431: return "too_large";
    case 429: return "rate_limited";
    case 503: return "unavailable";
    case 501:
    case 505: return "bad_request";
    default: return status >= 500 ? "internal" : "bad_request";
  }
}

bool exchange_is_temporary(int status) { return status == 0 || status == 429 || status == 503; }

static void answer_error(struct exchange *exchange, int status, const struct http_fields *more_fields, struct bytes text) {
  struct http_fields fields;
  http_fields_init(&fields);
  http_fields_add(&fields, BYTES("Cache-Control"), BYTES("no-store"));
  http_fields_add(&fields, BYTES("X-Content-Type-Options"), BYTES("nosniff"));
  if (status == 401) http_fields_add(&fields, BYTES("WWW-Authenticate"), BYTES("Bearer"));
  if (exchange_is_temporary(status)) {
    char seconds = (char)('0' + http_random(exchange_http(exchange), 1, 4));
    http_fields_add(&fields, BYTES("Retry-After"), bytes_of(&seconds, 1));
  }
  http_fields_add_all(&fields, more_fields);
  struct answer answer = {.status = status, .fields = &fields, .content_type = BYTES("application/json"), .body = text};
  exchange_answer(exchange, &answer);
  http_fields_deinit(&fields);
}

void exchange_answer_error(struct exchange *exchange, int status, struct bytes text) {
  answer_error(exchange, status, NULL, text);
}

static void refuse(struct exchange *exchange, int status, const char *code, const char *reason, struct bytes channel,
                   const struct http_fields *more_fields) {
  struct buffer body;
  buffer_init(&body);
  buffer_append_char(&body, '{');
  if (channel.ptr && utf8_valid_prefix(channel) == channel.len) {
    buffer_append_string(&body, "\"channel\":");
    json_write_string(&body, channel);
    buffer_append_char(&body, ',');
  }
  buffer_append_string(&body, "\"error\":{\"code\":");
  json_write_string(&body, bytes_string(code));
  buffer_append_string(&body, ",\"reason\":");
  /* A reason may come from a script, cut at any byte. */
  struct bytes text = bytes_string(reason);
  json_write_string(&body, bytes_of(text.ptr, utf8_valid_prefix(text)));
  buffer_append_string(&body, "}}\n");
  log_limited(MW_LOG_DEBUG, "answer %d %s: %s", status, code, reason);
  if (body.failed) exchange->subscriber.flags |= SUBSCRIBER_BROKEN;
  answer_error(exchange, status, more_fields, buffer_bytes(&body));
  buffer_deinit(&body);
}

void exchange_refuse_with(struct exchange *exchange, int status, const char *code, const char *reason,
                          const struct http_fields *more_fields) {
  refuse(exchange, status, code, reason, bytes_of(NULL, 0), more_fields);
}

void exchange_refuse_channel(struct exchange *exchange, int status, const char *code, const char *reason, struct bytes channel) {
  refuse(exchange, status, code, reason, channel, NULL);
}

void exchange_refuse(struct exchange *exchange, int status, const char *code, const char *reason, struct bytes allow) {
  struct http_fields fields;
  http_fields_init(&fields);
  if (allow.len > 0) http_fields_add(&fields, BYTES("Allow"), allow);
  exchange_refuse_with(exchange, status, code, reason, &fields);
  http_fields_deinit(&fields);
}

void exchange_begin(struct exchange *exchange, int status, const struct http_fields *fields, uint64_t length) {
  struct buffer out;
  buffer_init(&out);
  write_head(exchange, &out, status, fields);
  http1_write_length(&out, length);
  http_write_end(&out);
  exchange_set_state(exchange, EXCHANGE_ANSWERING);
  push_buffer(exchange, &out);
}

void exchange_complete(struct exchange *exchange) {
  exchange_end_role(exchange);
  release_name(exchange);
  subscriber_mark(&exchange->subscriber);
}

static void write_stream_head(struct exchange *exchange, struct buffer *out) {
  write_head(exchange, out, 200, NULL);
  /* A head without a body does not say how the body is framed. */
  http1_write_stream(out, exchange->flags & EXCHANGE_CHUNKED && !(exchange->flags & EXCHANGE_NO_BODY));
}

void exchange_answer_stream_head(struct exchange *exchange) {
  struct buffer out;
  buffer_init(&out);
  write_stream_head(exchange, &out);
  exchange_set_state(exchange, EXCHANGE_ANSWERING);
  push_buffer(exchange, &out);
  exchange_end_role(exchange);
  release_name(exchange);
}

/* The stream needs nothing of its request any more, except a job that lasts as long as the stream. */
static void release_http(struct exchange *exchange) {
  struct script_job *job = exchange_job(exchange);
  http1_release(conn_of(exchange));
  if (!job) return;
  if (native_get(exchange)) {
    exchange_set_job(exchange, job);
  } else {
    exchange_app(exchange)->script->end_stream(exchange_app(exchange), job);
    exchange_break(exchange);
  }
}

void exchange_stream_rope(struct exchange *exchange, const struct rope *text) {
  struct rope rope;
  rope_init(&rope);
  struct buffer *out = &rope.text;
  exchange->flags &= (uint16_t)~EXCHANGE_KEEP_ALIVE;
  write_stream_head(exchange, out);
  form_frame_rope(&rope, text, form_framing(exchange_form(exchange), exchange->flags & EXCHANGE_CHUNKED));
  exchange_set_state(exchange, EXCHANGE_STREAMING);
  exchange_set_form(exchange, exchange_form(exchange)); /* with chunks, or without */
  release_http(exchange);
  exchange_push_rope(exchange, &rope);
  rope_deinit(&rope);
}

void exchange_stream(struct exchange *exchange, struct bytes text) {
  struct rope rope;
  rope_init(&rope);
  buffer_append(&rope.text, text);
  exchange_stream_rope(exchange, &rope);
  rope_deinit(&rope);
}

bool exchange_upgrade(struct exchange *exchange, const struct http_fields *fields, struct buffer *ahead) {
  struct bytes key;
  struct buffer out;
  if (ws_handshake_check(exchange_request(exchange)->head, &key).status != 0) return false;
  buffer_init(&out);
  if (!http1_write_upgrade(&out, key, fields)) return false;
  exchange->flags &= (uint16_t)~EXCHANGE_KEEP_ALIVE;
  conn_of(exchange)->timer.note = exchange_http(exchange)->timers.tick;
  exchange_set_state(exchange, EXCHANGE_STREAMING);
  push_buffer(exchange, &out);
  http1_hand_over(conn_of(exchange), ahead);
  return true;
}

void exchange_end_stream(struct exchange *exchange) {
  /* What was published so far still goes out; nothing follows. */
  subscriber_settle(&exchange->subscriber, 0);
  exchange_end(exchange);
  exchange_set_state(exchange, EXCHANGE_ENDING);
  if (exchange->flags & EXCHANGE_CHUNKED) {
    struct buffer out;
    buffer_init(&out);
    buffer_append(&out, http_last_chunk);
    push_buffer(exchange, &out);
  }
  subscriber_mark(&exchange->subscriber);
}

/* ---- Asking the script --------------------------------------------------------------------------------------------------- */

void exchange_release_held(struct http *http, struct script_job *job) {
  struct mail *mail;
  /* The client may live at another address by now, or have gone. */
  while ((mail = job_take_held(job)) != NULL) mail->class->take(mail, http, slots_find(http->slots, job->client->session));
}

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

void exchange_break(struct exchange *exchange) { subscriber_break(&exchange->subscriber); }

void exchange_end(struct exchange *exchange) {
  exchange_end_role(exchange);
  subscriber_end(&exchange->subscriber);
  release_name(exchange);
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
