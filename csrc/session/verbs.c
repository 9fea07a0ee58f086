#include "session/verbs.h"

#include "app/limits/send_rate.h"
#include "base/memory.h"
#include "codec/json_scan.h"
#include "session/admission.h"
#include "session/join.h"
#include "session/names.h"
#include "session/relay.h"
#include "session/verb_rate.h"

/* The call that is being handled. */
struct call {
  struct subscriber *subscriber;
  const struct verb *verb;
  struct reply reply;
};

static void refuse_call(const struct call *call, const char *code, const char *reason) {
  reply_error(call->subscriber, &call->reply, call->verb->ref.raw,
              &(struct refusal){.channel = call->verb->channel, .code = code, .reason = reason});
}

static void succeed_call(const struct call *call, const struct outcome *outcome) {
  reply_ok(call->subscriber, &call->reply, call->verb->ref.raw, outcome);
}

static const struct outcome done = {.type = OUTCOME_DONE};

/* Asks the script; takes the job (NULL: out of memory). Returns false if the call was refused. */
static bool ask_call(const struct call *call, struct script_job *job) {
  struct session *session = session_get(call->subscriber);
  struct input_backlog *backlog = session ? session_backlog(session) : NULL;
  struct blob *ref = call->verb->ref.raw.len > 0 ? blob_new(call->verb->ref.raw) : NULL;
  bool fine = job && backlog && (ref || call->verb->ref.raw.len == 0);
  if (fine) {
    backlog->asked_ref = ref;
    backlog->asked_by = call->reply;
    backlog->is_asked = true;
    if (session_ask(call->subscriber, job)) return true;
    backlog->asked_ref = NULL;
    backlog->is_asked = false;
  } else {
    job_unref(job);
  }
  if (session) session_release_backlog(session);
  blob_unref(ref);
  refuse_call(call, "unavailable", waiting_refusal);
  return false;
}

static void on_subscribe(const struct call *call, const struct kind *kind) {
  struct subscriber *subscriber = call->subscriber;
  const struct app *app = http_of(subscriber)->app;
  if (subscriber_find(subscriber, call->verb->channel)) {
    refuse_call(call, "already_subscribed", "already subscribed to this channel");
    return;
  }
  /* The ids of a client with one cursor only grow, since it reconnects with the newest: older
   * messages cannot be replayed to it. */
  if (!subscriber->sink->form->cursor_per_channel && call->verb->since.len > 0) {
    refuse_call(call, "refused", "an event stream resumes by its own id");
    return;
  }
  if (subscriber->subscription_count >= app->config->options.limits.client_channels) {
    limit_count(&http_of(subscriber)->app->limits, MW_LIMIT_CLIENT_CHANNELS);
    refuse_call(call, "refused", "too many channels: limits.client_channels");
    return;
  }
  struct job_channel channel = {.name = call->verb->channel, .kind = kind};
  bool asks = kind_asks(kind);
  if (!session_ops(subscriber)->may_join(subscriber)) {
    refuse_call(call, "unavailable", polls_refusal);
    return;
  }
  if (!names_allow(subscriber, NULL, &channel, 1)) {
    refuse_call(call, "unavailable", names_refusal);
    return;
  }
  struct mw_client *client = asks ? session_client(subscriber) : NULL;
  struct script_job *job = client || !asks ? job_new(JOB_JOIN, app->config, client, NULL, &channel, 1) : NULL;
  if (job) job->since = since_parse(call->verb->since, subscriber->sink->delivery->epoch);
  if (job && !session_must_ask(subscriber, job)) {
    session_join(subscriber, job, &call->reply, call->verb->ref.raw);
    admission_return(http_of(subscriber), job->channels, job->channel_count);
    job_unref(job);
  } else {
    ask_call(call, job);
  }
}

static void on_unsubscribe(const struct call *call) {
  session_unsubscribe(call->subscriber, call->verb->channel, NULL, NULL);
  succeed_call(call, &done);
}

/* An id, even of another epoch, or "0". With any other text, the history would seem to be empty. */
static bool is_id_or_none(struct bytes text) { return !text.ptr || text.len == ID_LEN || bytes_equal(text, BYTES("0")); }

/* True if a success is not answered, so that the result is not needed. */
static bool is_unheard(const struct call *call) { return !reply_is_wanted(&call->reply, call->verb->ref.raw); }

