#include "script/joining.h"

#include "app/grants.h"
#include "app/limits/name_hold.h"
#include "app/limits/send_rate.h"
#include "app/socket.h"
#include "base/log_limit.h"
#include "base/memory.h"
#include "script/identify.h"
#include "script/leaving.h"
#include "script/open_channel.h"
#include "script/presence/presence.h"
#include "script/question.h"
#include "script/script.h"
#include "script/task.h"

/* ---- Answers --------------------------------------------------------------------------------- */

/* Frees the request, which every reader has read: nothing of it stays with its client. */
static void release_http(struct script *script, struct script_job *job) {
  if (!job->http) return;
  atomic_fetch_sub(&script->app->job_bytes, job->http->size);
  memory_free(job->http);
  job->http = NULL;
}

void joining_note_late(struct script_job *job) {
  if (!job || !job->awaited) return;
  job->late = true;
  atomic_store(&job->cancelled, true);
}

/* The client is refused, whatever the app says now, as it is by its worker if that is first. */
static void refuse_late(struct script_job *job) {
  if (job->type == JOB_HTTP || job->type == JOB_STREAM || job->type == JOB_SOCKET)
    log_limited(MW_LOG_WARNING, "the handler of %s did not answer within limits.answer_seconds (answer_ms in C)",
                config_route_at(job->config, job->route)->pattern.text);
  blob_unref(job->fields);
  blob_unref(job->body);
  job->fields = job->body = NULL;
  job->streams = false;
  job_refuse(job, 503, "unavailable", "the app did not answer in time");
}

/* Sends the answer to the worker, with the reference. */
static void send_answer(struct script *script, struct script_job *job) {
  job_settle_key(job, &script->send_keys, script->loop->clock.now_ms, &script->ready);
  if (job->late) refuse_late(job);
  release_http(script, job);
  atomic_fetch_sub(&script->app->job_count, 1);
  atomic_fetch_sub(&script->app->job_bytes, job_size(job));
  job->mail.class = job->answered;
  script->app->workers->post(script->app, &job->mail);
}

/* ---- Messages -------------------------------------------------------------------------------- */

/* A relayed event with a key: the answer must be known here. */
struct relayed {
  struct completion completion;
  struct script *script;
  struct script_job *job; /* which waits in its step as for the app's answer */
  bool keeps;
};

static void note_published(const struct relayed *relayed, int status) {
  if (status < 0) {
    job_refuse_order(relayed->job, status);
  } else if (relayed->keeps) {
    relayed->job->body = blob_new(bytes_string(relayed->completion.id));
    relayed->job->body_is_id = relayed->job->body != NULL;
  }
}

static void on_relayed(struct completion *completion, int status) {
  struct relayed *relayed = container_of(completion, struct relayed, completion);
  struct script_job *job = relayed->job;
  note_published(relayed, status);
  if (relayed->script->app->state < APP_FREED) {
    joining_resume(relayed->script, job);
  } else {
    task_drop_followers(job->client);
    job_unref(job);
  }
  memory_free(relayed);
}

static struct completion *keep_relayed(struct completion *completion) {
  struct relayed *kept = memory_alloc(sizeof *kept);
  if (!kept) return NULL;
  *kept = *container_of(completion, struct relayed, completion);
  kept->completion.once = bytes_of(NULL, 0);
  return &kept->completion;
}

enum { ONCE_LEN = 5 + 2 * MW_SHA256_SIZE };

/* Writes the key of the send for an orderer of several servers. The length is the same for any user. The
 * prefix keeps it apart from the keys of back ends in POST /publish. Empty if out of memory. */
static struct bytes write_once(const struct script_job *job, char text[ONCE_LEN]) {
  static const char digits[] = "0123456789abcdef";
  unsigned char sum[MW_SHA256_SIZE];
  if (!job->send_key || mw_crypto_sha256(job->send_key->key, job->send_key->key_len, sum) < 0) return bytes_of(NULL, 0);
  memcpy(text, "send:", 5);
  for (size_t i = 0; i < sizeof sum; i++) {
    text[5 + 2 * i] = digits[sum[i] >> 4];
    text[6 + 2 * i] = digits[sum[i] & 15];
  }
  return bytes_of(text, ONCE_LEN);
}

