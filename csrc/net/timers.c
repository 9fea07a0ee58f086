#include "net/timers.h"

static void on_tick(uv_timer_t *timer) { timers_run(container_of(timer, struct timers, uv)); }

void timers_init_driven(struct timers *timers, struct loop *loop, void (*on_due)(struct timers *timers, struct timer *timer)) {
  *timers = (struct timers){.loop = loop, .on_due = on_due, .start_ms = loop->clock.now_ms};
  for (size_t i = 0; i < TIMER_SLOTS; i++) list_init(&timers->slots[i]);
}

int timers_init(struct timers *timers, struct loop *loop, void (*on_due)(struct timers *timers, struct timer *timer),
                void (*on_second)(struct timers *timers)) {
  timers_init_driven(timers, loop, on_due);
  timers->on_second = on_second;
  int status = uv_timer_init(loop->uv, &timers->uv);
  if (status < 0) return status;
  loop_opened(loop);
  return uv_timer_start(&timers->uv, on_tick, 1000, 1000);
}

static void timers_on_closed(uv_handle_t *handle) {
  loop_handle_closed(container_of((uv_timer_t *)handle, struct timers, uv)->loop);
}

void timers_close(struct timers *timers) { uv_close((uv_handle_t *)&timers->uv, timers_on_closed); }

void timer_start(struct timers *timers, struct timer *timer, uint64_t delay_ms) {
  uint64_t due = (timers->loop->clock.now_ms - timers->start_ms + delay_ms + 999) / 1000;
  timer->due_tick = due > timers->tick ? (uint32_t)due : timers->tick + 1;
  list_remove(&timer->link);
  list_append(&timers->slots[timer->due_tick % TIMER_SLOTS], &timer->link);
}

static void run_tick(struct timers *timers) {
  struct list *slot = &timers->slots[++timers->tick % TIMER_SLOTS];
  /* Moved to a list of its own first: a callback may start a timer that lands in this slot, or stop
   * another that is due. */
  struct list due;
  list_init(&due);
  for (struct list *link = slot->next, *next; link != slot; link = next) {
    next = link->next;
    if (container_of(link, struct timer, link)->due_tick > timers->tick) continue;
    list_remove(link);
    list_append(&due, link);
  }
  while (!list_empty(&due)) {
    struct timer *timer = container_of(due.next, struct timer, link);
    timer_stop(timer);
    timers->on_due(timers, timer);
  }
  if (timers->on_second) timers->on_second(timers);
}

void timers_run(struct timers *timers) {
  clock_update(&timers->loop->clock);
  uint64_t now = (timers->loop->clock.now_ms - timers->start_ms) / 1000;
  while (timers->tick < now) run_tick(timers);
}
