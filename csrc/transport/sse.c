/* GET /sse: channels as an event stream. Every refusal comes before the first byte. */
#include "transport/sse.h"

#include <stdio.h>

#include "app/subscribe_query.h"
#include "base/memory.h"
#include "delivery/replay.h"
#include "delivery/subscriber.h"
#include "http/cors.h"
#include "http/exchange.h"
#include "http/request.h"
#include "session/admission.h"
#include "session/expiry.h"
#include "session/input.h"
#include "session/names.h"
#include "transport/connect.h"
#include "transport/exchange_session.h"
#include "transport/roles.h"
#include "transport/transport.h"

void sse_retry_later(struct exchange *exchange) { exchange_retry_later(exchange, 0); }

static void sse_refuse(struct exchange *exchange, int status, const char *reason) {
  exchange_refuse(exchange, status, exchange_code(status), reason, bytes_of(NULL, 0));
}

/* ---- Joining --------------------------------------------------------------------------------- */

static void write_stream_beginning(struct rope *out, struct exchange *exchange, const struct script_job *job,
                                   const struct replay *replay) {
  struct http *http = exchange_http(exchange);
  char id[ID_LEN];
  struct opening opening = {.job = job,
                            .hub = http->delivery->hub,
                            .replay = replay,
                            .id = bytes_of(id, ID_LEN),
                            .retry_ms = http_random(http, 1000, 3000),
                            .expires_s = expiry_seconds(http, job),
                            .room = app_answer_room(http->app)};
  id_write(id, http->delivery->epoch, replay->cursor);
  exchange_dialect(exchange)->open(exchange_dialect(exchange), out, &opening);
  http->stats->gaps += replay->gap_count;
}

/* True if nothing can come any more: each of the channels has ended, and was seen to its end. */
static bool has_seen_all(const struct replay *replay, struct since since) {
  bool all = since.kind == SINCE_POSITION;
  for (size_t i = 0; i < replay->count; i++) {
    uint64_t ended = replay->sources[i].subscription->channel->stored->ended;
    all = all && ended > 0 && since.position >= ended;
  }
  return all;
}

/* Allowed: subscribes, acknowledges, and replays in one step. */
static void join_stream(struct exchange *exchange, struct script_job *job) {
  struct replay replay = {0};
  struct rope beginning;
  rope_init(&beginning);
  int status = 0;
  const struct dialect_table *dialects = exchange_http(exchange)->transport->dialects;
  const struct dialect *dialect = job->envelope ? dialects->envelope : dialects->stream;
  exchange_set_dialect(exchange, dialect, dialect->form);
  for (size_t i = 0; status == 0 && i < job->channel_count; i++) {
    status = admission_follow(exchange_http(exchange), &job->channels[i]);
    if (status == 0) status = subscriber_subscribe(&exchange->subscriber, job->channels[i].name, &job->channels[i].kind->policy);
    if (status < 0) continue;
    admission_move(&job->channels[i]);
    if (!job->channels[i].is_new) continue;
    status = names_charge(&exchange->subscriber, job->client, subscriber_find(&exchange->subscriber, job->channels[i].name));
  }
  if (status == 0) status = replay_init(&replay, &exchange->subscriber, job->since, NULL);
  bool has_ended = status == 0 && has_seen_all(&replay, job->since);
  if (status == 0) {
    if (!has_ended) write_stream_beginning(&beginning, exchange, job, &replay);
    if (beginning.text.failed) status = MW_ENOMEM;
  }
  if (status == 0 && has_ended) {
    /* The only answer after which an EventSource does not reconnect. */
    subscriber_end(&exchange->subscriber);
    exchange_answer(exchange, &(struct answer){.status = 204});
  } else if (status == 0) {
    form_users_add(exchange_delivery(exchange)->form_users, exchange_form(exchange));
    exchange->flags |= EXCHANGE_COUNTED;
    exchange_stream_rope(exchange, &beginning);
    /* Without an identity, the app would be notified that it has left. */
    if (job->client && session_identify(&exchange->subscriber, job->client) < 0) exchange_break(exchange);
    if (job->client && session_is_identified(&exchange->subscriber)) session_keep(&exchange->subscriber, job);
    if (job->client) expiry_set(&exchange->subscriber, job);
    replay_start(&replay, &exchange->subscriber);
  } else {
    subscriber_end(&exchange->subscriber);
    sse_retry_later(exchange);
  }
  replay_deinit(&replay);
  rope_deinit(&beginning);
}

/* ---- The role -------------------------------------------------------------------------------- */

static struct script_job *make_stream_job(struct exchange *exchange, struct subscribe_query *query) {
  struct mw_config *config = exchange_request(exchange)->config;
  const struct mw_config_options *options = &config->options;
  bool is_plain = !query->envelope && !options->authenticate && !options->connects && !options->disconnects;
  for (size_t i = 0; i < query->channel_count; i++) is_plain = is_plain && !kind_asks(subscribe_query_channels(query)[i].kind);
  struct script_job *job;
  if (is_plain) {
    /* Anonymous. */
    job = job_new(JOB_JOIN, config, NULL, NULL, subscribe_query_channels(query), query->channel_count);
  } else {
    job = connect_job(exchange, exchange_request(exchange), "sse", subscribe_query_channels(query), query->channel_count);
  }
  if (!job) return NULL;
  job->envelope = query->envelope;
  job->since = since_parse(buffer_bytes(&query->since), exchange_delivery(exchange)->epoch);
  return job;
}

