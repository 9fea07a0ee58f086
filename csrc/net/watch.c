#include "net/watch.h"

#include "base/memory.h"
#include "base/status.h"

/* An error is for the owner to find, at its next use of the descriptor. */
static void watch_on_event(uv_poll_t *uv, int status, int events) {
  (void)status;
  (void)events;
  struct watch *watch = container_of(uv, struct watch, uv);
  watch->on_ready(watch->context);
}

static void watch_on_closed(uv_handle_t *handle) {
  struct watch *watch = container_of((uv_poll_t *)handle, struct watch, uv);
  loop_handle_closed(watch->loop);
  memory_free(watch);
}

int watch_new(struct watch **out, struct loop *loop, int fd, enum mw_readiness readiness, void (*on_ready)(void *context),
              void *context) {
  static const int events[] = {
      [MW_READABLE] = UV_READABLE, [MW_WRITABLE] = UV_WRITABLE, [MW_READABLE_OR_WRITABLE] = UV_READABLE | UV_WRITABLE};
  struct watch *watch = memory_calloc(1, sizeof *watch);
  if (!watch) return MW_ENOMEM;
  list_init(&watch->link);
  watch->loop = loop;
  watch->on_ready = on_ready;
  watch->context = context;
  int status = uv_poll_init(loop->uv, &watch->uv, fd);
  if (status < 0) {
    memory_free(watch);
    return status;
  }
  loop_opened(loop);
  status = uv_poll_start(&watch->uv, events[readiness], watch_on_event);
  if (status < 0) {
    watch_free(watch);
    return status;
  }
  *out = watch;
  return 0;
}

void watch_free(struct watch *watch) {
  if (!watch) return;
  list_remove(&watch->link);
  uv_close((uv_handle_t *)&watch->uv, watch_on_closed);
}
