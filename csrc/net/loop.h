/* A uv loop with turns: callbacks change state, and the work that follows is done before and after
 * each poll. */
#ifndef MOONWIRE_NET_LOOP_H
#define MOONWIRE_NET_LOOP_H

#include <uv.h>

#include "base/clock.h"
#include "base/list.h"

VISIBILITY_PUSH

struct loop {
  uv_loop_t *uv;
  uv_loop_t own;
  bool is_own;
  uv_prepare_t prepare;
  uv_check_t check;
  uv_async_t wake;
  struct clock clock;
  struct list alarms, late_alarms;    /* net/alarm.h */
  bool rings;                         /* alarms may be ringing: one that is set now starts before the next poll */
  void (*on_turn)(struct loop *loop); /* see loop_enter */
  void (*on_closed)(struct loop *loop);
  uint32_t turn;     /* number of polls; the work before and after one of them is one turn */
  bool has_polled;   /* in that turn */
  bool runs;         /* inside loop_run_once or loop_step */
  size_t open_count; /* our handles and requests that are not closed yet */
  size_t busy_count; /* jobs of pools that have not ended */
};

/* Starts turns on the host's loop, or on a loop of its own if `host` is NULL. Returns a status of
 * libuv; after a failure, nothing is left. */
int loop_init(struct loop *loop, uv_loop_t *host, void (*on_turn)(struct loop *loop));
/* Requests a turn soon. Any thread. */
void loop_wake(struct loop *loop);
/* Call it after a change of the time at which the loop must run next. If a host drives the loop, it may
 * wait for a time that it asked for before; this makes loop_fd readable. On the loop's thread. */
void loop_changed(struct loop *loop);
/* Between them, everything that the calling thread does is followed by the end of a turn of `loop`,
 * which must leave no mail in the loop's mailboxes, or call loop_wake. So posting does not have to
 * wake the loop (net/mailbox.h). loop_enter returns what loop_leave takes. */
const struct loop *loop_enter(const struct loop *loop);
void loop_leave(const struct loop *before);
/* Returns true if the calling thread is between loop_enter and loop_leave of that loop. */
bool loop_is_entered(const struct loop *loop);
/* Drive the loop's own uv loop from outside: wait for events and handle them; handle what is ready;
 * return the time to wait in milliseconds (-1: indefinitely). */
void loop_run_once(struct loop *loop);
void loop_step(struct loop *loop);
int loop_fd(const struct loop *loop);
int loop_timeout(struct loop *loop);
/* Returns true if a further step of the loop's own uv loop finds something to do now. Waits up to
 * ten seconds for files that are being read, and for work and jobs. For tests: nothing else may use the
 * loop. */
bool loop_has_work(struct loop *loop);
/* Ends the turns. Calls `on_closed` after every handle of loop_opened is closed; then call
 * loop_deinit and free the loop. */
void loop_close(struct loop *loop, void (*on_closed)(struct loop *loop));
/* Frees the loop's own uv loop, after on_closed. */
void loop_deinit(struct loop *loop);

/* For the files of net: counts a handle that was initialized, or whose close callback ran. */
void loop_opened(struct loop *loop);
void loop_handle_closed(struct loop *loop);

VISIBILITY_POP

#endif
