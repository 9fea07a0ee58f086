/* A single timer with milliseconds, for the timers of the app. It follows the system's time, or the
 * clock of the loop once that is manual. */
#ifndef MOONWIRE_NET_ALARM_H
#define MOONWIRE_NET_ALARM_H

#include "base/list.h"
#include "net/loop.h"

VISIBILITY_PUSH

struct alarm {
  struct list link;    /* for the owner */
  struct list in_loop; /* in loop->alarms or loop->late_alarms */
  struct loop *loop;
  uv_timer_t uv;
  uint64_t repeat_ms;
  uint64_t due_ms; /* by the manual clock, UINT64_MAX after the last call; in late_alarms, by clock_system_ms */
  void (*on_alarm)(void *context);
  void *context;
};

/* Calls `on_alarm` after `delay_ms`, and then every `repeat_ms` (0: once). Returns NULL if out of
 * memory. */
struct alarm *alarm_new(struct loop *loop, uint64_t delay_ms, uint64_t repeat_ms, void (*on_alarm)(void *context), void *context);
/* Moves the next call to `delay_ms` from now. Also starts an alarm again that has made its last
 * call. */
void alarm_set(struct alarm *alarm, uint64_t delay_ms);
/* Stops the alarm now and frees it soon. Safe in its own callback. NULL is allowed. */
void alarm_free(struct alarm *alarm);

/* Starts those that were set while alarms rang. The loop calls it before each poll. */
void alarms_start_late(struct loop *loop);
/* Moves all alarms from the system's time to the clock of the loop, which becomes manual. */
void alarms_take_over(struct loop *loop);
/* With a manual clock: returns the milliseconds until the next alarm is due, or UINT64_MAX if none
 * is. */
uint64_t alarms_next_ms(const struct loop *loop);
void alarms_run(struct loop *loop);

VISIBILITY_POP

#endif
