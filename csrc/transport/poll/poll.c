/* GET /poll: messages of channels as one JSON answer, immediately if there are any, else when there
 * are, or after the wait. */
#include "transport/poll/poll.h"

#include "base/memory.h"
#include "delivery/collect.h"
#include "dialect/native.h"
#include "http/cors.h"
#include "http/exchange.h"
#include "http/request.h"
#include "session/admission.h"
#include "session/names.h"
#include "session/reply.h"
#include "transport/connect.h"
#include "transport/poll/poll_answer.h"
#include "transport/poll/poll_channels.h"
#include "transport/poll/poll_client.h"
#include "transport/poll/poll_fetch.h"
#include "transport/poll/poll_user.h"
#include "transport/roles.h"
#include "transport/transport.h"

/* ---- Beginning and end ----------------------------------------------------------------------- */

static struct poll *poll_of(struct exchange *exchange) { return exchange_request(exchange)->of_role; }

static struct poll *make_poll(struct exchange *exchange) {
  struct poll *poll = memory_calloc(1, sizeof *poll);
  if (!poll) return NULL;
  poll->exchange = exchange;
  poll->subscriber.sink = &exchange_http(exchange)->transport->polls.alone.sink;
  list_init(&poll->link);
  rope_init(&poll->joined);
  exchange_request(exchange)->of_role = poll;
  return poll;
}

static void poll_on_end(struct exchange *exchange) {
  struct poll *poll = poll_of(exchange);
  if (!poll) return;
  exchange_request(exchange)->of_role = NULL;
  if (poll->client) poll_client_detach(poll);
  poll_user_deinit(poll);
  poll->subscriber.flags |= SUBSCRIBER_OVER;
  subscriber_end(&poll->subscriber);
  delivery_forget(poll->subscriber.sink->delivery, &poll->subscriber);
  poll_items_deinit(&poll->items);
  subscribe_query_deinit(&poll->query);
  rope_deinit(&poll->joined);
  memory_free(poll);
}

static void refuse_poll(struct exchange *exchange, int status, const char *reason) {
  exchange_refuse(exchange, status, exchange_code(status), reason, bytes_of(NULL, 0));
}

/* ---- Looking, waiting, answering ------------------------------------------------------------- */

static struct subscriber *poll_source(struct poll *poll) { return poll->client ? &poll->client->subscriber : &poll->subscriber; }

static void wait_for_more(struct poll *poll) {
  struct exchange *exchange = poll->exchange;
  struct http *http = exchange_http(exchange);
  poll->seen = http->delivery->hub->position;
  poll->epoch = *http->delivery->epoch;
  if (poll->since.kind == SINCE_POSITION && poll->since.position > poll->seen) poll->seen = poll->since.position;
  if (poll->due_ms == 0) poll->due_ms = http->loop->clock.now_ms + poll->query.wait_ms;
  if (!poll->client) poll_user_wait(poll);
  subscribe_query_deinit(&poll->query);
  if (poll->client) poll->client->waiting = poll;
  exchange_set_state(exchange, EXCHANGE_WAITING);
  exchange_shed(exchange);
}

/* Nothing can come any more. */
static void end_polling(struct poll *poll) {
  struct exchange *exchange = poll->exchange;
  if (poll->is_new) poll_client_end(poll->client);
  exchange_answer(exchange, &(struct answer){.status = 204, .fields = &http_fields_no_store});
}

