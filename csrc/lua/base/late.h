/* An outcome that comes after the call that asks for it, to a task that waits. */
#ifndef MOONWIRE_LUA_BASE_LATE_H
#define MOONWIRE_LUA_BASE_LATE_H

#include "lua/base/wait.h"

BINDING_BEGIN

/* First in what is allocated with calloc. Freed by the task that waits for it or, if that has ended, when
 * the outcome is known. */
struct late {
  struct task_wait wait;
  bool is_known;
  int status;
};

void late_init(struct late *late);
/* The outcome is known: wakes the task. On the server's thread. */
void late_tell(struct late *late, int status);

BINDING_END

#endif
