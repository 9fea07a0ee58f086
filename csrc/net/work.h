/* Work that takes long, such as hashing a password, on the thread pool of libuv. The pool also reads
 * files, so only a few run at a time, and a bounded number waits. */
#ifndef MOONWIRE_NET_WORK_H
#define MOONWIRE_NET_WORK_H

#include "net/loop.h"

VISIBILITY_PUSH

struct work;

enum { WORK_RUNNING_MAX = 2 };

struct works {
  struct loop *loop;
  struct list waiting;
  size_t waiting_count, running_count;
  bool closed;
};

void works_init(struct works *works, struct loop *loop);
/* Calls on_done of those that wait with MW_ECLOSED. Those that run go on, and are counted among the
 * handles of the loop until their on_done was called. */
void works_close(struct works *works);
/* See mw_work_start. Returns 0, MW_ECLOSED, MW_EUNAVAILABLE, MW_ENOMEM, or a status of libuv. */
int work_start(struct work **work, struct works *works, void (*run)(void *context), void (*on_done)(void *context, int status),
               void *context);
void work_cancel(struct work *work);

VISIBILITY_POP

#endif