void poll_begin(struct poll *poll) {
  struct exchange *exchange = poll->exchange;
  struct poll_client *client = poll->client;
  struct poll_answer answer;
  if (poll_fetch_cursor(poll, poll_begin)) return;
  /* One poll at a time waits for a client. The older one gets the messages with an id; the rest is
   * for the newer one. */
  if (client && client->waiting) poll_finish(client->waiting);
  if (client) poll_items_drop_kept(&client->items);
  int status = 0;
  if (!client && !(poll->subscriber.flags & SUBSCRIBER_COLLECTS)) status = poll_channels_subscribe(poll);
  if (status < 0) {
    refuse_poll(exchange, 503, status == MW_ELIMIT ? names_refusal : "out of memory");
    return;
  }
  poll_answer_init(&answer);
  if (client) poll_channels_tell_restarts(poll, &answer);
  status = poll_answer_read(&answer, poll_source(poll), poll->since, client);
  if (status == MW_EUNAVAILABLE) {
    poll_fetch_page(poll, answer.lacks->name, answer.lacks_until, poll_begin);
  } else if (status < 0) {
    refuse_poll(exchange, 503, "out of memory");
  } else if (answer.has_ended && answer.count == 0 && answer.gap_count == 0) {
    end_polling(poll);
  } else {
    bool has_news = answer.count > 0 || answer.gap_count > 0 || poll->is_new || rope_len(&poll->joined) > 0;
    /* its disconnect would not be seen */
    if (exchange_request(exchange)->peer_ended) has_news = true;
    if (has_news || poll->since.kind == SINCE_NONE || poll->query.wait_ms == 0) {
      bool sent = poll_answer_send(&answer, poll);
      if (client) poll_items_consume(&client->items, sent ? answer.taken : 0);
    } else {
      wait_for_more(poll);
    }
  }
  poll_answer_deinit(&answer);
}

void poll_finish(struct poll *poll) {
  struct poll_client *client = poll->client;
  struct poll_items *items = client ? &client->items : &poll->items;
  struct poll_answer answer;
  bool is_last = !client || client->polls.prev == &poll->link;
  bool sent = false;
  poll_answer_init(&answer);
  if (client) poll_channels_tell_restarts(poll, &answer);
  if (items->lost || poll_answer_take(&answer, poll_source(poll), poll->seen, items, !is_last) < 0) {
    bool is_restart = memcmp(&poll->epoch, exchange_delivery(poll->exchange)->epoch, sizeof poll->epoch) != 0;
    refuse_poll(poll->exchange, 503, is_restart ? "the histories have restarted; poll again" : "out of memory");
  } else {
    sent = poll_answer_send(&answer, poll);
  }
  if (client) poll_items_consume(items, sent ? answer.taken : 0);
  poll_answer_deinit(&answer);
}

static uint64_t poll_left_ms(struct exchange *exchange) {
  uint64_t now_ms = exchange_http(exchange)->loop->clock.now_ms, due_ms = poll_of(exchange)->due_ms;
  return due_ms > now_ms ? due_ms - now_ms : 0;
}

/* ---- What comes while one that stands for itself waits --------------------------------------- */

static struct poll *poll_here(struct subscriber *subscriber) { return container_of(subscriber, struct poll, subscriber); }

static void poll_sink_collect(struct subscriber *subscriber, struct message *message) {
  struct poll *poll = poll_here(subscriber);
  if (poll->exchange->state != EXCHANGE_WAITING) return;
  /* A poll without a client got no snapshot, and can do nothing with changes of presence. */
  if (message && message->parts.type == MESSAGE_PRESENCE) return;
  if (message && message->position > 0 && message->position <= poll->seen) return;
  poll_items_deliver(&poll->items, subscriber, message, false);
  subscriber_mark(subscriber);
}

static void poll_sink_flushed(struct subscriber *subscriber) {
  struct poll *poll = poll_here(subscriber);
  bool has_news = poll->items.count > 0 || poll->items.lost;
  if (poll->exchange->state == EXCHANGE_WAITING && has_news) poll_finish(poll);
}

/* The channel that it named is charged to its peer. */
static void poll_sink_left(struct subscriber *subscriber, struct subscription *subscription, enum leave_reason reason) {
  names_leave(&poll_here(subscriber)->exchange->subscriber, subscription, reason != LEAVE_OVER);
  admission_leave(http_of(subscriber), subscription);
}

const struct sink_ops poll_sink = {.flushed = poll_sink_flushed,
                                   .collect = poll_sink_collect,
                                   .collect_push = collect_no_push,
                                   .collected = collect_none,
                                   .left = poll_sink_left,
                                   .identity = collect_no_identity,
                                   SINK_ONLY_COLLECTS};

/* ---- The identity -------------------------------------------------------------------------- */

/* Without client=, asks the app only whether these channels may be read. */
static void go_alone(struct poll *poll) {
  struct exchange *exchange = poll->exchange;
  struct subscribe_query *query = &poll->query;
  bool asks = exchange_request(exchange)->config->options.authenticate || exchange_app(exchange)->orderer->may_wait;
  for (size_t i = 0; i < query->channel_count; i++)
    asks = asks || subscribe_query_channels(query)[i].kind->hooks & MW_HOOK_AUTHORIZE;
  if (!asks) {
    poll_begin(poll);
    return;
  }
  struct script_job *job =
      connect_permit_job(exchange, exchange_request(exchange), "poll", subscribe_query_channels(query), query->channel_count);
  if (job) job->since = poll->since;
  if (!job || !exchange_ask(exchange, job)) refuse_poll(exchange, 503, waiting_refusal);
}

