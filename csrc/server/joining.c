#include "server/joining.h"

#include <stdio.h>

#include "app/socket.h"
#include "base/memory.h"
#include "server/leaving.h"
#include "server/names.h"
#include "server/occupancy.h"
#include "server/presence.h"
#include "server/server.h"
#include "server/task.h"

/* ---- Answers -------------------------------------------------------------------------------------------------------------- */

/* The request has been read by whoever had to: nothing of it stays with the client that it brought. */
static void release_http(struct mw_server *server, struct script_job *job) {
  if (!job->http) return;
  atomic_fetch_sub(&server->app.job_bytes, job->http->size);
  memory_free(job->http);
  job->http = NULL;
}

/* Sends the answer to the worker; the reference goes with it. */
static void send_answer(struct mw_server *server, struct script_job *job) {
  job_settle_key(job, &server->script.send_keys, server->loop.clock.now_ms, &server->script.ready);
  release_http(server, job);
  atomic_fetch_sub(&server->app.job_count, 1);
  atomic_fetch_sub(&server->app.job_bytes, job_size(job));
  job->mail.class = job->answered;
  mailbox_post(&server->workers[job->mail.to.worker].fifo, &job->mail);
}

/* ---- Messages ------------------------------------------------------------------------------------------------------------- */

/* A relayed event that carries a key: its answer must be known here. */
static void publish_relayed(struct mw_server *server, struct script_job *job) {
  const struct job_channel *channel = &job->channels[0];
  const struct mw_message *message = &job->message;
  const struct mw_bytes *data = message->is_binary ? &message->binary : &message->data;
  struct bytes event = bytes_of(message->event.ptr, message->event.len);
  struct message_parts parts = {.channel = channel->name,
                                .event = event,
                                .data = bytes_of(data->ptr, data->len),
                                .from = client_user_id(job->client),
                                .is_binary = message->is_binary};
  if (!job->transient) parts.except = bytes_of(job->client->id, CLIENT_ID_LEN);
  bool keeps = config_event(channel->kind, event)->keep;
  char id[MW_ID_MAX], value[64];
  int status = server->app.orderer->publish(server->app.orderer, channel->kind, &parts, !keeps, id);
  if (status < 0) {
    job_refuse(job, 503, "unavailable", order_fault(status));
  } else if (keeps) {
    int len = snprintf(value, sizeof value, "{\"id\":\"%s\"}", id);
    job->body = blob_new(bytes_of(value, (size_t)len));
  }
}

/* A message with a key: the first is for the app, or relayed; others get its answer. */
static enum send_key_turn enter_key(struct mw_server *server, struct script_job *job) {
  enum send_key_turn turn = job_enter_key(job, &server->script.send_keys, server->loop.clock.now_ms);
  if (turn == SEND_KEY_WAITS || !job->relayed) return turn;
  if (turn == SEND_KEY_FIRST) publish_relayed(server, job);
  job->relayed = false; /* nothing is left for the worker to do */
  return SEND_KEY_ANSWERED;
}

/* ---- Steps ---------------------------------------------------------------------------------------------------------------- */

/* Puts the question of the job's step, if there is one. True if its answer is still to come. */
static bool put_question(struct mw_server *server, struct script_job *job) {
  struct job_channel *channel = job->at < job->channel_count ? &job->channels[job->at] : NULL;
  unsigned hooks = channel ? channel->kind->hooks : 0;
  const struct mw_config_options *options = &job->config->options;
  enum mw_request_type type;
  switch (job->step) {
    case STEP_AUTHENTICATE:
      if (!job->http || !options->authenticate) return false;
      type = MW_REQUEST_AUTHENTICATE;
      break;
    case STEP_CONNECT:
      if (!job->connects || !options->connects) return false;
      type = MW_REQUEST_CONNECT;
      break;
    case STEP_AUTHORIZE:
      /* Who sends is subscribed, and was authorized then, unless it comes just for this message. */
      if (!(hooks & MW_HOOK_AUTHORIZE) || (job->type == JOB_MESSAGE && !job->transient)) return false;
      type = MW_REQUEST_AUTHORIZE;
      break;
    case STEP_OPEN: return (hooks & (MW_HOOK_OPEN | MW_HOOK_CLOSE)) && occupancy_enter(server, job);
    case STEP_JOIN:
      if (!(hooks & MW_HOOK_JOIN)) return false;
      type = MW_REQUEST_JOIN;
      break;
    case STEP_SLOW: type = MW_REQUEST_SLOW; break;
    case STEP_PRESENCE:
      job->at = presence_unknown(server, job);
      if (job->at == job->channel_count) return false;
      type = MW_REQUEST_PRESENCE;
      break;
    case STEP_MESSAGE:
      if (job->transient && channel->is_new && !names_allow_client(server, job->client, 1)) {
        job_refuse(job, 503, "unavailable", names_refusal);
        return false;
      }
      if (job->idempotency_key.len > 0) {
        enum send_key_turn turn = enter_key(server, job);
        if (turn != SEND_KEY_FIRST) return turn == SEND_KEY_WAITS;
      } else if (job->relayed) {
        return false; /* it has passed: the worker publishes it */
      }
      type = MW_REQUEST_MESSAGE;
      break;
    case STEP_SOCKET: type = MW_REQUEST_WEBSOCKET; break;
    default: return false;
  }
  script_ask(server, &job->request, type);
  return job->request.waiting;
}

