#include "session/input.h"

#include "base/memory.h"
#include "http/exchange.h"
#include "session/join.h"
#include "session/verbs.h"

static const char stopping[] = "the server is stopping";

/* Precedes the bytes of each message in the backlog. */
struct input_head {
  size_t len;
  bool is_binary;
  struct reply reply;
};

/* ---- Input ----------------------------------------------------------------------------------- */

static size_t backlog_size(const struct session *session) {
  const struct input_backlog *backlog = session->backlog;
  return backlog ? backlog->bytes.len - backlog->at : 0;
}

static size_t backlog_limit(struct subscriber *subscriber) {
  return http_of(subscriber)->app->config->options.limits.input_backlog;
}

/* Keeps a message in the backlog. The peer's input is bounded because reading stops; input that
 * others send for it is refused. */
static void backlog_add(struct subscriber *subscriber, struct session *session, const struct input *input) {
  struct input_head head = {.len = input->bytes.len, .is_binary = input->is_binary, .reply = input->reply};
  bool full = backlog_size(session) >= backlog_limit(subscriber);
  if (input->reply.class->is_awaited && full) {
    limit_count(&http_of(subscriber)->app->limits, MW_LIMIT_INPUT_BACKLOG);
    reply_error(subscriber, &input->reply, reply_dialect(subscriber, &input->reply)->find_ref(input->bytes),
                &(struct refusal){.code = "unavailable", .reason = "the queue is full: limits.input_backlog"});
    return;
  }
  struct input_backlog *backlog = session_backlog(session);
  if (backlog) {
    buffer_append(&backlog->bytes, bytes_of((const char *)&head, sizeof head));
    buffer_append(&backlog->bytes, input->bytes);
  }
  if (!backlog || backlog->bytes.failed) {
    subscriber_break(subscriber);
  } else if (backlog_size(session) >= backlog_limit(subscriber)) {
    session_ops(subscriber)->read(subscriber, false);
  }
}

/* Takes the first message out. NULL if out of memory. The bytes before it are not removed for each
 * message, but when they are more than half of the backlog. */
static struct blob *backlog_take(struct session *session, struct input_head *head) {
  struct input_backlog *backlog = session->backlog;
  memcpy(head, backlog->bytes.data + backlog->at, sizeof *head);
  struct blob *bytes = blob_new(bytes_of(backlog->bytes.data + backlog->at + sizeof *head, head->len));
  if (!bytes) return NULL;
  backlog->at += sizeof *head + head->len;
  if (backlog->at > backlog->bytes.len / 2 && backlog->at < backlog->bytes.len) {
    buffer_consume(&backlog->bytes, backlog->at);
    backlog->at = 0;
  }
  session_release_backlog(session);
  return bytes;
}

/* Puts the rest of a frame before everything that is queued. Returns false if out of memory. */
static bool put_input_back(struct session *session, const struct input *input, struct bytes rest) {
  struct input_head head = {.len = rest.len, .is_binary = input->is_binary, .reply = input->reply};
  struct input_backlog *backlog = session_backlog(session);
  struct buffer all;
  if (!backlog) return false;
  buffer_init(&all);
  buffer_append(&all, bytes_of((const char *)&head, sizeof head));
  buffer_append(&all, rest);
  buffer_append(&all, bytes_of(backlog->bytes.data + backlog->at, backlog->bytes.len - backlog->at));
  bool fine = !all.failed;
  if (fine) {
    buffer_deinit(&backlog->bytes);
    backlog->bytes = all;
    backlog->at = 0;
  } else {
    buffer_deinit(&all);
  }
  return fine;
}

static void handle_input(struct subscriber *subscriber, const struct input *input) {
  struct bytes rest = verbs_handle(subscriber, input);
  if (rest.len == 0) return;
  struct session *session = session_get(subscriber);
  if (!session || !put_input_back(session, input, rest)) {
    subscriber_break(subscriber);
    return;
  }
  if (backlog_size(session) >= backlog_limit(subscriber)) session_ops(subscriber)->read(subscriber, false);
  if (!session_question(subscriber)) budget_put_off(subscriber);
}