/* True if its outcome is still to come. */
static bool publish_relayed_job(struct script *script, struct script_job *job) {
  const struct job_channel *channel = &job->channels[0];
  struct message_parts parts = job_message_parts(job);
  struct relayed relayed = {.completion = {.keep = keep_relayed, .on_done = on_relayed},
                            .script = script,
                            .job = job,
                            .keeps = config_event(channel->kind, parts.event)->keep};
  struct orderer *orderer = script->app->orderer;
  char once[ONCE_LEN];
  if (orderer->may_wait) relayed.completion.once = write_once(job, once);
  int status = orderer->publish(orderer, channel->kind, &parts, !relayed.keeps, &relayed.completion);
  if (status != MW_PENDING) note_published(&relayed, status);
  return status == MW_PENDING;
}

/* Of messages with the same key, the first goes to the app, or is relayed; the others get its
 * answer. */
static enum send_key_turn enter_key(struct script *script, struct script_job *job) {
  enum send_key_turn turn = job_enter_key(job, &script->send_keys, script->loop->clock.now_ms);
  if (turn == SEND_KEY_WAITS || !job->relayed) return turn;
  job->relayed = false; /* the worker has nothing more to do */
  return turn == SEND_KEY_FIRST && publish_relayed_job(script, job) ? SEND_KEY_WAITS : SEND_KEY_ANSWERED;
}

/* ---- Steps ----------------------------------------------------------------------------------- */

/* Returns true if a client for one message, which is identified now, may send it; else the job is
 * refused. */
static bool may_send_once(const struct script *script, struct script_job *job) {
  const struct job_channel *channel = &job->channels[0];
  const struct event_rule *rule = config_event(channel->kind, bytes_of(job->message.event.ptr, job->message.event.len));
  struct send_rate_refusal over;
  struct send_rate send = {.app = script->app,
                           .config = job->config,
                           .client = job->client,
                           .is_transient = true,
                           .channel = channel->name,
                           .kind = channel->kind,
                           .rule = rule,
                           .now_ms = script->loop->clock.now_ms};
  if (!rule || send_rate_allows(&send, &over)) return true;
  job_refuse(job, 429, "rate_limited", over.reason);
  job->retry_ms = over.wait_ms;
  return false;
}

/* Puts the question of the job's step, if there is one. True if its answer is still to come. */
static bool put_question(struct script *script, struct script_job *job) {
  struct job_channel *channel = job->at < job->channel_count ? &job->channels[job->at] : NULL;
  unsigned hooks = channel ? channel->kind->hooks : 0;
  const struct mw_config_options *options = &job->config->options;
  enum mw_request_type type;
  switch (job->step) {
    case STEP_AUTHENTICATE:
      if (!job->http || !options->authenticate || identify_client(script, job)) return false;
      type = MW_REQUEST_AUTHENTICATE;
      break;
    case STEP_CONNECT:
      if (!job->connects || !options->connects) return false;
      type = MW_REQUEST_CONNECT;
      break;
    case STEP_AUTHORIZE:
      /* A sender is subscribed, and was authorized then, unless it joins just for this message. */
      if (!(hooks & MW_HOOK_AUTHORIZE) || (job->type == JOB_MESSAGE && !job->transient)) return false;
      if (channel->kind->by_token) {
        if (!grants_channel(blob_bytes(job->client->user), channel->name)) job_refuse(job, 403, "forbidden", grants_refusal);
        return false;
      }
      type = MW_REQUEST_AUTHORIZE;
      break;
    case STEP_OPEN: return (hooks & (MW_HOOK_OPEN | MW_HOOK_CLOSE)) && open_channel_enter(script, job);
    case STEP_JOIN:
      if (!(hooks & MW_HOOK_JOIN)) return false;
      type = MW_REQUEST_JOIN;
      break;
    case STEP_SLOW: type = MW_REQUEST_SLOW; break;
    case STEP_PRESENCE:
      job->at = presence_unknown(script, job);
      /* Members are added together, after everything that could refuse. */
      if (job->at == job->channel_count) return presence_enter(script, job);
      type = MW_REQUEST_PRESENCE;
      break;
    case STEP_MESSAGE:
      if (job->transient && channel->is_new && !name_hold_allows(script->app, job->client, 1)) {
        job_refuse(job, 503, "unavailable", names_refusal);
        return false;
      }
      if (job->transient && !may_send_once(script, job)) return false;
      if (job->idempotency_key.len > 0) {
        enum send_key_turn turn = enter_key(script, job);
        if (turn != SEND_KEY_FIRST) return turn == SEND_KEY_WAITS;
      } else if (job->relayed) {
        return false; /* allowed: the worker publishes it */
      }
      type = MW_REQUEST_MESSAGE;
      break;
    case STEP_SOCKET: type = MW_REQUEST_WEBSOCKET; break;
    default: return false;
  }
  question_ask(script, &job->request, type);
  return job->request.waiting;
}