/* Returns false if out of memory. */
static bool answer_page(struct subscriber *subscriber, const struct reply *reply, struct bytes ref, struct bytes channel,
                        const struct history_query *wish) {
  struct delivery *delivery = subscriber->sink->delivery;
  const struct mw_limits *limits = &http_of(subscriber)->app->config->options.limits;
  const struct form_class *item = reply_dialect(subscriber, reply)->item;
  size_t bytes = limits->outbox / 2 < BUDGET_ANSWER ? limits->outbox / 2 : BUDGET_ANSWER;
  store_lock(delivery->hub->store);
  struct history_page page = history_page_of(delivery->hub, channel, wish);
  struct outcome outcome = {.type = OUTCOME_HISTORY, .page = &page, .epoch = delivery->epoch};
  bool fine = history_page_fit(&page, item, delivery->epoch, bytes) == 0;
  budget_charge(subscriber, (size_t)page.count * BUDGET_PART);
  fine = fine && reply_page(subscriber, reply, ref, &outcome);
  store_unlock(delivery->hub->store);
  return fine;
}

/* The history must be fetched: it is read when the job is answered. */
static void ask_history(const struct call *call, const struct kind *kind, const struct history_query *wish) {
  struct job_channel channel = {.name = call->verb->channel, .kind = kind};
  struct script_job *job = job_new(JOB_HISTORY, http_of(call->subscriber)->app->config, NULL, NULL, &channel, 1);
  if (job) {
    job->since = wish->since;
    job->before = wish->before;
    job->limit = wish->limit;
    job->step = STEP_JOINED;
  }
  ask_call(call, job);
}

void verbs_answer_history(struct subscriber *subscriber, const struct script_job *job, const struct reply *reply,
                          struct bytes ref) {
  struct history_query wish = {.since = job->since, .before = job->before, .limit = job->limit};
  struct bytes channel = job->channels[0].name;
  if (!answer_page(subscriber, reply, ref, channel, &wish))
    reply_error(subscriber, reply, ref, &(struct refusal){.channel = channel, .code = "unavailable", .reason = "out of memory"});
}

static void on_history(const struct call *call, const struct kind *kind) {
  struct subscriber *subscriber = call->subscriber;
  const struct app *app = http_of(subscriber)->app;
  const struct epoch *epoch = subscriber->sink->delivery->epoch;
  const struct verb *verb = call->verb;
  size_t most = app->config->options.limits.replay;
  struct history_query wish = {.since = since_parse(verb->since, epoch),
                               .before = since_parse(verb->before, epoch),
                               .limit = verb->limit < most ? verb->limit : most};
  if (!is_id_or_none(verb->since) || !is_id_or_none(verb->before)) {
    refuse_call(call, "bad_request", "since and before must be message ids");
  } else if (!kind->history_readable) {
    refuse_call(call, "refused", "clients cannot read the history of this channel");
  } else if (!subscriber_find(subscriber, verb->channel)) {
    refuse_call(call, "not_subscribed", "subscribe to the channel first");
  } else if (!is_unheard(call) && app->orderer->may_wait) {
    ask_history(call, kind, &wish);
  } else if (!is_unheard(call) && !answer_page(subscriber, &call->reply, verb->ref.raw, verb->channel, &wish)) {
    refuse_call(call, "unavailable", "out of memory");
  }
}

/* The id of a user as members are compared: as in JSON, without quotes. */
static bool read_after(struct buffer *json, struct bytes id, struct roster_query *query) {
  if (id.len > 0) json_write_string(json, id);
  if (json->len > 0) query->after = bytes_of(json->data + 1, json->len - 2);
  return !json->failed;
}

static void tell_members(const struct call *call, const struct kind *kind) {
  const struct verb *verb = call->verb;
  size_t room = reply_room(call->subscriber, &call->reply);
  struct job_channel channel = {.name = verb->channel, .kind = kind};
  struct outcome outcome = {.type = OUTCOME_MEMBERS,
                            .told = {.hub = call->subscriber->sink->delivery->hub, .channel = &channel, .room = &room},
                            .query = {.limit = verb->limit}};
  struct buffer after;
  buffer_init(&after);
  bool fine = read_after(&after, verb->after, &outcome.query);
  if (!fine || !reply_page(call->subscriber, &call->reply, verb->ref.raw, &outcome))
    refuse_call(call, "unavailable", "out of memory");
  buffer_deinit(&after);
}

static void on_presence(const struct call *call, const struct kind *kind) {
  if (kind->presence == MW_PRESENCE_NONE) {
    refuse_call(call, "refused", "the channel has no presence");
  } else if (!subscriber_find(call->subscriber, call->verb->channel)) {
    refuse_call(call, "not_subscribed", "subscribe to the channel first");
  } else if (!is_unheard(call)) {
    tell_members(call, kind);
  }
}

static void refuse_too_many(const struct call *call, const struct send_rate_refusal *over) {
  struct subscriber *subscriber = call->subscriber;
  reply_error(subscriber, &call->reply, call->verb->ref.raw,
              &(struct refusal){
                  .channel = call->verb->channel, .code = "rate_limited", .reason = over->reason, .retry_ms = over->wait_ms});
  if (over->closes && session_ops(subscriber)->is_open(subscriber))
    session_ops(subscriber)->close(subscriber, &(struct closing){.reason = CLOSE_RATE, .text = "rate_limited"});
}

