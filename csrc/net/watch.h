/* Descriptors of others, as events of a loop. */
#ifndef MOONWIRE_NET_WATCH_H
#define MOONWIRE_NET_WATCH_H

#include <stdbool.h>

#include "base/list.h"
#include "base/status.h"
#include "net/loop.h"

VISIBILITY_PUSH

struct watch {
  struct list link; /* for the owner */
  struct loop *loop;
  uv_poll_t uv;
  void (*on_ready)(void *context);
  void *context;
};

/* Calls `on_ready` in each turn in which the descriptor can be read, or written, or has failed or
 * ended. Makes it non-blocking. It must stay open until watch_free. Returns MW_ENOMEM, UV_EEXIST: it
 * is watched already; UV_EPERM: such a file is always ready; or UV_EBADF. */
int watch_new(struct watch **watch, struct loop *loop, int fd, enum mw_readiness readiness, void (*on_ready)(void *context),
              void *context);
/* Stops now, and frees soon. Safe in the callback. NULL is allowed. */
void watch_free(struct watch *watch);

VISIBILITY_POP

#endif
