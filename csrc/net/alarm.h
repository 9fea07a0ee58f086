/* A single timer of millisecond grain, for the app's own. */
#ifndef MOONWIRE_NET_ALARM_H
#define MOONWIRE_NET_ALARM_H

#include "base/list.h"
#include "net/loop.h"

VISIBILITY_PUSH

struct alarm {
  struct list link; /* the owner's */
  struct loop *loop;
  uv_timer_t uv;
  void (*on_alarm)(void *context);
  void *context;
};

/* Rings after `delay_ms`, then every `repeat_ms` (0: once). NULL without memory. */
struct alarm *alarm_new(struct loop *loop, uint64_t delay_ms, uint64_t repeat_ms, void (*on_alarm)(void *context), void *context);
/* Stops it now and frees it soon; safe in its own callback. NULL is allowed. */
void alarm_free(struct alarm *alarm);

VISIBILITY_POP

#endif
