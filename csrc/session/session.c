#include "session/session.h"

#include <assert.h>

#include "app/socket.h"
#include "base/log_limit.h"
#include "base/memory.h"
#include "codec/envelope.h"
#include "session/admission.h"
#include "session/expiry.h"
#include "session/reply.h"

/* ---- Life ------------------------------------------------------------------------------------ */

struct session *session_get(struct subscriber *subscriber) {
  struct session *session = session_of(subscriber);
  return session ? session : session_ops(subscriber)->make(subscriber);
}

void session_init(struct session *session, struct subscriber *subscriber) {
  budget_init(&session->budget, subscriber);
  subscriber_adopt(subscriber, &session->extra);
  object_count(OBJECT_SESSION, 1);
}

struct input_backlog *session_backlog(struct session *session) {
  if (!session->backlog) session->backlog = memory_calloc(1, sizeof *session->backlog);
  return session->backlog;
}

static void free_backlog(struct session *session) {
  struct input_backlog *backlog = session->backlog;
  if (!backlog) return;
  blob_unref(backlog->asked_ref);
  blob_unref(backlog->unfinished);
  buffer_deinit(&backlog->bytes);
  memory_free(backlog);
  session->backlog = NULL;
}

void session_release_backlog(struct session *session) {
  const struct input_backlog *backlog = session->backlog;
  if (!backlog || backlog->is_asked || backlog->unfinished || backlog->arriving) return;
  if (backlog->at == backlog->bytes.len) free_backlog(session);
}

/* Takes it out, and sends it to the script, to be undone. */
static void leave_membership(struct app *app, struct membership **at) {
  struct membership *membership = *at;
  *at = membership->next;
  app->script->leave(app, membership);
}

void session_depart(struct subscriber *subscriber, enum departure why, unsigned code) {
  struct session *session = session_of(subscriber);
  if (!session || session->departure != DEPARTURE_NONE) return;
  session->departure = (uint8_t)why;
  session->close_code = (uint16_t)code;
}

void session_depart_closing(struct subscriber *subscriber, const struct closing *closing) {
  static const uint8_t departures[] = {
      [CLOSE_STOPPING] = DEPARTURE_STOPPING,   [CLOSE_SLOW] = DEPARTURE_SLOW,           [CLOSE_BUSY] = DEPARTURE_FAILED,
      [CLOSE_UNAUTHORIZED] = DEPARTURE_BY_APP, [CLOSE_UNCONNECTED] = DEPARTURE_TIMEOUT, [CLOSE_UNFINISHED] = DEPARTURE_TIMEOUT,
      [CLOSE_TOO_LARGE] = DEPARTURE_PROTOCOL,  [CLOSE_RATE] = DEPARTURE_PROTOCOL,       [CLOSE_BY_APP] = DEPARTURE_BY_APP,
      [CLOSE_EXPIRED] = DEPARTURE_EXPIRED};
  session_depart(subscriber, (enum departure)departures[closing->reason], closing->code);
}

void session_deinit(struct subscriber *subscriber, enum departure otherwise) {
  struct app *app = http_of(subscriber)->app;
  struct session *session = session_of(subscriber);
  if (subscriber->flags & SUBSCRIBER_SLOW) session->departure = DEPARTURE_SLOW;
  session_depart(subscriber, otherwise, 0);
  subscriber_disown(subscriber);
  expiry_clear(session);
  budget_deinit(http_of(subscriber), &session->budget);
  for (struct membership *each = session->memberships; each; each = each->next) {
    each->departure = session->departure;
    each->close_code = session->close_code;
  }
  while (session->memberships) leave_membership(app, &session->memberships);
  if (session->client) registry_remove(&app->registry, session->client);
  mw_client_unref(session->client);
  memory_free(session->http);
  free_backlog(session);
  object_count(OBJECT_SESSION, -1);
}

size_t session_room(const struct subscriber *subscriber) {
  size_t room = app_answer_room(http_of(subscriber)->app), waiting = subscriber_own_size(subscriber);
  return waiting < room ? room - waiting : 0;
}

/* ---- Identity -------------------------------------------------------------------------------- */

int session_take_name(struct subscriber *subscriber) {
  return slots_take(http_of(subscriber)->slots, subscriber, session_ops(subscriber)->slot(subscriber));
}

struct address session_address(struct subscriber *subscriber) {
  return slots_address(http_of(subscriber)->slots, *session_ops(subscriber)->slot(subscriber));
}

/* Other threads read the worker, which never changes, and nothing else of it. */
static void set_address(struct mw_client *client, struct address address) {
  if (client->address.worker != address.worker) client->address.worker = address.worker;
  client->address.slot = address.slot;
  client->address.generation = address.generation;
}

