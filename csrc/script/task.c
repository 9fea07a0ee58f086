#include "script/task.h"

#include "script/script.h"

static struct script_task *first_of(struct list *list) { return container_of(list->next, struct script_task, link); }

bool task_must_wait(struct script_task *task) {
  struct mw_client *client = task->client;
  if (!client || client->task == task) return false;
  if (client->task) {
    list_append(&client->task->followers, &task->link);
    return true;
  }
  client->task = task;
  return false;
}

static void move_followers(struct script_task *from, struct script_task *to) {
  while (!list_empty(&from->followers)) {
    struct list *link = from->followers.next;
    list_remove(link);
    list_append(&to->followers, link);
  }
}

void task_replace(struct script_task *task, struct script_task *by) {
  struct mw_client *client = task->client;
  if (!client || client->task != task) return;
  move_followers(task, by);
  client->task = by;
}

/* One after the other, not one inside the other: there may be thousands, each answered
 * immediately. */
static void run_ready(struct script *script) {
  if (script->runs_ready) return;
  script->runs_ready = true;
  while (!list_empty(&script->ready)) {
    struct script_task *next = first_of(&script->ready);
    list_remove(&next->link);
    next->class->run(script, next);
  }
  script->runs_ready = false;
}

void task_done(struct script *script, struct script_task *task) {
  struct mw_client *client = task->client;
  if (client && client->task == task) {
    client->task = NULL;
    if (!list_empty(&task->followers)) {
      struct script_task *next = first_of(&task->followers);
      list_remove(&next->link);
      move_followers(task, next);
      client->task = next;
      list_append(&script->ready, &next->link);
    }
  }
  run_ready(script);
}

void task_drop_followers(struct mw_client *client) {
  while (client && client->task && !list_empty(&client->task->followers)) {
    struct script_task *task = first_of(&client->task->followers);
    list_remove(&task->link);
    task->class->drop(task);
  }
}
