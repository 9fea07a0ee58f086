/* Signals of the process, as events of a loop. */
#ifndef MOONWIRE_NET_SIGNALS_H
#define MOONWIRE_NET_SIGNALS_H

#include "base/list.h"
#include "net/loop.h"

VISIBILITY_PUSH

struct signal_watch {
  struct list link; /* for the owner */
  struct loop *loop;
  uv_signal_t uv;
  void (*on_signal)(void *context, int signum);
  void *context;
};

/* Watches a signal. Returns 0, MW_ENOMEM, or a status of libuv. */
int signal_watch_new(struct signal_watch **watch, struct loop *loop, int signum, void (*on_signal)(void *context, int signum),
                     void *context);
void signal_watch_free(struct signal_watch *watch);

VISIBILITY_POP

#endif