/* The step's question is settled: on to the next. */
static void take_step(struct mw_server *server, struct script_job *job) {
  struct job_channel *channel = job->at < job->channel_count ? &job->channels[job->at] : NULL;
  bool last = job->at + 1 >= job->channel_count;
  switch (job->step) {
    case STEP_AUTHENTICATE:
      if (job->type != JOB_SOCKET) release_http(server, job);
      if (job->connects && registry_add(&server->app.registry, job->client) == MW_ENOMEM)
        job_refuse(job, 503, "unavailable", "out of memory");
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
      /* Members are counted in all at once, behind everything that could refuse. */
      if (presence_unknown(server, job) < job->channel_count) return;
      presence_enter(server, job);
      job->at = 0;
      if (job->status == 0) job->step = STEP_JOINED;
      return;
    case STEP_SLOW:
    case STEP_MESSAGE: job->step = STEP_JOINED; return;
    case STEP_SOCKET: /* joining_answered's */
    case STEP_JOINED:
    case STEP_OVER: return;
  }
}

/* Undoes what was joined so far; a refusal is told first. Takes the job. */
static void turn_back(struct mw_server *server, struct script_job *job) {
  bool of_channel = job->step >= STEP_AUTHORIZE && job->step <= STEP_PRESENCE && job->at < job->channel_count;
  job->refused = of_channel ? &job->channels[job->at] : NULL;
  job->step = STEP_OVER;
  job->running = false;
  if (job->connects) registry_remove(&server->app.registry, job->client);
  struct membership *memberships = job_take_memberships(job);
  send_answer(server, job_ref(job));
  leaving_take_job(server, job, memberships);
}

static void run_join(struct mw_server *server, struct script_job *job) {
  job->running = true;
  while (job->step != STEP_OVER) {
    bool refused = job->status != 0 || atomic_load(&job->cancelled);
    if (job->step < STEP_JOINED && refused) {
      turn_back(server, job);
      return;
    }
    if (job->step == STEP_JOINED) {
      job->status = 200;
      job->running = false;
      send_answer(server, job_ref(job));
      break;
    }
    bool waits = put_question(server, job);
    if (waits) {
      job->running = false;
      return;
    }
    if (job->status == 0) take_step(server, job);
  }
  job->running = false;
  task_done(server, &job->task);
  job_unref(job);
}

void joining_resume(struct mw_server *server, struct script_job *job) {
  if (job->status == 0) take_step(server, job);
  run_join(server, job);
}

void joining_answered(struct mw_server *server, struct script_job *job) {
  if (job->type == JOB_SOCKET_MESSAGE) {
    if (job->status == 0) job->status = 200;
    if (job->status != 200) job->socket->closing = true;
  }
  if (job->type == JOB_HTTP || job->type == JOB_STREAM || job->type == JOB_SOCKET_MESSAGE) {
    send_answer(server, job_ref(job));
    task_done(server, &job->task);
    job_unref(job);
  } else if (job->step == STEP_SOCKET && job->socket) {
    /* Told before anything that the app sends to it. */
    job->status = 200;
    send_answer(server, job_ref(job));
    job->step = STEP_OVER;
    if (!job->running) run_join(server, job);
  } else if (!job->running) {
    /* Answered later than asked. */
    if (job->status == 0) take_step(server, job);
    run_join(server, job);
  }
}

/* ---- Beginning and cancelling --------------------------------------------------------------------------------------------- */

static void ask_message(struct mw_server *server, struct script_job *job) {
  /* The app has closed it, or failed at what came before. */
  if (job->socket->closing) {
    joining_answered(server, job);
    return;
  }
  job_ref(job);
  script_ask(server, &job->request, MW_REQUEST_SOCKET_MESSAGE);
  /* What a peer said before it went is still heard, but nobody waits for the handler. */
  if (job->request.waiting && atomic_load(&job->client->gone)) script_cancel_request(&job->request);
  job_unref(job);
}

static struct script_job *job_of(struct script_task *task) { return container_of(task, struct script_job, task); }

static void run_task(struct mw_server *server, struct script_task *task) { joining_begin(server, job_of(task)); }
static void drop_task(struct script_task *task) { job_unref(job_of(task)); }
static const struct script_task_class task_class = {.run = run_task, .drop = drop_task};

void joining_begin(struct mw_server *server, struct script_job *job) {
  job->task.class = &task_class;
  if (job->by_app) {
    job->step = STEP_PRESENCE;
    run_join(server, job);
    return;
  }
  if (task_must_wait(&job->task)) return;
  if (job->type <= JOB_SLOW || job->type == JOB_SOCKET) {
    run_join(server, job);
  } else if (job->type == JOB_SOCKET_MESSAGE) {
    ask_message(server, job);
  } else if (atomic_load(&job->cancelled)) {
    joining_answered(server, job);
  } else {
    script_ask(server, &job->request, job->type == JOB_HTTP ? MW_REQUEST_HTTP : MW_REQUEST_STREAM);
  }
}

void joining_cancel(struct mw_server *server, struct script_job *job) {
  /* The handler of a send with a key goes on: its client will ask what came of it, from another connection. */
  if (!job->send_key) script_cancel_request(&job->request);
  /* One that waits for a channel to open goes back now; one that waits for its turn sees it when that comes. */
  if (!list_empty(&job->task.link) && job->step == STEP_OPEN) {
    list_remove(&job->task.link);
    occupancy_abandon(server, job->channels[job->at].name);
    run_join(server, job);
  } else if (!list_empty(&job->task.link) && job->step == STEP_MESSAGE) {
    list_remove(&job->task.link);
    run_join(server, job);
  }
  job_unref(job);
}