void session_receive(struct subscriber *subscriber, const struct input *input) {
  /* Input of a client that is closed at the end of the turn is ignored. */
  if (!input->reply.class->is_awaited && subscriber->flags & (SUBSCRIBER_SLOW | SUBSCRIBER_BROKEN)) return;
  struct session *session = session_of(subscriber);
  bool waits = session && (session_question(subscriber) || backlog_size(session) > 0);
  if (waits) {
    backlog_add(subscriber, session, input);
  } else if (session && input->reply.class->is_awaited && budget_left(subscriber) == 0) {
    backlog_add(subscriber, session, input);
    budget_put_off(subscriber);
  } else {
    handle_input(subscriber, input);
  }
}

void session_resume(struct subscriber *subscriber) {
  const struct session_ops *ops = session_ops(subscriber);
  struct session *session;
  while ((session = session_of(subscriber)) && ops->is_open(subscriber) && !session_question(subscriber)) {
    struct input_head head;
    if (backlog_size(session) == 0) break;
    if (budget_left(subscriber) == 0) {
      budget_put_off(subscriber);
      return;
    }
    /* Taken out first: handling it may add to the backlog, or end the session. */
    struct blob *bytes = backlog_take(session, &head);
    if (!bytes) {
      subscriber_break(subscriber);
      return;
    }
    handle_input(subscriber, &(struct input){.bytes = blob_bytes(bytes), .is_binary = head.is_binary, .reply = head.reply});
    blob_unref(bytes);
  }
  if (session && backlog_size(session) < backlog_limit(subscriber)) ops->read(subscriber, true);
}

void session_on_answer(struct subscriber *subscriber, struct script_job *job) {
  struct session *session = session_of(subscriber);
  struct input_backlog *backlog = session->backlog;
  struct blob *ref = backlog->asked_ref;
  struct reply reply = backlog->asked_by;
  backlog->asked_ref = NULL;
  backlog->is_asked = false;
  session_release_backlog(session);
  struct bytes channel = job->channel_count > 0 ? job->channels[0].name : bytes_of(NULL, 0);
  if (job->status != 200) {
    reply_error(subscriber, &reply, blob_bytes(ref),
                &(struct refusal){.channel = channel, .code = job->code, .reason = job->reason, .status = job->status});
    enum close_reason why = exchange_is_temporary(job->status) ? CLOSE_BUSY : CLOSE_UNAUTHORIZED;
    if (session_ops(subscriber)->is_connecting(subscriber))
      session_ops(subscriber)->close(subscriber, &(struct closing){.reason = why, .text = job->reason});
  } else if (job->type == JOB_MESSAGE) {
    struct outcome outcome = reply_outcome(job);
    reply_ok(subscriber, &reply, blob_bytes(ref), &outcome);
  } else if (job->type == JOB_HISTORY) {
    verbs_answer_history(subscriber, job, &reply, blob_bytes(ref));
  } else if (job->channel_count > 0) {
    session_join(subscriber, job, &reply, blob_bytes(ref));
  } else {
    session_connected(subscriber, job, &reply, blob_bytes(ref));
  }
  blob_unref(ref);
  session_release_held(http_of(subscriber), job);
  if (app_stopping(http_of(subscriber)->app)) {
    session_ops(subscriber)->close(subscriber, &(struct closing){.reason = CLOSE_STOPPING, .text = ""});
  } else {
    session_resume(subscriber);
  }
}

void session_dismiss(struct subscriber *subscriber) {
  const struct input_backlog *backlog = session_of(subscriber)->backlog;
  if (!backlog) return;
  bool stops = app_stopping(http_of(subscriber)->app);
  struct refusal gone = {.code = stops ? "unavailable" : "not_found", .reason = stops ? stopping : "the client has disconnected"};
  if (backlog->is_asked && backlog->asked_by.class->is_awaited) {
    reply_error(subscriber, &backlog->asked_by, blob_bytes(backlog->asked_ref), &gone);
  }
  for (size_t at = backlog->at; at < backlog->bytes.len;) {
    struct input_head head;
    memcpy(&head, backlog->bytes.data + at, sizeof head);
    at += sizeof head;
    struct bytes text = bytes_of(backlog->bytes.data + at, head.len);
    if (head.reply.class->is_awaited)
      reply_error(subscriber, &head.reply, reply_dialect(subscriber, &head.reply)->find_ref(text), &gone);
    at += head.len;
  }
}

bool session_finishes(struct subscriber *subscriber) {
  const struct script_job *job = session_question(subscriber);
  return job && job->type == JOB_MESSAGE;
}
