/* How long an exchange may be in a state, and what happens after that time (http/exchange.h). */
#include "base/log_limit.h"
#include "http/exchange.h"

/* How long a peer may take to send its close frame after ours. */
enum { CLOSE_MS = 5000 };

static const struct mw_limits *exchange_limits(struct exchange *exchange) { return &exchange_config(exchange)->options.limits; }

static uint64_t exchange_delay_ms(struct exchange *exchange) {
  const struct mw_limits *limits = exchange_limits(exchange);
  bool writes = exchange->subscriber.outbox != NULL;
  switch ((enum exchange_state)exchange->state) {
    case EXCHANGE_ASKING: return limits->answer_ms;
    case EXCHANGE_WAITING: return exchange->role->left_ms(exchange);
    case EXCHANGE_STREAMING: return writes ? limits->progress_ms : exchange->role->silence_ms(exchange);
    case EXCHANGE_ENDING: return writes ? limits->progress_ms : CLOSE_MS;
    default: return limits->progress_ms;
  }
}

void exchange_set_deadline(struct exchange *exchange) {
  exchange_protocol(exchange)->set_deadline(exchange, exchange_delay_ms(exchange));
}

uint64_t exchange_silent_ms(struct exchange *exchange) {
  uint32_t heard = *exchange_protocol(exchange)->heard(exchange);
  return (uint64_t)(exchange_http(exchange)->timers.tick - heard) * 1000;
}

void exchange_note_heard(struct exchange *exchange) {
  *exchange_protocol(exchange)->heard(exchange) = exchange_http(exchange)->timers.tick;
}

void exchange_note_writing(struct exchange *exchange) {
  if (!exchange->subscriber.sink->is_two_way) exchange_note_heard(exchange);
}

/* Called if something is unsent when the deadline for progress has passed. */
static void check_progress(struct exchange *exchange) {
  struct outbox *outbox = exchange->subscriber.outbox;
  /* without what was pushed after it in the meantime */
  size_t unwritten = exchange_protocol(exchange)->unwritten(exchange);
  if (subscriber_waits(&exchange->subscriber) && unwritten >= outbox->seen_bytes) {
    exchange_http(exchange)->stats->dead_closed++;
    limit_count(&exchange_app(exchange)->limits, MW_LIMIT_PROGRESS_SECONDS);
    log_limited(MW_LOG_INFO, "closed a connection: its peer read nothing for %llu ms (limits.progress_seconds; progress_ms in C)",
                (unsigned long long)exchange_limits(exchange)->progress_ms);
    exchange_http(exchange)->sessions->depart(&exchange->subscriber, DEPARTURE_TIMEOUT, 0);
    exchange_reset(exchange);
    return;
  }
  outbox->seen_bytes = unwritten;
  exchange_set_deadline(exchange);
}

static void check_silence(struct exchange *exchange) {
  /* A peer that was sent a question has until its deadline, regardless of what else it sends. */
  bool fixed = exchange->flags & (EXCHANGE_CONNECTING | EXCHANGE_PINGED | EXCHANGE_DUE);
  uint64_t silent_ms = exchange_silent_ms(exchange), silence_ms = exchange->role->silence_ms(exchange);
  if (!fixed && silent_ms < silence_ms) {
    exchange_protocol(exchange)->set_deadline(exchange, silence_ms - silent_ms);
    return;
  }
  exchange->role->on_silent(exchange);
  if (exchange->state == EXCHANGE_STREAMING) exchange_set_deadline(exchange);
}

/* No answer has come, and none is awaited any longer. */
static void answer_late(struct exchange *exchange) {
  exchange_http(exchange)->sessions->forget(&exchange->subscriber);
  exchange->role->on_late(exchange);
}

void exchange_on_due(struct exchange *exchange) {
  if (exchange->subscriber.outbox && exchange->state != EXCHANGE_ASKING && exchange->state != EXCHANGE_WAITING) {
    check_progress(exchange);
    return;
  }
  switch ((enum exchange_state)exchange->state) {
    case EXCHANGE_ASKING:
    case EXCHANGE_WAITING: answer_late(exchange); break;
    case EXCHANGE_STREAMING: check_silence(exchange); break;
    case EXCHANGE_ANSWERING: exchange_reset(exchange); break;
    case EXCHANGE_ENDING: exchange_disconnect(exchange); break;
    case EXCHANGE_IDLE:
    case EXCHANGE_READING:
    case EXCHANGE_OVER: break;
  }
}

void exchange_stop(struct exchange *exchange, bool is_due) {
  bool waits = exchange->state == EXCHANGE_ASKING || exchange->state == EXCHANGE_WAITING || exchange->state == EXCHANGE_STREAMING;
  if (waits && !is_due && exchange->role->finishes(exchange)) return;
  switch ((enum exchange_state)exchange->state) {
    case EXCHANGE_ASKING:
    case EXCHANGE_WAITING: answer_late(exchange); break;
    case EXCHANGE_STREAMING: exchange_close(exchange, CLOSE_STOPPING, ""); break;
    case EXCHANGE_ENDING:
      /* The peer's close frame is no longer awaited. */
      exchange_end_role(exchange);
      subscriber_mark(&exchange->subscriber);
      break;
    case EXCHANGE_IDLE:
    case EXCHANGE_READING:
    case EXCHANGE_ANSWERING:
    case EXCHANGE_OVER: break;
  }
}