/* From then on, the app can find the client. */
static void connect_client(const struct script *script, struct script_job *job) {
  struct app *app = script->app;
  size_t max = job->config->options.limits.user_connections;
  int status = registry_add(&app->registry, job->client, max);
  if (status == MW_ENOMEM) job_refuse(job, 503, "unavailable", "out of memory");
  if (status != MW_ELIMIT) return;
  limit_count(&app->limits, MW_LIMIT_USER_CONNECTIONS);
  log_limited(MW_LOG_WARNING, "refused a client: limits.user_connections (%zu) reached (address=%s)", max, job->client->remote);
  job_refuse(job, 429, "rate_limited", "too many connections of this user: limits.user_connections");
}

/* The step's question is answered: takes the next step. */
static void take_joining_step(struct script *script, struct script_job *job) {
  struct job_channel *channel = job->at < job->channel_count ? &job->channels[job->at] : NULL;
  bool last = job->at + 1 >= job->channel_count;
  switch (job->step) {
    case STEP_AUTHENTICATE:
      if (job->type != JOB_SOCKET) release_http(script, job);
      if (job->connects) connect_client(script, job);
      if (job->type == JOB_SOCKET) registry_add_raw(&script->app->registry, job->client);
      job->step = job->type == JOB_SOCKET ? STEP_SOCKET : STEP_CONNECT;
      return;
    case STEP_CONNECT:
      if (job->connects && job->connection) job->connection->undo = MEMBERSHIP_CONNECTED;
      job->step = job->channel_count > 0 ? STEP_AUTHORIZE : STEP_JOINED;
      return;
    case STEP_AUTHORIZE:
      job->at = last ? 0 : job->at + 1;
      if (last) job->step = job->type == JOB_MESSAGE ? STEP_MESSAGE : STEP_OPEN;
      return;
    case STEP_OPEN:
      if (channel->kind->hooks & (MW_HOOK_OPEN | MW_HOOK_CLOSE)) channel->membership->undo |= MEMBERSHIP_OPENED;
      job->step = STEP_JOIN;
      return;
    case STEP_JOIN:
      if (channel->kind->hooks & MW_HOOK_LEAVE) channel->membership->undo |= MEMBERSHIP_JOINED;
      job->at = last ? 0 : job->at + 1;
      job->step = last ? STEP_PRESENCE : STEP_OPEN;
      return;
    case STEP_PRESENCE:
      if (job->at < job->channel_count) return; /* the app was asked: there may be more to ask */
      if (atomic_load(&job->cancelled)) return; /* while the broker was asked: it is undone */
      job->at = 0;
      job->step = STEP_JOINED;
      return;
    case STEP_SLOW:
    case STEP_MESSAGE: job->step = STEP_JOINED; return;
    case STEP_SOCKET: /* take_joining_answer's */
    case STEP_JOINED:
    case STEP_OVER: return;
  }
}

/* Undoes what was joined so far. A refusal is sent first. Takes the job. */
static void turn_back(struct script *script, struct script_job *job) {
  bool of_channel = job->step >= STEP_AUTHORIZE && job->step <= STEP_PRESENCE && job->at < job->channel_count;
  job->refused = of_channel ? &job->channels[job->at] : NULL;
  job->step = STEP_OVER;
  job->running = false;
  if (job->connects || job->type == JOB_SOCKET) registry_remove(&script->app->registry, job->client);
  struct membership *memberships = job_take_memberships(job);
  send_answer(script, job_ref(job));
  leaving_take_job(script, job, memberships);
}

