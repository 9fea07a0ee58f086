/* POST /send: what a WebSocket client sends, for clients that only receive. With X-Moonwire-Client
 * the request acts as that client; without, the sender is a client for just this message. */
#include "app/command.h"
#include "base/memory.h"
#include "dialect/native.h"
#include "http/cors.h"
#include "http/csrf.h"
#include "http/exchange.h"
#include "http/forward/forward.h"
#include "http/request.h"
#include "session/names.h"
#include "session/reply.h"
#include "transport/connect.h"
#include "transport/roles.h"

/* How verbs come, and answers go. */
static const struct dialect *const send_dialect = &native_polls;

static void answer_text(struct exchange *exchange, struct rope *text, int status, uint32_t retry_ms) {
  if (text->text.failed) subscriber_break(&exchange->subscriber);
  if (status == 200) {
    exchange_answer(exchange, &(struct answer){.status = 200,
                                               .fields = &http_fields_no_store,
                                               .content_type = BYTES("application/json"),
                                               .body = buffer_bytes(&text->text)});
  } else {
    buffer_append_char(&text->text, '\n');
    exchange_answer_error(exchange, status, buffer_bytes(&text->text), retry_ms);
  }
  rope_deinit(text);
}

static void answer_outcome(struct exchange *exchange, struct bytes ref, const struct outcome *outcome) {
  struct rope text;
  rope_init(&text);
  send_dialect->ok(&text, ref, outcome);
  answer_text(exchange, &text, 200, 0);
}

static void answer_refusal(struct exchange *exchange, struct bytes ref, const struct refusal *refusal) {
  struct rope text;
  rope_init(&text);
  send_dialect->error(&text, ref, refusal);
  answer_text(exchange, &text, reply_status(refusal), refusal->retry_ms);
}

/* Every answer carries the ref of its message, as far as it can be read. */
static void refuse_send_later(struct exchange *exchange, int status, const char *code, const char *reason, uint32_t retry_ms) {
  struct bytes ref = send_dialect->find_ref(exchange_request(exchange)->body);
  answer_refusal(exchange, ref, &(struct refusal){.code = code, .reason = reason, .status = status, .retry_ms = retry_ms});
}

static void refuse_send_with(struct exchange *exchange, int status, const char *code, const char *reason) {
  refuse_send_later(exchange, status, code, reason, 0);
}

static void refuse_send(struct exchange *exchange, int status, const char *reason) {
  refuse_send_with(exchange, status, exchange_code(status), reason);
}

/* ---- As a client that is connected ----------------------------------------------------------- */

/* The request that waits for the client's answer, or NULL. */
static struct exchange *find_waiting_request(struct subscriber *subscriber, const struct reply *reply) {
  struct exchange *waiting = exchange_find(http_of(subscriber), reply->waiting);
  return waiting && waiting->state == EXCHANGE_ASKING && waiting->role ? waiting : NULL;
}

static size_t room_of_request(struct subscriber *subscriber, const struct reply *reply) {
  return find_waiting_request(subscriber, reply) ? app_answer_room(http_of(subscriber)->app) : 0;
}

static void ok_to_request(struct subscriber *subscriber, const struct reply *reply, const struct rope *text) {
  struct exchange *waiting = find_waiting_request(subscriber, reply);
  budget_charge(subscriber, rope_len(text));
  if (!waiting) return;
  exchange_answer(waiting, &(struct answer){.status = 200,
                                            .fields = &http_fields_no_store,
                                            .content_type = BYTES("application/json"),
                                            .body = buffer_bytes(&text->text),
                                            .rope = text->joint_count > 0 ? text : NULL});
}

static void error_to_request(struct subscriber *subscriber, const struct reply *reply, const struct refusal *refusal,
                             struct bytes text) {
  struct exchange *waiting = find_waiting_request(subscriber, reply);
  budget_charge(subscriber, text.len);
  if (waiting) exchange_answer_error(waiting, reply_status(refusal), text, refusal->retry_ms);
}

static const struct reply_class reply_to_request = {.dialect = &native_polls,
                                                    .is_awaited = true,
                                                    .room = room_of_request,
                                                    .ok = ok_to_request,
                                                    .page = ok_to_request,
                                                    .error = error_to_request};

