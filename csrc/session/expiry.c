#include "session/expiry.h"

#include "base/memory.h"
#include "session/reply.h"

struct expiry {
  struct timer timer;
  struct subscriber *subscriber;
  uint64_t at_ms; /* since 1970 */
  bool is_told;
};

static uint64_t left_ms(const struct http *http, uint64_t at_ms) {
  uint64_t now_ms = http->loop->clock.wall_ms;
  return at_ms > now_ms ? at_ms - now_ms : 0;
}

uint64_t expiry_seconds(const struct http *http, const struct script_job *job) {
  if (!job->is_identified || job->expires_ms == 0) return 0;
  uint64_t seconds = left_ms(http, job->expires_ms) / 1000;
  return seconds > 0 ? seconds : 1;
}

void expiry_clear(struct session *session) {
  if (!session->expires) return;
  timer_stop(&session->expiry->timer);
  memory_free(session->expiry);
  session->expires = false;
  session->http = NULL;
}

/* A verifier needs no request to check a newer token. */
static bool begin_expiry(struct session *session, struct subscriber *subscriber) {
  if (session->expires) return true;
  struct expiry *expiry = memory_calloc(1, sizeof *expiry);
  if (!expiry) return false;
  timer_init(&expiry->timer);
  expiry->subscriber = subscriber;
  memory_free(session->http);
  session->expiry = expiry;
  session->expires = true;
  return true;
}

void expiry_set(struct subscriber *subscriber, const struct script_job *job) {
  struct http *http = http_of(subscriber);
  if (!job->is_identified) return;
  struct session *session = session_get(subscriber);
  if (session && job->expires_ms == 0) {
    expiry_clear(session);
    return;
  }
  if (!session || !begin_expiry(session, subscriber)) {
    subscriber_break(subscriber);
    return;
  }
  uint64_t left = left_ms(http, job->expires_ms), notice = left / EXPIRY_NOTICE_PART;
  if (notice > EXPIRY_NOTICE_MAX_MS) notice = EXPIRY_NOTICE_MAX_MS;
  session->expiry->at_ms = job->expires_ms;
  session->expiry->is_told = false;
  /* The timer may fire a second late. */
  uint64_t until = left - notice;
  timer_start(&http->expiries, &session->expiry->timer, until > 1000 ? until - 1000 : 0);
}

/* A raw WebSocket has no words for it. */
static void tell_expiring(struct subscriber *subscriber, uint64_t left) {
  if (session_of(subscriber)->is_raw) return;
  session_tell(subscriber, &(struct event){.type = EVENT_EXPIRING, .expires_s = (left + 999) / 1000});
}

/* Every message of a poll, and every frame, that the client got was sent before. */
static void end_expired(struct subscriber *subscriber) {
  struct closing closing = {.reason = CLOSE_EXPIRED, .text = "the token has expired"};
  session_depart_closing(subscriber, &closing);
  session_ops(subscriber)->close(subscriber, &closing);
}

void expiry_due(struct timer *timer) {
  struct expiry *expiry = container_of(timer, struct expiry, timer);
  struct subscriber *subscriber = expiry->subscriber;
  struct http *http = http_of(subscriber);
  if (!session_ops(subscriber)->is_open(subscriber)) return;
  uint64_t left = left_ms(http, expiry->at_ms);
  if (left > 0) {
    if (!expiry->is_told) tell_expiring(subscriber, left);
    expiry->is_told = true;
    timer_start(&http->expiries, &expiry->timer, left);
  } else {
    end_expired(subscriber);
  }
}
