#include "net/work.h"

#include "base/memory.h"
#include "base/status.h"

struct work {
  uv_work_t uv;
  struct works *works;
  struct list link; /* while it waits */
  bool is_waiting;
  void (*run)(void *context);
  void (*on_done)(void *context, int status);
  void *context;
};

static void work_end(struct work *work, int status) {
  void (*on_done)(void *context, int status) = work->on_done;
  void *context = work->context;
  memory_free(work);
  on_done(context, status);
}

static void work_on_run(uv_work_t *uv) {
  struct work *work = container_of(uv, struct work, uv);
  work->run(work->context);
}

static void work_on_ran(uv_work_t *uv, int status);

static int work_begin(struct work *work) {
  struct loop *loop = work->works->loop;
  int status = uv_queue_work(loop->uv, &work->uv, work_on_run, work_on_ran);
  if (status < 0) return status;
  loop_opened(loop);
  work->works->running_count++;
  return 0;
}

static void work_unlink(struct work *work) {
  list_remove(&work->link);
  work->is_waiting = false;
  work->works->waiting_count--;
}

static void works_begin_next(struct works *works) {
  while (works->running_count < WORK_RUNNING_MAX && !list_empty(&works->waiting)) {
    struct work *work = container_of(works->waiting.next, struct work, link);
    work_unlink(work);
    int status = work_begin(work);
    if (status < 0) work_end(work, status);
  }
}

static void work_on_ran(uv_work_t *uv, int status) {
  struct work *work = container_of(uv, struct work, uv);
  struct works *works = work->works;
  struct loop *loop = works->loop;
  works->running_count--;
  works_begin_next(works);
  work_end(work, status);
  loop_handle_closed(loop); /* may free `works` */
}

void works_init(struct works *works, struct loop *loop) {
  *works = (struct works){.loop = loop};
  list_init(&works->waiting);
}

void works_close(struct works *works) {
  works->closed = true;
  while (!list_empty(&works->waiting)) work_cancel(container_of(works->waiting.next, struct work, link));
}

int work_start(struct work **out, struct works *works, void (*run)(void *context), void (*on_done)(void *context, int status),
               void *context) {
  if (works->closed) return MW_ECLOSED;
  if (works->waiting_count >= MW_WORK_WAITING_MAX) return MW_EUNAVAILABLE;
  struct work *work = memory_calloc(1, sizeof *work);
  if (!work) return MW_ENOMEM;
  work->works = works;
  work->run = run;
  work->on_done = on_done;
  work->context = context;
  if (works->running_count < WORK_RUNNING_MAX) {
    int status = work_begin(work);
    if (status < 0) {
      memory_free(work);
      return status;
    }
  } else {
    list_append(&works->waiting, &work->link);
    work->is_waiting = true;
    works->waiting_count++;
  }
  *out = work;
  return 0;
}

void work_cancel(struct work *work) {
  if (!work->is_waiting) return;
  work_unlink(work);
  work_end(work, MW_ECLOSED);
}
