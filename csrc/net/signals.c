#include "net/signals.h"

#include "base/memory.h"
#include "base/status.h"

static void on_signal(uv_signal_t *handle, int signum) {
  struct signal_watch *watch = container_of(handle, struct signal_watch, uv);
  watch->on_signal(watch->context, signum);
}

static void signals_on_closed(uv_handle_t *handle) {
  struct signal_watch *watch = container_of((uv_signal_t *)handle, struct signal_watch, uv);
  loop_handle_closed(watch->loop);
  memory_free(watch);
}

int signal_watch_new(struct signal_watch **out, struct loop *loop, int signum, void (*callback)(void *context, int signum),
                     void *context) {
  struct signal_watch *watch = memory_calloc(1, sizeof *watch);
  if (!watch) return MW_ENOMEM;
  list_init(&watch->link);
  watch->loop = loop;
  watch->on_signal = callback;
  watch->context = context;
  int status = uv_signal_init(loop->uv, &watch->uv);
  if (status < 0) {
    memory_free(watch);
    return status;
  }
  loop_opened(loop);
  status = uv_signal_start(&watch->uv, on_signal, signum);
  if (status < 0) {
    uv_close((uv_handle_t *)&watch->uv, signals_on_closed);
    return status;
  }
  *out = watch;
  return 0;
}

void signal_watch_free(struct signal_watch *watch) {
  list_remove(&watch->link);
  uv_close((uv_handle_t *)&watch->uv, signals_on_closed);
}