static void hand_on(struct exchange *exchange, struct mw_client *client) {
  struct command *command = command_new(COMMAND_RECEIVE, client);
  bool fine = command && (command->text = blob_new(exchange_request(exchange)->body));
  if (fine) fine = session_take_name(&exchange->subscriber) == 0;
  if (!fine) {
    if (command) command_free(command);
    refuse_send(exchange, 503, "out of memory");
    return;
  }
  command->reply = (struct reply){.class = &reply_to_request, .waiting = session_address(&exchange->subscriber)};
  int status = command_post(exchange_app(exchange), command);
  if (status == MW_ECLOSED) {
    refuse_send(exchange, 404, "no such client is connected");
  } else if (status < 0) {
    refuse_send(exchange, 503, "temporarily unavailable; retry");
  } else if (exchange->state != EXCHANGE_ASKING) {
    exchange_set_state(exchange, EXCHANGE_ASKING);
  }
}

/* The client that the request names; a reference, or NULL. */
static struct mw_client *find_named(struct exchange *exchange) {
  struct bytes id = http_head_field(exchange_request(exchange)->head, BYTES("x-moonwire-client"));
  return registry_find(&exchange_app(exchange)->registry, id);
}

static void act_as(struct exchange *exchange) {
  struct mw_client *client = find_named(exchange);
  if (!client) {
    refuse_send(exchange, 404, "no such client is connected");
  } else if (client->address.worker != exchange_http(exchange)->slots->worker) {
    exchange_forward(exchange, client->address.worker, FORWARD_UNTIL_ANSWERED);
  } else if (!exchange_request(exchange)->config->options.authenticate) {
    hand_on(exchange, client);
  } else {
    struct script_job *job = connect_job(exchange, exchange_request(exchange), "http", NULL, 0);
    if (job) job->connects = false;
    if (!job || !exchange_ask(exchange, job)) refuse_send(exchange, 503, waiting_refusal);
  }
  mw_client_unref(client);
}

/* ---- As a client for one message ------------------------------------------------------------- */

/* A relayed event on its way. The exchange waits in the state EXCHANGE_ASKING. */
struct send_relay {
  struct completion completion;
  struct http *http;
  struct exchange *exchange; /* while it is published; a kept one finds it by `asker` */
  struct address asker;
  struct script_job *job; /* a reference, if kept */
  bool keeps;
};

static void answer_send(struct exchange *exchange, const struct send_relay *relay, int status) {
  if (status < 0) {
    struct order_refusal why = order_refusal(status);
    refuse_send_with(exchange, why.status, why.code, why.reason);
    return;
  }
  names_charge_sender(&exchange->subscriber, relay->job);
  struct outcome outcome = {.type = OUTCOME_DONE};
  if (relay->keeps) outcome = (struct outcome){.type = OUTCOME_KEPT, .id = bytes_string(relay->completion.id)};
  answer_outcome(exchange, blob_bytes(relay->job->fields), &outcome);
}

static void on_send_published(struct completion *completion, int status) {
  struct send_relay *relay = container_of(completion, struct send_relay, completion);
  struct exchange *exchange = exchange_find(relay->http, relay->asker);
  order_end_waiting(relay->http->app);
  if (exchange && exchange->role == &send_role && exchange->state == EXCHANGE_ASKING) answer_send(exchange, relay, status);
  job_unref(relay->job);
  memory_free(relay);
}

static struct completion *keep_send(struct completion *completion) {
  struct send_relay *relay = container_of(completion, struct send_relay, completion);
  struct send_relay *kept = session_take_name(&relay->exchange->subscriber) == 0 ? memory_alloc(sizeof *kept) : NULL;
  if (!kept || !order_begin_waiting(relay->http->app)) {
    memory_free(kept);
    return NULL;
  }
  *kept = *relay;
  kept->asker = session_address(&relay->exchange->subscriber);
  kept->exchange = NULL;
  job_ref(kept->job);
  return &kept->completion;
}

static void publish_send(struct exchange *exchange, struct script_job *job) {
  const struct job_channel *channel = &job->channels[0];
  struct message_parts parts = job_message_parts(job);
  struct send_relay relay = {.completion = {.http = exchange_http(exchange), .keep = keep_send, .on_done = on_send_published},
                             .http = exchange_http(exchange),
                             .exchange = exchange,
                             .job = job,
                             .keeps = config_event(channel->kind, parts.event)->keep};
  struct orderer *orderer = exchange_app(exchange)->orderer;
  int status = orderer->publish(orderer, channel->kind, &parts, !relay.keeps, &relay.completion);
  if (status != MW_PENDING) answer_send(exchange, &relay, status);
}

