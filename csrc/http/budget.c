#include "http/budget.h"

#include "base/array.h"
#include "http/exchange.h"

void budget_init(struct budget *budget, struct subscriber *subscriber) {
  const struct http *http = http_of(subscriber);
  *budget = http->guest_of == subscriber ? http->guest : (struct budget){0};
}

/* It is not put off any more. */
static void take_out(struct http *http, struct budget *budget) {
  if (budget->place > 0) http->put_off.items[budget->place - 1].budget = NULL;
  budget->place = 0;
}

void budget_deinit(struct http *http, struct budget *budget) { take_out(http, budget); }

/* Returns the budget of the subscriber's http1 or session. A connection without one uses the shared
 * budget while it is served, and has no debts. */
static struct budget *budget_find(struct subscriber *subscriber) {
  if (http_has_session(subscriber)) return http_of(subscriber)->sessions->budget(subscriber);
  struct http *http = http_of(subscriber);
  struct budget *own = exchange_budget(exchange_of(subscriber));
  if (own) return own;
  if (http->guest_of != subscriber) http->guest = (struct budget){0};
  http->guest_of = subscriber;
  return &http->guest;
}

/* As budget_find, with what this turn adds. */
static struct budget *refresh(struct subscriber *subscriber) {
  struct budget *budget = budget_find(subscriber);
  uint32_t turn = http_of(subscriber)->loop->turn;
  int64_t left = budget->left + (int64_t)(turn - budget->turn) * BUDGET_TURN;
  budget->left = left < BUDGET_TURN ? (int32_t)left : BUDGET_TURN;
  budget->turn = turn;
  return budget;
}

void budget_charge(struct subscriber *subscriber, size_t cost) {
  struct budget *budget = refresh(subscriber);
  int64_t left = (int64_t)budget->left - (cost < INT32_MAX ? (int64_t)cost : INT32_MAX);
  budget->left = left > INT32_MIN ? (int32_t)left : INT32_MIN;
}

size_t budget_left(struct subscriber *subscriber) {
  const struct budget *budget = refresh(subscriber);
  return budget->left > 0 ? (size_t)budget->left : 0;
}

bool budget_is_put_off(struct subscriber *subscriber) { return budget_find(subscriber)->place > 0; }

void budget_put_off(struct subscriber *subscriber) {
  struct http *http = http_of(subscriber);
  struct budget *budget = budget_find(subscriber);
  struct put_off_list *list = &http->put_off;
  if (budget == &http->guest || budget->place > 0) return;
  struct put_off *items = array_reserve(list->items, sizeof *items, &list->capacity, (size_t)list->count + 1, UINT32_MAX);
  if (!items) {
    subscriber_break(subscriber);
    return;
  }
  list->items = items;
  items[list->count++] = (struct put_off){budget, subscriber};
  budget->place = list->count;
  loop_wake(http->loop);
}

/* Closes the gaps. */
static void close_up(struct put_off_list *list) {
  uint32_t count = list->count;
  list->count = 0;
  for (uint32_t i = 0; i < count; i++) {
    struct put_off item = list->items[i];
    if (!item.budget) continue;
    list->items[list->count++] = item;
    item.budget->place = list->count;
  }
}

void budget_resume(struct http *http) {
  struct put_off_list *list = &http->put_off;
  /* Those that want more again are listed after them. Those that get nothing now stay in front. */
  uint32_t count = list->count;
  int64_t left = BUDGET_LEFTOVERS;
  for (uint32_t i = 0; i < count && left > 0; i++) {
    struct put_off item = list->items[i];
    int64_t its = item.budget ? (int64_t)budget_left(item.subscriber) : 0;
    if (its == 0) continue;
    left -= its;
    take_out(http, item.budget);
    http->sessions->resume(item.subscriber);
  }
  close_up(list);
  if (list->count > 0) loop_wake(http->loop);
}