int session_identify(struct subscriber *subscriber, struct mw_client *client) {
  struct session *session = session_get(subscriber);
  if (!session || session_take_name(subscriber) < 0) return MW_ENOMEM;
  set_address(client, session_address(subscriber));
  /* A client that connects by a verb is known after the app has answered. */
  bool is_connecting = session_ops(subscriber)->is_connecting(subscriber);
  int status = is_connecting ? 0 : registry_add(&http_of(subscriber)->app->registry, client, 0);
  if (status < 0) return status;
  client->is_adopted = true;
  session->client = mw_client_ref(client);
  return 0;
}

struct mw_client *session_client(struct subscriber *subscriber) {
  struct session *session = session_get(subscriber);
  if (!session || session->client) return session ? session->client : NULL;
  char remote[REMOTE_MAX];
  session_ops(subscriber)->remote(subscriber, remote, sizeof remote);
  struct mw_client *client = client_new(subscriber->sink->form->carrier->name, remote);
  if (client) session_identify(subscriber, client);
  mw_client_unref(client);
  return session->client;
}

struct bytes session_identity(const struct subscriber *subscriber) {
  const struct session *session = session_of(subscriber);
  return session && session->client ? bytes_of(session->client->id, CLIENT_ID_LEN) : bytes_of(NULL, 0);
}

bool session_is_identified(const struct subscriber *subscriber) {
  const struct session *session = session_of(subscriber);
  return session && session->client;
}

/* ---- Questions to the script ----------------------------------------------------------------- */

struct script_job *session_question(struct subscriber *subscriber) {
  struct script_job **question = session_ops(subscriber)->question(subscriber);
  return question ? *question : NULL;
}

void session_release_held(struct http *http, struct script_job *job) {
  struct mail *mail;
  /* The client may have another address by now, or have disconnected. */
  while ((mail = job_take_held(job)) != NULL) mail->class->take(mail, http, slots_find(http->slots, job->client->address));
}

static void drop_session_answer(struct mail *mail) { job_drop(container_of(mail, struct script_job, mail)); }

bool session_is_ahead(const struct http *http, const struct since *since) {
  const struct delivery *delivery = http->delivery;
  if (since->kind != SINCE_POSITION || since->position <= delivery->hub->position) return false;
  if (memcmp(since->epoch.text, delivery->epoch->text, EPOCH_LEN) != 0) return false;
  return since->position <= http->app->orderer->position(http->app->orderer);
}

bool session_must_ask(struct subscriber *subscriber, const struct script_job *job) {
  const struct http *http = http_of(subscriber);
  return admission_must_ask(http, job) || session_is_ahead(http, &job->since);
}

/* Posts the job to this worker, after all that is queued for it. */
static void post_last(struct http *http, struct script_job *job) { http->app->workers->post(http->app, &job->mail); }

/* The script has answered. If the exchange has ended, the job's channels are left again. */
static void take_session_answer(struct mail *mail, void *room, struct subscriber *subscriber) {
  struct http *http = room;
  struct script_job *job = container_of(mail, struct script_job, mail);
  bool is_awaited = subscriber && session_question(subscriber) == job;
  if (is_awaited && session_is_ahead(http, &job->since)) {
    post_last(http, job);
    return;
  }
  /* Taken again when the channels may be joined. */
  if (is_awaited && admission_enter(http, job) == MW_PENDING) return;
  if (is_awaited) {
    assert(job->status != 0 && "only a job whose answer is not awaited is cancelled");
    bool streams = job->streams;
    /* A raw stream keeps the reference as long as it lasts. */
    if (!streams) {
      *session_ops(subscriber)->question(subscriber) = NULL;
      job_unref(job);
    }
    job->kept = streams;
    session_ops(subscriber)->on_answer(subscriber, job);
    session_release_held(http, job);
  }
  session_return_job(http, job);
}

static const struct mail_class answer_class = {.take = take_session_answer, .drop = drop_session_answer};

void session_return_job(struct http *http, struct script_job *job) {
  struct app *app = http->app;
  struct membership *first = job_take_memberships(job);
  admission_return(http, job->channels, job->channel_count);
  /* It disconnected before the answer came. */
  if ((job->connects || job->type == JOB_SOCKET) && job->client && !job->client->is_adopted)
    registry_remove(&app->registry, job->client);
  while (first) leave_membership(app, &first);
  if (job->type == JOB_SOCKET && job->socket && !job->kept) app->script->leave_socket(app, socket_ref(job->socket));
  if (job->type == JOB_STREAM && job->stream && !job->kept) {
    app->script->end_stream(app, job);
  } else {
    job_unref(job);
  }
}

