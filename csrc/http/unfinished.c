#include "http/unfinished.h"

#include "base/log_limit.h"
#include "http/exchange.h"

const char unfinished_refusal[] = "the queue is full: limits.queue";

static const struct mw_limits *unfinished_limits(const struct http *http) { return &http->app->config->options.limits; }

void unfinished_init(struct unfinished *unfinished) {
  *unfinished = (struct unfinished){0};
  for (size_t i = 0; i < UNFINISHED_SIZES; i++) list_init(&unfinished->sizes[i]);
  list_init(&unfinished->ages);
}

void holder_init(struct holder *holder, struct exchange *exchange, bool has_deadline) {
  *holder = (struct holder){.exchange = exchange, .has_deadline = has_deadline};
  list_init(&holder->size_link);
  list_init(&holder->age_link);
}

static size_t count_bits(size_t size) {
  size_t bits = 0;
  for (; size > 1 && bits < UNFINISHED_SIZES - 1; size /= 2) bits++;
  return bits;
}

static bool holds(const struct holder *holder) { return !list_empty(&holder->size_link); }

static void restart(struct http *http, struct holder *holder) {
  holder->since_ms = http->loop->clock.now_ms;
  list_remove(&holder->age_link);
  if (holder->has_deadline) list_append(&http->unfinished.ages, &holder->age_link);
}

void unfinished_hold(struct http *http, struct holder *holder, size_t size, bool is_new) {
  struct unfinished *unfinished = &http->unfinished;
  if (!holds(holder) || is_new) restart(http, holder);
  if (!holds(holder)) unfinished->count++;
  list_remove(&holder->size_link);
  list_append(&unfinished->sizes[count_bits(size)], &holder->size_link);
  unfinished->bytes += size - holder->size;
  holder->size = size;
}

void unfinished_release(struct http *http, struct holder *holder) {
  if (!holds(holder)) return;
  http->unfinished.bytes -= holder->size;
  http->unfinished.count--;
  holder->size = 0;
  list_remove(&holder->size_link);
  list_remove(&holder->age_link);
}

/* Returns the largest holder, and of equal ones the one that grew last. */
static struct holder *find_largest(struct unfinished *unfinished) {
  struct holder *largest = NULL;
  size_t bits = UNFINISHED_SIZES - 1;
  while (bits > 0 && list_empty(&unfinished->sizes[bits])) bits--;
  struct list *head = &unfinished->sizes[bits];
  for (struct list *link = head->next; link != head; link = link->next) {
    struct holder *holder = container_of(link, struct holder, size_link);
    if (!largest || holder->size >= largest->size) largest = holder;
  }
  return largest;
}

/* The peer gets nothing through any more. */
static void unfinished_give_up(struct http *http, struct holder *holder, enum close_reason reason, const char *text) {
  struct exchange *exchange = holder->exchange;
  if (!holder->has_deadline) {
    exchange_give_up(exchange);
    return;
  }
  unfinished_release(http, holder);
  if (exchange->role) exchange->role->give_up(exchange, &(struct closing){.reason = reason, .text = text});
}

void unfinished_settle(struct http *http) {
  struct unfinished *unfinished = &http->unfinished;
  while (unfinished->count > 1 && unfinished->bytes > unfinished_limits(http)->queue) {
    struct holder *largest = find_largest(unfinished);
    limit_count(&http->app->limits, MW_LIMIT_QUEUE);
    log_limited(MW_LOG_WARNING,
                "closed the connection with the largest incomplete message or body: limits.queue reached (size=%zu all=%zu "
                "bytes, count=%zu)",
                largest->size, unfinished->bytes, unfinished->count);
    unfinished_give_up(http, largest, CLOSE_BUSY, unfinished_refusal);
  }
}

void unfinished_expire(struct http *http) {
  struct list *ages = &http->unfinished.ages;
  uint64_t now_ms = http->loop->clock.now_ms, most_ms = unfinished_limits(http)->message_ms;
  while (!list_empty(ages)) {
    struct holder *oldest = container_of(ages->next, struct holder, age_link);
    struct exchange *exchange = oldest->exchange;
    if (now_ms < oldest->since_ms + most_ms) return;
    if (exchange->flags & EXCHANGE_STOPPED || budget_is_put_off(&exchange->subscriber)) {
      restart(http, oldest); /* it is not read: the peer may have sent the rest */
      continue;
    }
    limit_count(&http->app->limits, MW_LIMIT_MESSAGE_SECONDS);
    log_limited(
        MW_LOG_INFO,
        "closed a WebSocket: its message was incomplete for %llu ms, at %zu bytes (limits.message_seconds; message_ms in C)",
        (unsigned long long)most_ms, oldest->size);
    unfinished_give_up(http, oldest, CLOSE_UNFINISHED, "the message did not arrive in time: limits.message_seconds");
  }
}