/* Returns true if the client may send the message now; else the call is refused. */
static bool may_send_now(const struct call *call, const struct kind *kind, const struct event_rule *rule,
                         const struct mw_client *client) {
  struct subscriber *subscriber = call->subscriber;
  struct http *http = http_of(subscriber);
  struct send_rate_refusal over;
  struct send_rate send = {.app = http->app,
                           .config = http->app->config,
                           .client = client,
                           .channel = call->verb->channel,
                           .kind = kind,
                           .rule = rule,
                           .now_ms = http->loop->clock.now_ms};
  if (send_rate_allows(&send, &over)) return true;
  refuse_too_many(call, &over);
  return false;
}

static void on_send(const struct call *call, const struct kind *kind) {
  struct subscriber *subscriber = call->subscriber;
  const struct verb *verb = call->verb;
  const struct app *app = http_of(subscriber)->app;
  const struct event_rule *rule = config_event(kind, verb->event);
  size_t size = verb->is_binary ? verb->payload.len : verb->data.raw.len;
  struct mw_client *client = session_client(subscriber);
  if (!subscriber_find(subscriber, verb->channel)) {
    refuse_call(call, "not_subscribed", "subscribe to the channel first");
  } else if (!rule) {
    char reason[UNKNOWN_EVENT_MAX];
    reply_write_unknown_event(reason, verb->event);
    refuse_call(call, "unknown_event", reason);
  } else if (size > kind->message_size) {
    limit_count(&http_of(subscriber)->app->limits, MW_LIMIT_MESSAGE_SIZE);
    refuse_call(call, "too_large", "the data is larger than limits.message_size");
  } else if (!client) {
    refuse_call(call, "unavailable", "out of memory");
  } else if (!may_send_now(call, kind, rule, client)) {
    return;
  } else if (rule->relay && verb->idempotency_key.len == 0) {
    relay_event(subscriber, &(struct relay_call){verb, &call->reply, kind, rule, client});
  } else {
    struct job_channel channel = {.name = verb->channel, .kind = kind};
    struct script_job *job = job_new(JOB_MESSAGE, app->config, client, NULL, &channel, 1);
    if (job && job_set_message(job, verb) < 0) {
      job_unref(job);
      job = NULL;
    }
    if (job) job->relayed = rule->relay;
    ask_call(call, job);
  }
}

static void close_busy(struct subscriber *subscriber, const char *text) {
  session_ops(subscriber)->close(subscriber, &(struct closing){.reason = CLOSE_BUSY, .text = text});
}

/* Returns the request that asks who has this token: as much of the upgrade as is kept. */
static struct http_copy *copy_request(const struct session *session, struct bytes token) {
  return session_http(session) ? http_copy_with_token(session->http, token) : http_copy_of_token(token);
}

/* Identifies the client by the token in its first verb, or checks a newer token. */
static void on_token(const struct call *call, bool connects) {
  struct subscriber *subscriber = call->subscriber;
  const struct app *app = http_of(subscriber)->app;
  struct session *session = session_get(subscriber);
  struct mw_client *client = session_client(subscriber);
  bool authenticates = app->config->options.authenticate;
  /* A client that was identified by the upgrade has no request left for a token. */
  if (session && authenticates && !session_http(session) && !app->config->options.token) {
    refuse_call(call, "refused", "only a moonwire.1 WebSocket can send a new token");
    return;
  }
  struct http_copy *http = session && authenticates ? copy_request(session, call->verb->token) : NULL;
  struct script_job *job = NULL;
  if (client && (http || !authenticates)) job = job_new(JOB_JOIN, app->config, client, http, NULL, 0);
  if (job && connects && !job_connect(job)) {
    job_unref(job);
    job = NULL;
    http = NULL;
  }
  if (!job) {
    memory_free(http);
    refuse_call(call, "unavailable", "out of memory");
    if (connects) close_busy(subscriber, "out of memory");
    return;
  }
  if (job_needs_script(job)) {
    if (!ask_call(call, job) && connects) close_busy(subscriber, waiting_refusal);
  } else {
    session_connected(subscriber, job, &call->reply, call->verb->ref.raw);
    job_unref(job);
  }
}

