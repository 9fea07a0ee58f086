/* A uv loop with turns: state changes in callbacks, and what follows from it is done before and after each poll. */
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
  struct list alarms; /* net/alarm.h */
  void (*on_turn)(struct loop *loop);
  void (*on_closed)(struct loop *loop);
  uint32_t turn;     /* counts polls: what is done before and after one of them is one turn */
  bool has_polled;   /* in that turn */
  size_t open_count; /* handles and requests of ours that are not closed yet */
};

/* Begins turns on the host's loop, or on one of its own if `host` is NULL. A status of libuv; then nothing is left behind. */
int loop_init(struct loop *loop, uv_loop_t *host, void (*on_turn)(struct loop *loop));
/* Asks for a turn soon. Any thread. */
void loop_wake(struct loop *loop);
/* The own loop, driven from outside: wait for something and do it; do what is to be done now; what to wait for (milliseconds, -1: for
 * ever). */
void loop_run_once(struct loop *loop);
void loop_step(struct loop *loop);
int loop_fd(const struct loop *loop);
int loop_timeout(const struct loop *loop);
/* Returns whether a further step of the own loop finds something to do now. Waits up to a second for files that are being read.
 * For tests: nothing else may use the loop. */
bool loop_has_work(const struct loop *loop);
/* Ends the turns. `on_closed` is called once every handle counted by loop_opened is closed; then the loop struct may go, after
 * loop_deinit. */
void loop_close(struct loop *loop, void (*on_closed)(struct loop *loop));
/* Frees the own loop; after on_closed. */
void loop_deinit(struct loop *loop);

/* For the files of net: a handle was initialised; its close callback ran. */
void loop_opened(struct loop *loop);
void loop_handle_closed(struct loop *loop);

VISIBILITY_POP

#endif
