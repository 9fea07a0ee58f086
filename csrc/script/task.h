/* The order of what is done for one client: one thing at a time. */
#ifndef MOONWIRE_SCRIPT_TASK_H
#define MOONWIRE_SCRIPT_TASK_H

#include "app/script_job.h"

VISIBILITY_PUSH

struct script;

struct script_task_class {
  /* Its turn has come. */
  void (*run)(struct script *script, struct script_task *task);
  /* Frees it: the script ends, and its turn will not come. */
  void (*drop)(struct script_task *task);
};

/* True if the task must wait for others of its client: it runs when they are done. False: it is its turn. */
bool task_must_wait(struct script_task *task);
/* The task has become another one of the same client, which comes before those that wait. */
void task_replace(struct script_task *task, struct script_task *by);
/* The task is done: runs the next of its client, and all others whose turn has come. */
void task_done(struct script *script, struct script_task *task);
/* Drops all that wait for the task that the client has now; NULL is allowed. */
void task_drop_followers(struct mw_client *client);

VISIBILITY_POP

#endif
