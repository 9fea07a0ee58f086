/* Runs what is done for one client in order: one task at a time. On the script's thread. */
#ifndef MOONWIRE_SCRIPT_TASK_H
#define MOONWIRE_SCRIPT_TASK_H

#include "app/script_job.h"

VISIBILITY_PUSH

struct script;

struct script_task_class {
  /* Called when its turn has come. */
  void (*run)(struct script *script, struct script_task *task);
  /* Frees it: the script ends, and its turn will not come. */
  void (*drop)(struct script_task *task);
};

/* Returns true if the task must wait for others of its client: it runs when they are done. Returns
 * false if it may begin. */
bool task_must_wait(struct script_task *task);
/* Replaces a task by another one of the same client, which comes before those that wait. */
void task_replace(struct script_task *task, struct script_task *by);
/* Ends the task: runs the next of its client, and all others whose turn has come. */
void task_done(struct script *script, struct script_task *task);
/* Drops all tasks that wait for the client's current one. NULL is allowed. */
void task_drop_followers(struct mw_client *client);

VISIBILITY_POP

#endif
