#include "session/native.h"

#include "base/memory.h"
#include "codec/verb.h"
#include "http/exchange.h"
#include "session/native_join.h"
#include "session/native_verbs.h"
#include "session/reply.h"

static const char stopping[] = "the server is stopping";

/* What stands in the stash before the bytes of one message. */
struct input_head {
  size_t len;
  bool is_binary;
  struct reply_to reply_to;
};

/* ---- Input ---------------------------------------------------------------------------------------------------------------- */

static size_t stashed(const struct session *session) {
  const struct input_backlog *backlog = session->backlog;
  return backlog ? backlog->bytes.len - backlog->at : 0;
}

static size_t stash_limit(struct subscriber *subscriber) {
  return http_of(subscriber)->app->config->options.limits.input_backlog;
}

/* What a peer sends is bounded by not reading on; what others send for it is refused. */
static void stash(struct subscriber *subscriber, struct session *session, const struct input *input) {
  struct input_head head = {.len = input->bytes.len, .is_binary = input->is_binary, .reply_to = input->reply_to};
  bool full = stashed(session) >= stash_limit(subscriber);
  if (input->reply_to.is_exchange && full) {
    reply_error(subscriber, &input->reply_to, verb_find_ref(input->bytes), bytes_of(NULL, 0), "unavailable",
                "too much waits for this client");
    return;
  }
  struct input_backlog *backlog = session_backlog(session);
  if (backlog) {
    buffer_append(&backlog->bytes, bytes_of((const char *)&head, sizeof head));
    buffer_append(&backlog->bytes, input->bytes);
  }
  if (!backlog || backlog->bytes.failed) {
    subscriber_break(subscriber);
  } else if (stashed(session) >= stash_limit(subscriber)) {
    session_ops(subscriber)->read(subscriber, false);
  }
}

/* Takes the first message out; NULL without memory. What was taken is moved away only now and then, not for each. */
static struct blob *unstash(struct session *session, struct input_head *head) {
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

void native_receive(struct subscriber *subscriber, const struct input *input) {
  /* One that is to be closed, or cut, at the end of the turn asks for nothing any more. */
  if (!input->reply_to.is_exchange && subscriber->flags & (SUBSCRIBER_SLOW | SUBSCRIBER_BROKEN)) return;
  struct session *session = session_of(subscriber);
  bool waits = session && (session_question(subscriber) || stashed(session) > 0);
  if (waits) {
    stash(subscriber, session, input);
  } else if (session && input->reply_to.is_exchange && budget_left(subscriber) == 0) {
    stash(subscriber, session, input);
    budget_put_off(subscriber);
  } else {
    native_handle(subscriber, input);
  }
}

/* Handles what waited, until something is with the script again. */
void native_resume(struct subscriber *subscriber) {
  const struct session_ops *ops = session_ops(subscriber);
  struct session *session;
  while ((session = session_of(subscriber)) && ops->is_open(subscriber) && !session_question(subscriber)) {
    struct input_head head;
    if (stashed(session) == 0) break;
    if (budget_left(subscriber) == 0) {
      budget_put_off(subscriber);
      return;
    }
    /* Taken out first: handling may put something in, or end the session. */
    struct blob *bytes = unstash(session, &head);
    if (!bytes) {
      subscriber_break(subscriber);
      return;
    }
    native_handle(subscriber,
                  &(struct input){.bytes = blob_bytes(bytes), .is_binary = head.is_binary, .reply_to = head.reply_to});
    blob_unref(bytes);
  }
  if (session && stashed(session) < stash_limit(subscriber)) ops->read(subscriber, true);
}

void native_on_answer(struct subscriber *subscriber, struct script_job *job) {
  struct session *session = session_of(subscriber);
  struct input_backlog *backlog = session->backlog;
  struct blob *ref = backlog->asked_ref;
  struct reply_to to = backlog->asked_by;
  backlog->asked_ref = NULL;
  backlog->is_asked = false;
  session_release_backlog(session);
  struct bytes channel = job->channel_count > 0 ? job->channels[0].name : bytes_of(NULL, 0);
  if (job->status != 200) {
    if (to.is_exchange) to.status = job->status;
    reply_error(subscriber, &to, blob_bytes(ref), channel, job->status ? job->code : "unavailable", job->reason);
    enum close_reason why = exchange_is_temporary(job->status) ? CLOSE_BUSY : CLOSE_UNAUTHORIZED;
    if (session_ops(subscriber)->is_connecting(subscriber))
      session_ops(subscriber)->close(subscriber, &(struct closing){.reason = why, .text = job->reason});
  } else if (job->type == JOB_MESSAGE) {
    reply_ok(subscriber, &to, blob_bytes(ref), blob_bytes(job->body));
  } else if (job->channel_count > 0) {
    native_join(subscriber, job, &to, blob_bytes(ref));
  } else {
    native_connected(subscriber, job, &to, blob_bytes(ref));
  }
  blob_unref(ref);
  session_release_held(http_of(subscriber), job);
  if (app_stopping(http_of(subscriber)->app)) {
    session_ops(subscriber)->close(subscriber, &(struct closing){.reason = CLOSE_STOPPING, .text = ""});
  } else {
    native_resume(subscriber);
  }
}

/* Whoever waits for an answer on behalf of this session gets none any more. */
void native_dismiss(struct subscriber *subscriber) {
  const struct input_backlog *backlog = session_of(subscriber)->backlog;
  if (!backlog) return;
  bool stops = app_stopping(http_of(subscriber)->app);
  const char *code = stops ? "unavailable" : "not_found", *reason = stops ? stopping : "the client has gone";
  if (backlog->is_asked && backlog->asked_by.is_exchange) {
    reply_error(subscriber, &backlog->asked_by, blob_bytes(backlog->asked_ref), bytes_of(NULL, 0), code, reason);
  }
  for (size_t at = backlog->at; at < backlog->bytes.len;) {
    struct input_head head;
    memcpy(&head, backlog->bytes.data + at, sizeof head);
    at += sizeof head;
    struct bytes ref = verb_find_ref(bytes_of(backlog->bytes.data + at, head.len));
    if (head.reply_to.is_exchange) reply_error(subscriber, &head.reply_to, ref, bytes_of(NULL, 0), code, reason);
    at += head.len;
  }
}

bool native_finishes(struct subscriber *subscriber) {
  const struct script_job *job = session_question(subscriber);
  return job && job->type == JOB_MESSAGE;
}
