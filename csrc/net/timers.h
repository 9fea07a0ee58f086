/* A timer wheel with slots of one second, for the many coarse deadlines of connections. A timer
 * fires up to a second late, and never early. */
#ifndef MOONWIRE_NET_TIMERS_H
#define MOONWIRE_NET_TIMERS_H

#include "base/list.h"
#include "net/loop.h"

VISIBILITY_PUSH

enum { TIMER_SLOTS = 64 };

struct timer {
  struct list link;  /* in its slot; alone when stopped */
  uint32_t due_tick; /* in seconds of the wheel */
  uint32_t note;     /* for the owner */
};

struct timers {
  struct list slots[TIMER_SLOTS];
  struct loop *loop;
  uv_timer_t uv;
  uint64_t start_ms;
  uint32_t tick; /* the last tick that was run */
  /* the timer is already stopped; it may be started again or freed */
  void (*on_due)(struct timers *timers, struct timer *timer);
  void (*on_second)(struct timers *timers); /* after the timers of each tick; NULL: none */
};

/* Starts the wheel. Returns a status of libuv. */
int timers_init(struct timers *timers, struct loop *loop, void (*on_due)(struct timers *timers, struct timer *timer),
                void (*on_second)(struct timers *timers));
/* Starts a wheel that only turns when its owner calls timers_run. It need not be closed. */
void timers_init_driven(struct timers *timers, struct loop *loop, void (*on_due)(struct timers *timers, struct timer *timer));
/* Stops the wheel. All timers must be stopped. */
void timers_close(struct timers *timers);
/* Runs the timers that are due by the clock of the loop. Each tick does that; a test may, after it
 * has advanced the clock. */
void timers_run(struct timers *timers);

static inline void timer_init(struct timer *timer) { list_init(&timer->link); }
/* Starts a timer, or restarts it. */
void timer_start(struct timers *timers, struct timer *timer, uint64_t delay_ms);
static inline void timer_stop(struct timer *timer) { list_remove(&timer->link); }

VISIBILITY_POP

#endif