static void run_join(struct script *script, struct script_job *job) {
  job->running = true;
  while (job->step != STEP_OVER) {
    bool refused = job->status != 0 || atomic_load(&job->cancelled);
    if (job->step < STEP_JOINED && refused) {
      turn_back(script, job);
      return;
    }
    if (job->step == STEP_JOINED) {
      job->status = 200;
      job->running = false;
      send_answer(script, job_ref(job));
      break;
    }
    bool waits = put_question(script, job);
    if (waits) {
      job->running = false;
      return;
    }
    if (job->status == 0) take_joining_step(script, job);
  }
  job->running = false;
  task_done(script, &job->task);
  job_unref(job);
}

void joining_resume(struct script *script, struct script_job *job) {
  if (job->status == 0) take_joining_step(script, job);
  run_join(script, job);
}

static void take_joining_answer(struct script *script, struct script_job *job) {
  if (job->type == JOB_SOCKET_MESSAGE) {
    if (job->status == 0) job->status = 200;
    if (job->status != 200) job->socket->closing = true;
  }
  if (job->type == JOB_HTTP || job->type == JOB_STREAM || job->type == JOB_SOCKET_MESSAGE) {
    send_answer(script, job_ref(job));
    task_done(script, &job->task);
    job_unref(job);
  } else if (job->step == STEP_SOCKET && job->socket) {
    /* Sent before anything that the app sends to it. */
    job->status = 200;
    send_answer(script, job_ref(job));
    job->step = STEP_OVER;
    if (!job->running) run_join(script, job);
  } else if (!job->running) {
    /* The answer came later than the question. */
    if (job->status == 0) take_joining_step(script, job);
    run_join(script, job);
  }
}

/* ---- Beginning and cancelling ---------------------------------------------------------------- */

static void ask_message(struct script *script, struct script_job *job) {
  /* The app has closed it, or failed at an earlier message. */
  if (job->socket->closing) {
    take_joining_answer(script, job);
    return;
  }
  job_ref(job);
  question_ask(script, &job->request, MW_REQUEST_SOCKET_MESSAGE);
  /* Messages that a peer sent before it disconnected are still handled, but nothing waits for the
   * handler. */
  if (job->request.waiting && atomic_load(&job->client->gone)) question_cancel(&job->request);
  job_unref(job);
}

static struct script_job *job_of_task(struct script_task *task) { return container_of(task, struct script_job, task); }

static void on_joining_answer(struct mw_request *request) {
  if (request->script) {
    take_joining_answer(request->script, request->job);
  } else {
    job_unref(request->job);
  }
}

static void run_joining(struct script *script, struct script_task *task) { joining_begin(script, job_of_task(task)); }
static void drop_joining(struct script_task *task) { job_unref(job_of_task(task)); }
static const struct script_task_class task_class = {.run = run_joining, .drop = drop_joining};

void joining_begin(struct script *script, struct script_job *job) {
  job->task.class = &task_class;
  job->request.on_answer = on_joining_answer;
  if (task_must_wait(&job->task)) return;
  if (job->by_app) {
    job->step = STEP_OPEN;
    if (atomic_load(&job->client->gone)) atomic_store(&job->cancelled, true);
  }
  if (job->type <= JOB_SLOW || job->type == JOB_SOCKET) {
    run_join(script, job);
  } else if (job->type == JOB_SOCKET_MESSAGE) {
    ask_message(script, job);
  } else if (atomic_load(&job->cancelled)) {
    take_joining_answer(script, job);
  } else {
    question_ask(script, &job->request, job->type == JOB_HTTP ? MW_REQUEST_HTTP : MW_REQUEST_STREAM);
  }
}

void joining_cancel(struct script *script, struct script_job *job) {
  /* The handler of a send with a key continues: its client will ask for the result, from another
   * connection. */
  if (!job->send_key) question_cancel(&job->request);
  /* A job that waits for a channel to open continues now; one that waits for its turn sees it when
   * that comes. */
  if (!list_empty(&job->task.link) && job->step == STEP_OPEN) {
    list_remove(&job->task.link);
    open_channel_abandon(script, job->channels[job->at].name);
    run_join(script, job);
  } else if (!list_empty(&job->task.link) && job->step == STEP_MESSAGE) {
    list_remove(&job->task.link);
    run_join(script, job);
  }
  job_unref(job);
}
