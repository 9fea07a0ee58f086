#include "session/reply.h"

#include <stdio.h>

int reply_status(const struct refusal *refusal) {
  static const struct {
    const char *code;
    int status;
  } statuses[] = {{"unauthorized", 401}, {"token_expired", 401}, {"forbidden", 403}, {"not_found", 404},  {"not_subscribed", 403},
                  {"too_large", 413},    {"rate_limited", 429},  {"internal", 500},  {"unavailable", 503}};
  if (refusal->status) return refusal->status;
  for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
    if (strcmp(refusal->code, statuses[i].code) == 0) return statuses[i].status;
  }
  return 400;
}

void reply_write_unknown_event(char reason[UNKNOWN_EVENT_MAX], struct bytes event) {
  snprintf(reason, UNKNOWN_EVENT_MAX, "clients may not send the event \"%.*s\"", (int)event.len, event.ptr);
}

/* ---- To the client itself -------------------------------------------------------------------- */

static size_t room_of_client(struct subscriber *subscriber, const struct reply *reply) {
  (void)reply;
  return session_room(subscriber);
}

static void push_rope(struct subscriber *subscriber, const struct rope *text) {
  size_t compressed = subscriber_push_text_rope(subscriber, text);
  budget_charge(subscriber, compressed * BUDGET_PER_COMPRESSED);
}

/* Small texts are compressed whole. */
static void push_reply_text(struct subscriber *subscriber, const struct rope *text) {
  bool is_compressed = subscriber->sink->form->plain && text->joint_count == 0;
  budget_charge(subscriber, rope_len(text) * (is_compressed ? BUDGET_PER_COMPRESSED : 1));
  push_rope(subscriber, text);
}

static void ok_to_client(struct subscriber *subscriber, const struct reply *reply, const struct rope *text) {
  (void)reply;
  push_reply_text(subscriber, text);
}

static void page_to_client(struct subscriber *subscriber, const struct reply *reply, const struct rope *text) {
  (void)reply;
  budget_charge(subscriber, rope_len(text));
  subscriber_push_text_plain(subscriber, text);
}

static void error_to_client(struct subscriber *subscriber, const struct reply *reply, const struct refusal *refusal,
                            struct bytes text) {
  (void)reply;
  (void)refusal;
  budget_charge(subscriber, text.len * (subscriber->sink->form->plain ? BUDGET_PER_COMPRESSED : 1));
  subscriber_push_text(subscriber, text);
}

const struct reply_class reply_to_client = {
    .room = room_of_client, .ok = ok_to_client, .page = page_to_client, .error = error_to_client};

/* ---- Answers --------------------------------------------------------------------------------- */

void reply_text(struct subscriber *subscriber, const struct reply *reply, const struct rope *text) {
  if (text->text.failed) {
    subscriber_break(subscriber);
  } else if (rope_len(text) > 0) {
    reply->class->ok(subscriber, reply, text);
  }
}

struct outcome reply_outcome(const struct script_job *job) {
  struct bytes body = blob_bytes(job->body);
  if (job->body_is_id) return (struct outcome){.type = OUTCOME_KEPT, .id = body};
  return (struct outcome){.type = OUTCOME_VALUE, .value = body};
}

void reply_ok(struct subscriber *subscriber, const struct reply *reply, struct bytes ref, const struct outcome *outcome) {
  if (!reply_is_wanted(reply, ref)) return;
  struct rope text;
  rope_init(&text);
  reply_dialect(subscriber, reply)->ok(&text, ref, outcome);
  reply_text(subscriber, reply, &text);
  rope_deinit(&text);
}

bool reply_page(struct subscriber *subscriber, const struct reply *reply, struct bytes ref, const struct outcome *outcome) {
  struct rope text;
  rope_init(&text);
  reply_dialect(subscriber, reply)->ok(&text, ref, outcome);
  bool is_written = !text.text.failed;
  if (is_written && rope_len(&text) > 0) reply->class->page(subscriber, reply, &text);
  rope_deinit(&text);
  return is_written;
}

void reply_error(struct subscriber *subscriber, const struct reply *reply, struct bytes ref, const struct refusal *refusal) {
  struct rope text;
  rope_init(&text);
  reply_dialect(subscriber, reply)->error(&text, ref, refusal);
  if (text.text.failed) {
    subscriber_break(subscriber);
  } else if (rope_len(&text) > 0) {
    reply->class->error(subscriber, reply, refusal, buffer_bytes(&text.text));
  }
  rope_deinit(&text);
}

bool session_tell(struct subscriber *subscriber, const struct event *event) {
  const struct dialect *dialect = session_dialect(subscriber);
  struct rope text;
  rope_init(&text);
  dialect->event(dialect, &text, event);
  bool is_written = !text.text.failed;
  if (!is_written) {
    subscriber_break(subscriber);
  } else if (rope_len(&text) > 0) {
    push_rope(subscriber, &text);
  }
  rope_deinit(&text);
  return is_written;
}
