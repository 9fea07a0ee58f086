#include "lua/base/late.h"

#include <stdlib.h>

static void abandon(struct task_wait *wait) {
  struct late *late = (struct late *)wait;
  wait->task = NULL;
  if (late->is_known) free(late);
}

void late_init(struct late *late) { late->wait.abandon = abandon; }

void late_tell(struct late *late, int status) {
  late->is_known = true;
  late->status = status;
  if (late->wait.task) {
    task_wake(late->wait.task);
  } else {
    free(late);
  }
}