static void send_once(struct exchange *exchange, const struct verb *verb) {
  const struct kind *kind = config_kind(exchange_request(exchange)->config, verb->channel);
  const struct event_rule *rule = kind ? config_event(kind, verb->event) : NULL;
  if (!kind) {
    refuse_send(exchange, 404, "no channel pattern matches this name");
  } else if (!rule) {
    char reason[UNKNOWN_EVENT_MAX];
    reply_write_unknown_event(reason, verb->event);
    refuse_send_with(exchange, 400, "unknown_event", reason);
  } else if ((verb->is_binary ? verb->payload.len : verb->data.raw.len) > kind->message_size) {
    limit_count(&exchange_app(exchange)->limits, MW_LIMIT_MESSAGE_SIZE);
    refuse_send(exchange, 413, "the data is larger than limits.message_size");
  } else {
    struct job_channel channel = {.name = verb->channel, .kind = kind};
    if (!names_allow(&exchange->subscriber, NULL, &channel, 1)) {
      refuse_send(exchange, 503, names_refusal);
      return;
    }
    struct script_job *job = connect_job(exchange, exchange_request(exchange), "http", &channel, 1);
    if (job) {
      /* Only the answer reaches it. */
      atomic_store(&job->client->gone, true);
      job->type = JOB_MESSAGE;
      job->connects = false;
      job->transient = true;
      job->relayed = rule->relay;
      /* The ref goes with it, for the answer. */
      job->fields = blob_new(verb->ref.raw);
    }
    if (job && (!job->fields || job_set_message(job, verb) < 0)) {
      job_unref(job);
      job = NULL;
    }
    if (!job || !exchange_ask(exchange, job)) refuse_send(exchange, 503, waiting_refusal);
  }
}

/* ---- The role -------------------------------------------------------------------------------- */

static void send_read(struct exchange *exchange) {
  struct bytes body = exchange_request(exchange)->body;
  struct dialect_reader reader;
  struct verb verb;
  struct refusal refusal;
  if (!body.ptr) body = BYTES("");
  dialect_reader_init(&reader);
  if (send_dialect->next(&reader, &body, false, &verb, &refusal) != READ_VERB) {
    answer_refusal(exchange, verb.ref.raw, &refusal);
  } else if (verb.type != VERB_SEND) {
    refuse_send(exchange, 400, "without the header X-Moonwire-Client, only \"send\" is possible");
  } else {
    send_once(exchange, &verb);
  }
  dialect_reader_deinit(&reader);
}

static void send_start(struct exchange *exchange) {
  const struct http_head *head = exchange_request(exchange)->head;
  if (!cors_allows(exchange)) {
    refuse_send(exchange, 403, cors_refusal);
  } else if (csrf_suspects(exchange)) {
    refuse_send(exchange, 403, csrf_refusal);
  } else if (http_head_field(head, BYTES("x-moonwire-client")).ptr) {
    act_as(exchange);
  } else {
    send_read(exchange);
  }
}

static void send_on_answer(struct exchange *exchange, struct script_job *job) {
  if (job->type == JOB_MESSAGE) names_charge_sender(&exchange->subscriber, job);
  if (job->status != 200) {
    refuse_send_later(exchange, job->status, job->code, job->reason, job->retry_ms);
  } else if (job->type == JOB_JOIN) {
    /* The sender is authenticated: the client that it names must be the same user. */
    struct mw_client *client = find_named(exchange);
    if (client && client_same_user(client, job->client)) {
      hand_on(exchange, client);
    } else {
      refuse_send(exchange, client ? 403 : 404, client ? "the client belongs to another user" : "no such client is connected");
    }
    mw_client_unref(client);
  } else if (job->relayed) {
    publish_send(exchange, job);
  } else {
    struct outcome outcome = reply_outcome(job);
    answer_outcome(exchange, blob_bytes(job->fields), &outcome);
  }
}

static void send_on_late(struct exchange *exchange) {
  bool stops = app_stopping(exchange_app(exchange));
  refuse_send(exchange, 503, stops ? "the server is stopping" : "the app did not answer in time");
}

const struct role send_role = {.start = send_start,
                               .on_answer = send_on_answer,
                               .on_late = send_on_late,
                               .finishes = role_always_finishes,
                               .on_end = role_nothing,
                               ROLE_WRITES_AT_ONCE,
                               ROLE_NEVER_WAITS,
                               ROLE_NEVER_STREAMS};