/* Answers HEAD as GET would be answered: with 204 if nothing can come any more. */
static void answer_stream_head(struct exchange *exchange, const struct job_channel *channels, size_t count, struct since since) {
  const struct hub *hub = exchange_delivery(exchange)->hub;
  bool has_ended = since.kind == SINCE_POSITION;
  for (size_t i = 0; has_ended && i < count; i++) {
    uint64_t ended = store_ended(hub->store, channels[i].name);
    has_ended = ended > 0 && since.position >= ended;
  }
  if (has_ended) {
    exchange_answer(exchange, &(struct answer){.status = 204});
  } else {
    exchange_answer_stream_head(exchange, 200, NULL);
  }
}

/* HEAD: asks the app whether these channels may be read, and joins nothing. */
static void go_for_head(struct exchange *exchange, struct subscribe_query *query) {
  struct since since = since_parse(buffer_bytes(&query->since), exchange_delivery(exchange)->epoch);
  bool asks = exchange_request(exchange)->config->options.authenticate;
  for (size_t i = 0; i < query->channel_count; i++)
    asks = asks || subscribe_query_channels(query)[i].kind->hooks & MW_HOOK_AUTHORIZE;
  if (!asks) {
    answer_stream_head(exchange, subscribe_query_channels(query), query->channel_count, since);
    return;
  }
  struct script_job *job =
      connect_permit_job(exchange, exchange_request(exchange), "sse", subscribe_query_channels(query), query->channel_count);
  if (job) job->since = since;
  if (!job || !exchange_ask(exchange, job)) sse_retry_later(exchange);
}

static void go_stream(struct exchange *exchange, struct subscribe_query *query) {
  bool may = !app_stopping(exchange_app(exchange)) &&
             names_allow(&exchange->subscriber, NULL, subscribe_query_channels(query), query->channel_count);
  struct script_job *job = may ? make_stream_job(exchange, query) : NULL;
  if (!job) {
    sse_retry_later(exchange);
  } else if (!session_must_ask(&exchange->subscriber, job)) {
    struct http *http = exchange_http(exchange);
    join_stream(exchange, job);
    admission_return(http, job->channels, job->channel_count);
    job_unref(job);
  } else if (!exchange_ask(exchange, job)) {
    sse_retry_later(exchange);
  }
}

static void sse_start(struct exchange *exchange) {
  struct request *request = exchange_request(exchange);
  if (!cors_allows(exchange)) {
    sse_refuse(exchange, 403, cors_refusal);
    return;
  }
  const struct http_head *head = request->head;
  struct bytes last = http_head_field(head, BYTES("last-event-id"));
  struct subscribe_query query;
  subscribe_query_init(&query, request->config, &exchange_app(exchange)->limits, head->query);
  if (query.channel_count == 0) subscribe_query_refuse(&query, 400, "a channel is required: ?channel=NAME");
  if (last.len > 0) {
    buffer_clear(&query.since);
    buffer_append(&query.since, last);
    if (query.since.failed) subscribe_query_refuse(&query, 503, "out of memory");
  }
  if (query.status != 0 && exchange_is_temporary(query.status)) {
    sse_retry_later(exchange);
  } else if (query.status != 0) {
    exchange_refuse_channel(exchange, query.status, exchange_code(query.status), query.reason, subscribe_query_refused(&query));
  } else if (request->is_head) {
    go_for_head(exchange, &query);
  } else {
    go_stream(exchange, &query);
  }
  subscribe_query_deinit(&query);
  if (exchange->state == EXCHANGE_ASKING) exchange_shed(exchange);
}

static void sse_on_answer(struct exchange *exchange, struct script_job *job) {
  if (exchange->state == EXCHANGE_STREAMING) {
    session_on_answer(&exchange->subscriber, job);
  } else if (job->status == 200 && job->type == JOB_MESSAGE) {
    answer_stream_head(exchange, job->channels, job->channel_count, job->since);
  } else if (job->status == 200) {
    join_stream(exchange, job);
  } else if (exchange_is_temporary(job->status)) {
    sse_retry_later(exchange);
  } else {
    struct bytes channel = job->refused ? job->refused->name : bytes_of(NULL, 0);
    exchange_refuse_channel(exchange, job->status, job->code, job->reason, channel);
  }
}

static void sse_on_silent(struct exchange *exchange) {
  subscriber_push_text(&exchange->subscriber, exchange_dialect(exchange)->ping);
}

static void sse_on_end(struct exchange *exchange) {
  if (!(exchange->flags & EXCHANGE_COUNTED)) return;
  exchange->flags &= (uint16_t)~EXCHANGE_COUNTED;
  form_users_remove(exchange_delivery(exchange)->form_users, exchange_form(exchange));
}

const struct role sse_role = {.start = sse_start,
                              .on_answer = sse_on_answer,
                              .on_late = sse_retry_later,
                              .finishes = exchange_session_finishes,
                              .on_silent = sse_on_silent,
                              .on_mail = role_nothing_on_mail,
                              .on_flushed = role_nothing,
                              .on_finish = exchange_end_stream,
                              .close = exchange_close_stream,
                              .on_end = sse_on_end,
                              .silence_ms = role_heartbeat_ms,
                              .outbox_limit = role_outbox_limit,
                              .opens = ROLE_OPENS_STREAM,
                              ROLE_WRITES_AT_ONCE,
                              ROLE_NEVER_WAITS,
                              ROLE_READS_NOTHING};