/* A new client is admitted; the job may become its membership. */
static void make_client(struct poll *poll, struct script_job *job) {
  struct poll_client *client;
  int status = poll_client_new(exchange_http(poll->exchange), job, &client);
  if (status < 0) {
    refuse_poll(poll->exchange, 503, status == MW_ELIMIT ? polls_refusal : "out of memory");
    return;
  }
  poll->is_new = true;
  poll_client_attach(client, poll);
  poll_channels_join(poll);
}

static void go_as_new(struct poll *poll) {
  struct exchange *exchange = poll->exchange;
  const struct subscribe_query *query = &poll->query;
  struct http *http = exchange_http(exchange);
  if (poll->query.channel_count == 0) {
    refuse_poll(exchange, 400, "a channel is required: ?channel=NAME");
    return;
  }
  char remote[REMOTE_MAX];
  exchange_remote(exchange, remote, sizeof remote);
  if (!poll_client_allowed(http, remote, 1 + query->channel_count)) {
    refuse_poll(exchange, 503, polls_refusal);
    return;
  }
  bool full = atomic_load(&http->app->poll_count) >= http->app->config->options.limits.connections;
  if (full) limit_count(&http->app->limits, MW_LIMIT_CONNECTIONS);
  struct script_job *job = full ? NULL : connect_job(exchange, exchange_request(exchange), "poll", NULL, 0);
  if (!job) {
    refuse_poll(exchange, 503, full ? "too many clients: limits.connections" : "out of memory");
  } else if (!job_needs_script(job)) {
    make_client(poll, job);
    job_unref(job);
  } else if (!exchange_ask(exchange, job)) {
    refuse_poll(exchange, 503, waiting_refusal);
  }
}

static void go_as(struct poll *poll, struct poll_client *client) {
  struct exchange *exchange = poll->exchange;
  poll_client_attach(client, poll);
  if (!exchange_request(exchange)->config->options.authenticate) {
    poll_channels_join(poll);
    return;
  }
  /* The poll must come from the same user. */
  struct script_job *job = connect_job(exchange, exchange_request(exchange), "poll", NULL, 0);
  if (job) {
    atomic_store(&job->client->gone, true);
    job->connects = false;
  }
  if (!job || !exchange_ask(exchange, job)) refuse_poll(exchange, 503, waiting_refusal);
}

static void go_poll(struct poll *poll) {
  struct exchange *exchange = poll->exchange;
  struct subscribe_query *query = &poll->query;
  struct http *http = exchange_http(exchange);
  if (query->has_client && poll_client_forward(exchange, buffer_bytes(&query->client))) return;
  struct poll_client *client = query->has_client ? poll_client_find(http, buffer_bytes(&query->client)) : NULL;
  if (query->channel_count == 0 && !query->has_client) subscribe_query_refuse(query, 400, "a channel is required: ?channel=NAME");
  if (query->bad_wait) subscribe_query_refuse(query, 400, "wait must be a number of whole seconds");
  if (app_stopping(http->app)) subscribe_query_refuse(query, 503, "the server is stopping");
  poll->since = since_parse(buffer_bytes(&query->since), http->delivery->epoch);
  if (query->status == 0 && !query->has_client &&
      !names_allow(&exchange->subscriber, NULL, subscribe_query_channels(query), query->channel_count))
    subscribe_query_refuse(query, 503, names_refusal);
  if (query->status != 0) {
    exchange_refuse_channel(exchange, query->status, exchange_code(query->status), query->reason, subscribe_query_refused(query));
  } else if (!query->has_client) {
    go_alone(poll);
  } else if (client) {
    go_as(poll, client);
  } else {
    go_as_new(poll);
  }
}

