/* A single timer of millisecond grain, for the app's own. It follows the system's time, or the loop's clock once that is moved by hand. */
#ifndef MOONWIRE_NET_ALARM_H
#define MOONWIRE_NET_ALARM_H

#include "base/list.h"
#include "net/loop.h"

VISIBILITY_PUSH

struct alarm {
  struct list link;    /* the owner's */
  struct list in_loop; /* in loop->alarms */
  struct loop *loop;
  uv_timer_t uv;
  uint64_t due_ms, repeat_ms; /* by the manual clock; due_ms UINT64_MAX: it has rung for the last time */
  void (*on_alarm)(void *context);
  void *context;
};

/* Rings after `delay_ms`, then every `repeat_ms` (0: once). NULL without memory. */
struct alarm *alarm_new(struct loop *loop, uint64_t delay_ms, uint64_t repeat_ms, void (*on_alarm)(void *context), void *context);
/* Rings once after `delay_ms` from now, instead of when it would have; also one that has rung for the last time. */
void alarm_set(struct alarm *alarm, uint64_t delay_ms);
/* Stops it now and frees it soon; safe in its own callback. NULL is allowed. */
void alarm_free(struct alarm *alarm);

/* The loop's clock becomes manual: the alarms that are set leave the system's time. */
void alarms_take_over(struct loop *loop);
/* With a manual clock: the milliseconds until the next alarm is due (UINT64_MAX: never); rings those that are. */
uint64_t alarms_next_ms(const struct loop *loop);
void alarms_run(struct loop *loop);

VISIBILITY_POP

#endif