static void take_verb(const struct call *call) {
  const struct verb *verb = call->verb;
  bool waits = session_ops(call->subscriber)->is_connecting(call->subscriber);
  struct send_rate_refusal over;
  const struct kind *kind = verb->channel.len > 0 ? config_kind(http_of(call->subscriber)->app->config, verb->channel) : NULL;
  if (waits != (verb->type == VERB_CONNECT)) {
    refuse_call(call, waits ? "unauthorized" : "bad_request", waits ? "connect first" : "already connected");
  } else if (verb->channel.len > 0 && !kind) {
    refuse_call(call, "not_found", "no channel pattern matches this name");
  } else if (!verb_rate_allows(call->subscriber, verb->type, &over)) {
    refuse_too_many(call, &over);
  } else {
    switch (verb->type) {
      case VERB_SUBSCRIBE: on_subscribe(call, kind); break;
      case VERB_UNSUBSCRIBE: on_unsubscribe(call); break;
      case VERB_SEND: on_send(call, kind); break;
      case VERB_PRESENCE: on_presence(call, kind); break;
      case VERB_HISTORY: on_history(call, kind); break;
      case VERB_TOKEN: on_token(call, false); break;
      case VERB_CONNECT: on_token(call, true); break;
      case VERB_PING: succeed_call(call, &done); break;
      case VERB_COUNT: break;
    }
  }
}

/* ---- Input ---------------------------------------------------------------------------------------------------------------- */

/* The unfinished verb of an earlier frame is continued only by the client's own frames. */
static void begin_reading_verbs(struct subscriber *subscriber, const struct input *input, struct dialect_reader *reader) {
  struct session *session = input->reply.class->is_awaited ? NULL : session_of(subscriber);
  dialect_reader_init(reader);
  if (!session || !session->backlog || !session->backlog->unfinished) return;
  buffer_append(&reader->kept, blob_bytes(session->backlog->unfinished));
  blob_unref(session->backlog->unfinished);
  session->backlog->unfinished = NULL;
  session_release_backlog(session);
  budget_charge(subscriber, reader->kept.len);
}

static void keep_unfinished(struct subscriber *subscriber, const struct dialect_reader *reader) {
  const struct session_ops *ops = session_ops(subscriber);
  if (reader->kept.len > http_of(subscriber)->app->config->options.limits.ws_message_size) {
    limit_count(&http_of(subscriber)->app->limits, MW_LIMIT_WS_MESSAGE_SIZE);
    ops->close(subscriber,
               &(struct closing){.reason = CLOSE_TOO_LARGE, .text = "the message is larger than limits.ws_message_size"});
    return;
  }
  struct session *session = session_get(subscriber);
  struct input_backlog *backlog = session ? session_backlog(session) : NULL;
  if (backlog) backlog->unfinished = blob_new(buffer_bytes(&reader->kept));
  if (!backlog || !backlog->unfinished) subscriber_break(subscriber);
  if (session) session_release_backlog(session);
}

static void end_reading_verbs(struct subscriber *subscriber, const struct input *input, struct dialect_reader *reader) {
  bool is_open = session_ops(subscriber)->is_open(subscriber);
  if (reader->kept.failed || reader->text.failed) subscriber_break(subscriber);
  if (is_open && reader->kept.len > 0 && !reader->kept.failed && !input->reply.class->is_awaited)
    keep_unfinished(subscriber, reader);
  dialect_reader_deinit(reader);
}

/* The verbs of a client that is closed at the end of the turn are ignored. */
static bool verbs_are_wanted(struct subscriber *subscriber) {
  return session_ops(subscriber)->is_open(subscriber) && !(subscriber->flags & (SUBSCRIBER_SLOW | SUBSCRIBER_BROKEN));
}

/* Returns false if the rest of the frame must wait, or is ignored. */
static bool verbs_go_on(struct subscriber *subscriber) {
  return verbs_are_wanted(subscriber) && !session_question(subscriber) && budget_left(subscriber) > 0;
}

struct bytes verbs_handle(struct subscriber *subscriber, const struct input *input) {
  const struct dialect *dialect = reply_dialect(subscriber, &input->reply);
  struct bytes rest = input->bytes.ptr ? input->bytes : BYTES("");
  struct dialect_reader reader;
  struct verb verb;
  struct refusal refusal;
  enum read_result result;
  begin_reading_verbs(subscriber, input, &reader);
  do {
    budget_charge(subscriber, BUDGET_MESSAGE);
    result = dialect->next(&reader, &rest, input->is_binary, &verb, &refusal);
    if (result == READ_FAULT) reply_error(subscriber, &input->reply, verb.ref.raw, &refusal);
    if (result == READ_VERB) take_verb(&(struct call){.subscriber = subscriber, .verb = &verb, .reply = input->reply});
  } while (result != READ_NOTHING && rest.len > 0 && verbs_go_on(subscriber));
  end_reading_verbs(subscriber, input, &reader);
  return verbs_are_wanted(subscriber) ? rest : bytes_of(NULL, 0);
}
