#include "net/alarm.h"

#include "base/memory.h"

static void alarm_on_timer(uv_timer_t *timer) {
  struct alarm *alarm = container_of(timer, struct alarm, uv);
  alarm->on_alarm(alarm->context);
}

static void alarm_start(struct alarm *alarm, uint64_t delay_ms) {
  struct loop *loop = alarm->loop;
  if (loop->clock.manual) {
    alarm->due_ms = loop->clock.now_ms + delay_ms;
    if (delay_ms == 0) loop_wake(loop);
  } else if (loop->rings) {
    /* libuv calls timers until none is due: one that a callback sets for now would be among them,
     * and nothing else would ever run. */
    uv_timer_stop(&alarm->uv);
    alarm->due_ms = clock_system_ms() + delay_ms;
    list_remove(&alarm->in_loop);
    list_append(&loop->late_alarms, &alarm->in_loop);
    loop_changed(loop);
  } else {
    /* Counted from now, not from when the loop last read the time. */
    uv_update_time(loop->uv);
    uv_timer_start(&alarm->uv, alarm_on_timer, delay_ms, alarm->repeat_ms);
  }
}

void alarms_start_late(struct loop *loop) {
  if (list_empty(&loop->late_alarms)) return;
  uint64_t now_ms = clock_system_ms();
  uv_update_time(loop->uv);
  while (!list_empty(&loop->late_alarms)) {
    struct alarm *alarm = container_of(loop->late_alarms.next, struct alarm, in_loop);
    list_remove(&alarm->in_loop);
    list_append(&loop->alarms, &alarm->in_loop);
    uv_timer_start(&alarm->uv, alarm_on_timer, alarm->due_ms > now_ms ? alarm->due_ms - now_ms : 0, alarm->repeat_ms);
  }
}

struct alarm *alarm_new(struct loop *loop, uint64_t delay_ms, uint64_t repeat_ms, void (*on_alarm)(void *context),
                        void *context) {
  struct alarm *alarm = memory_calloc(1, sizeof *alarm);
  if (!alarm) return NULL;
  list_init(&alarm->link);
  list_init(&alarm->in_loop);
  list_append(&loop->alarms, &alarm->in_loop);
  alarm->loop = loop;
  alarm->repeat_ms = repeat_ms;
  alarm->on_alarm = on_alarm;
  alarm->context = context;
  uv_timer_init(loop->uv, &alarm->uv);
  loop_opened(loop);
  alarm_start(alarm, delay_ms);
  return alarm;
}

void alarm_set(struct alarm *alarm, uint64_t delay_ms) {
  alarm->repeat_ms = 0;
  alarm_start(alarm, delay_ms);
}

static void alarm_on_closed(uv_handle_t *handle) {
  struct alarm *alarm = container_of((uv_timer_t *)handle, struct alarm, uv);
  loop_handle_closed(alarm->loop);
  memory_free(alarm);
}

void alarm_free(struct alarm *alarm) {
  if (!alarm) return;
  list_remove(&alarm->link);
  list_remove(&alarm->in_loop);
  uv_close((uv_handle_t *)&alarm->uv, alarm_on_closed);
}

/* ---- With a manual clock --------------------------------------------------------------------- */

void alarms_take_over(struct loop *loop) {
  alarms_start_late(loop);
  uv_update_time(loop->uv);
  for (struct list *link = loop->alarms.next; link != &loop->alarms; link = link->next) {
    struct alarm *alarm = container_of(link, struct alarm, in_loop);
    bool is_set = uv_is_active((uv_handle_t *)&alarm->uv);
    alarm->due_ms = is_set ? loop->clock.now_ms + uv_timer_get_due_in(&alarm->uv) : UINT64_MAX;
    uv_timer_stop(&alarm->uv);
  }
}

uint64_t alarms_next_ms(const struct loop *loop) {
  uint64_t due_ms = UINT64_MAX, now_ms = loop->clock.now_ms;
  for (struct list *link = loop->alarms.next; link != &loop->alarms; link = link->next) {
    struct alarm *alarm = container_of(link, struct alarm, in_loop);
    if (alarm->due_ms < due_ms) due_ms = alarm->due_ms;
  }
  if (due_ms == UINT64_MAX) return UINT64_MAX;
  return due_ms > now_ms ? due_ms - now_ms : 0;
}

void alarms_run(struct loop *loop) {
  if (!loop->clock.manual) return;
  /* Moved to a list of its own first: an alarm that a callback sets for now rings in the next run,
   * and one that it frees does not ring. */
  struct list due;
  list_init(&due);
  for (struct list *link = loop->alarms.next, *next; link != &loop->alarms; link = next) {
    next = link->next;
    if (container_of(link, struct alarm, in_loop)->due_ms > loop->clock.now_ms) continue;
    list_remove(link);
    list_append(&due, link);
  }
  while (!list_empty(&due)) {
    struct alarm *alarm = container_of(due.next, struct alarm, in_loop);
    list_remove(&alarm->in_loop);
    list_append(&loop->alarms, &alarm->in_loop);
    alarm->due_ms = alarm->repeat_ms > 0 ? alarm->due_ms + alarm->repeat_ms : UINT64_MAX;
    alarm->on_alarm(alarm->context);
  }
}
