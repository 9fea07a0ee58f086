#include "net/alarm.h"

#include "base/memory.h"

static void on_timer(uv_timer_t *timer) {
  struct alarm *alarm = container_of(timer, struct alarm, uv);
  alarm->on_alarm(alarm->context);
}

struct alarm *alarm_new(struct loop *loop, uint64_t delay_ms, uint64_t repeat_ms, void (*on_alarm)(void *context),
                        void *context) {
  struct alarm *alarm = memory_calloc(1, sizeof *alarm);
  if (!alarm) return NULL;
  list_init(&alarm->link);
  alarm->loop = loop;
  alarm->on_alarm = on_alarm;
  alarm->context = context;
  uv_timer_init(loop->uv, &alarm->uv);
  loop_opened(loop);
  /* Counted from now, not from when the loop last looked at the time. */
  uv_update_time(loop->uv);
  uv_timer_start(&alarm->uv, on_timer, delay_ms, repeat_ms);
  return alarm;
}

static void on_closed(uv_handle_t *handle) {
  struct alarm *alarm = container_of((uv_timer_t *)handle, struct alarm, uv);
  loop_handle_closed(alarm->loop);
  memory_free(alarm);
}

void alarm_free(struct alarm *alarm) {
  if (!alarm) return;
  list_remove(&alarm->link);
  uv_close((uv_handle_t *)&alarm->uv, on_closed);
}