bool session_ask(struct subscriber *subscriber, struct script_job *job) {
  struct app *app = http_of(subscriber)->app;
  struct script_job **question = session_ops(subscriber)->question(subscriber);
  bool full = atomic_load(&app->job_count) >= app->config->options.limits.waiting;
  if (full) {
    limit_count(&app->limits, MW_LIMIT_WAITING);
    log_limited(MW_LOG_WARNING, "refused a request: limits.waiting reached");
  }
  size_t size = job_size(job);
  if (size > 0 && atomic_load(&app->job_bytes) + size > app->config->options.limits.queue) {
    limit_count(&app->limits, MW_LIMIT_QUEUE);
    log_limited(MW_LOG_WARNING, "refused a request: limits.queue reached by queued requests");
    full = true;
  }
  if (full || session_take_name(subscriber) < 0) {
    job_unref(job);
    return false;
  }
  budget_charge(subscriber, BUDGET_ASK * (job->channel_count > 0 ? job->channel_count : 1));
  job->mail.to = session_address(subscriber);
  /* The app may already send a command to a client that is still connecting. */
  if (job->client && !session_is_identified(subscriber)) set_address(job->client, job->mail.to);
  *question = job;
  job->answered = &answer_class;
  if (!admission_must_ask(http_of(subscriber), job)) {
    job->status = 200;
    job->mail.class = job->answered;
    post_last(http_of(subscriber), job_ref(job));
    return true;
  }
  atomic_fetch_add(&app->job_count, 1);
  atomic_fetch_add(&app->job_bytes, size);
  app->script->ask(app, job_ref(job));
  return true;
}

void session_forget(struct subscriber *subscriber) {
  struct script_job *job = session_question(subscriber);
  if (!job) return;
  *session_ops(subscriber)->question(subscriber) = NULL;
  atomic_store(&job->cancelled, true);
  http_of(subscriber)->app->script->cancel(http_of(subscriber)->app, job);
}

/* ---- Memberships ----------------------------------------------------------------------------- */

void session_keep(struct subscriber *subscriber, struct script_job *job) {
  struct membership *first = job_take_memberships(job), **end = &first;
  if (!first) return;
  struct session *session = session_get(subscriber);
  if (!session) {
    while (first) leave_membership(http_of(subscriber)->app, &first);
    subscriber_break(subscriber);
    return;
  }
  while (*end && (*end)->kind) end = &(*end)->next;
  /* The membership of the connection is left last. */
  struct membership *connection = *end;
  *end = session->memberships;
  session->memberships = first;
  for (end = &session->memberships; *end;) end = &(*end)->next;
  *end = connection;
}

/* Returns where the membership of the channel is listed, or NULL if the script does not know of
 * it. */
static struct membership **find_membership(struct subscriber *subscriber, struct bytes channel) {
  struct session *session = session_of(subscriber);
  if (!session) return NULL;
  struct membership **at = &session->memberships;
  while (*at && !((*at)->kind && bytes_equal(membership_name(*at), channel))) at = &(*at)->next;
  return *at ? at : NULL;
}

bool session_is_member(struct subscriber *subscriber, struct bytes channel) {
  return find_membership(subscriber, channel) != NULL;
}

void session_leave(struct subscriber *subscriber, struct bytes channel) {
  struct membership **at = find_membership(subscriber, channel);
  if (at) leave_membership(http_of(subscriber)->app, at);
}

/* As session_leave, for a client that the app has unsubscribed. */
static void leave_for_good(struct subscriber *subscriber, struct bytes channel) {
  struct membership **at = find_membership(subscriber, channel);
  if (at) (*at)->departure = DEPARTURE_KICKED;
  session_leave(subscriber, channel);
}

void session_unsubscribe(struct subscriber *subscriber, struct bytes channel, const char *code, const char *reason) {
  struct subscription *subscription = subscriber_find(subscriber, channel);
  if (!subscription) return;
  /* The name may be the channel's own, which is freed with its last subscriber. */
  char name[CHANNEL_NAME_MAX];
  memcpy(name, channel.ptr, channel.len);
  channel = bytes_of(name, channel.len);
  subscriber_unsubscribe(subscriber, subscription, LEAVE_ASKED);
  if (code) {
    leave_for_good(subscriber, channel);
    struct event event = {.type = EVENT_UNSUBSCRIBED, .channel = channel, .code = code, .reason = reason};
    session_tell(subscriber, &event);
  } else {
    session_leave(subscriber, channel);
  }
}