static void poll_start(struct exchange *exchange) {
  struct request *request = exchange_request(exchange);
  if (!cors_allows(exchange)) {
    exchange_refuse(exchange, 403, "forbidden", cors_refusal, bytes_of(NULL, 0));
    return;
  }
  struct poll *poll = make_poll(exchange);
  if (!poll) {
    exchange_refuse(exchange, 503, "unavailable", "out of memory", bytes_of(NULL, 0));
    return;
  }
  subscribe_query_init(&poll->query, request->config, &exchange_app(exchange)->limits, request->head->query);
  /* A request for the head takes no messages from others. */
  if (request->is_head) {
    poll->query.has_client = false;
    poll->query.wait_ms = 0;
  }
  go_poll(poll);
  if (exchange->state == EXCHANGE_ASKING) exchange_shed(exchange);
}

static void poll_on_answer(struct exchange *exchange, struct script_job *job) {
  struct poll *poll = poll_of(exchange);
  poll->expires_ms = job->expires_ms;
  if (job->status != 200) {
    exchange_refuse_channel(exchange, job->status, job->code, job->reason, job->refused ? job->refused->name : bytes_of(NULL, 0));
  } else if (job->type == JOB_MESSAGE) {
    if (job->client->user) poll->user = mw_client_ref(job->client);
    poll_channels_take(poll, job);
    poll_begin(poll);
  } else if (job->connects) {
    make_client(poll, job);
  } else {
    if (client_same_user(poll->client->session.client, job->client)) {
      poll_channels_join(poll);
    } else {
      refuse_poll(exchange, 403, "the client belongs to another user");
    }
  }
}

static void poll_on_late(struct exchange *exchange) {
  if (exchange->state == EXCHANGE_WAITING) {
    poll_finish(poll_of(exchange));
  } else {
    bool stops = app_stopping(exchange_app(exchange));
    refuse_poll(exchange, 503, stops ? "the server is stopping" : "the app did not answer in time");
  }
}

/* ---- A channel that is joined on its behalf -------------------------------------------------- */

/* The poll that waits for it, or NULL. */
static struct poll *find_waiting_poll(struct subscriber *subscriber, const struct reply *reply) {
  struct exchange *waiting = exchange_find(http_of(subscriber), reply->waiting);
  return waiting && waiting->state == EXCHANGE_ASKING && waiting->role == &poll_role ? poll_of(waiting) : NULL;
}

/* All channels that are joined go into one answer. */
static size_t room_of_poll(struct subscriber *subscriber, const struct reply *reply) {
  const struct poll *poll = find_waiting_poll(subscriber, reply);
  size_t room = app_answer_room(http_of(subscriber)->app), taken = poll ? rope_len(&poll->joined) : room;
  return taken < room ? room - taken : 0;
}

static void ok_to_poll(struct subscriber *subscriber, const struct reply *reply, const struct rope *text) {
  struct poll *poll = find_waiting_poll(subscriber, reply);
  if (poll) poll_channels_joined(poll, text);
}

static void error_to_poll(struct subscriber *subscriber, const struct reply *reply, const struct refusal *refusal,
                          struct bytes text) {
  struct poll *poll = find_waiting_poll(subscriber, reply);
  budget_charge(subscriber, text.len);
  if (!poll) return;
  if (strcmp(refusal->code, "already_subscribed") == 0) {
    poll_channels_joined(poll, NULL);
    return;
  }
  if (poll->is_new) poll_client_end(poll->client);
  exchange_answer_error(poll->exchange, reply_status(refusal), text, refusal->retry_ms);
}

const struct reply_class poll_reply = {.dialect = &native_query,
                                       .is_awaited = true,
                                       .is_query = true,
                                       .room = room_of_poll,
                                       .ok = ok_to_poll,
                                       .page = ok_to_poll,
                                       .error = error_to_poll};

/* ---- The role -------------------------------------------------------------------------------- */

const struct role poll_role = {.start = poll_start,
                               .on_answer = poll_on_answer,
                               .on_late = poll_on_late,
                               .finishes = role_never_finishes,
                               .on_end = poll_on_end,
                               .left_ms = poll_left_ms,
                               .needs_peer = true,
                               .on_mail = poll_user_on_mail,
                               .on_silent = role_nothing,
                               .on_flushed = role_nothing,
                               ROLE_NEVER_FINISHES,
                               .close = exchange_close_stream,
                               .silence_ms = role_heartbeat_ms,
                               .outbox_limit = role_outbox_limit,
                               ROLE_WRITES_AT_ONCE,
                               ROLE_READS_NOTHING};
