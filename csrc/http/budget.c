#include "http/budget.h"

#include "http/exchange.h"

void budget_init(struct budget *budget, struct subscriber *subscriber) {
  const struct budget *guest = &http_of(subscriber)->guest;
  *budget = (struct budget){.subscriber = subscriber};
  if (guest->subscriber == subscriber) {
    budget->turn = guest->turn;
    budget->left = guest->left;
  }
  list_init(&budget->link);
}

void budget_deinit(struct budget *budget) { list_remove(&budget->link); }

/* A connection without an http1 and a session uses the shared one while it is served, and has no debts. */
static struct budget *budget_find(struct subscriber *subscriber) {
  if (http_has_session(subscriber)) return http_of(subscriber)->sessions->budget(subscriber);
  struct budget *guest = &http_of(subscriber)->guest, *own = exchange_budget(exchange_of(subscriber));
  if (own) return own;
  if (guest->subscriber != subscriber) *guest = (struct budget){.subscriber = subscriber};
  return guest;
}

/* The same with what this turn adds. */
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

bool budget_is_put_off(struct subscriber *subscriber) {
  const struct budget *budget = budget_find(subscriber);
  return budget->link.next && !list_empty(&budget->link);
}

void budget_put_off(struct subscriber *subscriber) {
  struct http *http = http_of(subscriber);
  struct budget *budget = budget_find(subscriber);
  if (budget == &http->guest || !list_empty(&budget->link)) return;
  list_append(&http->put_off, &budget->link);
  loop_wake(http->loop);
}

/* Moves all of `from` behind `to`, which is a link or a head. */
static void move_all(struct list *from, struct list *to) {
  while (!list_empty(from)) {
    struct list *link = from->prev;
    list_remove(link);
    list_append(to->next, link);
  }
}

void budget_resume(struct http *http) {
  struct list waiting, passed;
  int64_t left = BUDGET_LEFTOVERS;
  list_init(&waiting);
  list_init(&passed);
  move_all(&http->put_off, &waiting);
  while (!list_empty(&waiting)) {
    struct budget *budget = container_of(waiting.next, struct budget, link);
    int64_t before = (int64_t)budget_left(budget->subscriber);
    list_remove(&budget->link);
    if (left <= 0 || before == 0) {
      list_append(&passed, &budget->link);
    } else {
      left -= before;
      http->sessions->resume(budget->subscriber);
    }
  }
  /* Those that had nothing come before those that want more again. */
  move_all(&passed, &http->put_off);
  if (!list_empty(&http->put_off)) loop_wake(http->loop);
}
