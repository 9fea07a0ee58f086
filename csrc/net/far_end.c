#include "net/far_end.h"

#include <assert.h>

#include "base/list.h"
#include "base/memory.h"
#include "base/status.h"

static struct far_end *far_of(const struct stream *stream) { return stream->uv.own.far; }

static void wake(struct far_end *far) {
  if (far->stream && !stream_is_closing(far->stream)) uv_async_send(&far->stream->uv.own.wake);
}

static void unref(struct far_end *far) {
  if (--far->refs > 0) return;
  buffer_deinit(&far->up);
  buffer_deinit(&far->down);
  memory_free(far);
}

/* An idle connection holds no buffers. */
static void consume(struct buffer *buffer, size_t len) {
  buffer_consume(buffer, len);
  if (buffer->len == 0) buffer_deinit(buffer);
}

/* Takes what there is room for. MW_ENOMEM, UV_EPIPE. */
static ptrdiff_t take(struct far_end *far, const struct bytes *slices, size_t count) {
  size_t taken = 0;
  if (far->is_gone) return UV_EPIPE;
  for (size_t i = 0; i < count && far->down.len < FAR_WINDOW; i++) {
    size_t room = FAR_WINDOW - far->down.len;
    size_t len = slices[i].len < room ? slices[i].len : room;
    buffer_append(&far->down, bytes_of(slices[i].ptr, len));
    if (far->down.failed) return MW_ENOMEM;
    taken += len;
  }
  return (ptrdiff_t)taken;
}

/* ---- The stream's side ---------------------------------------------------------------------------------------------------- */

static void end_write(struct stream *stream, int status) {
  far_of(stream)->is_writing = false;
  stream->owner->on_written(stream, status);
}

static void go_on_writing(struct stream *stream) {
  struct far_end *far = far_of(stream);
  ptrdiff_t taken = take(far, &far->slices[far->slice_at], far->slice_count - far->slice_at);
  if (taken < 0) {
    end_write(stream, (int)taken);
    return;
  }
  size_t left = (size_t)taken;
  while (far->slice_at < far->slice_count && left >= far->slices[far->slice_at].len) left -= far->slices[far->slice_at++].len;
  if (far->slice_at == far->slice_count) {
    end_write(stream, 0);
  } else {
    struct bytes *slice = &far->slices[far->slice_at];
    *slice = bytes_of(slice->ptr + left, slice->len - left);
  }
}

/* What is read is copied to the shared buffer, because a reader may write into it. */
static void deliver(struct stream *stream) {
  struct far_end *far = far_of(stream);
  struct stream_owner *owner = stream->owner;
  while (far->is_reading && far->up.len > 0 && !stream_is_closing(stream)) {
    if (owner->may_read && !owner->may_read(stream)) {
      wake(far);
      return;
    }
    size_t len = far->up.len < owner->read_buffer_size ? far->up.len : owner->read_buffer_size;
    memcpy(owner->read_buffer, far->up.data, len);
    consume(&far->up, len);
    owner->on_read(stream, bytes_of(owner->read_buffer, len));
  }
  if (!far->is_reading || !far->is_over || far->is_told || stream_is_closing(stream)) return;
  far->is_told = true;
  far->is_reading = false;
  owner->on_end(stream, UV_EOF);
}

static void on_wake(uv_async_t *handle) {
  struct stream *stream = container_of(handle, struct stream, uv);
  struct far_end *far = far_of(stream);
  if (!far) return;
  if (far->is_writing) go_on_writing(stream);
  if (!stream_is_closing(stream)) deliver(stream);
}

static void read_on_or_stop(struct stream *stream, bool reading) {
  far_of(stream)->is_reading = reading;
  if (reading) wake(far_of(stream));
}

static ptrdiff_t try_write(struct stream *stream, const struct bytes *slices, size_t count) {
  struct far_end *far = far_of(stream);
  return far->is_writing ? 0 : take(far, slices, count);
}

static int write_all(struct stream *stream, const struct bytes *slices, size_t count) {
  struct far_end *far = far_of(stream);
  assert(!far->is_writing && count <= STREAM_SLICES_MAX);
  memcpy(far->slices, slices, count * sizeof *slices);
  far->slice_at = 0;
  far->slice_count = count;
  far->is_writing = true;
  wake(far);
  return 0;
}

static size_t unwritten(const struct stream *stream) {
  const struct far_end *far = far_of(stream);
  size_t bytes = 0;
  for (size_t i = far->slice_at; far->is_writing && i < far->slice_count; i++) bytes += far->slices[i].len;
  return bytes;
}

static void end_stream(struct stream *stream) { far_of(stream)->is_ended = true; }

static void closing(struct stream *stream, bool reset) {
  struct far_end *far = far_of(stream);
  if (!far) return;
  far->is_ended = true;
  if (reset) buffer_clear(&far->down);
}

static void closed(struct stream *stream) {
  struct far_end *far = far_of(stream);
  if (!far) return;
  if (far->is_writing) end_write(stream, UV_ECANCELED);
  far->stream = NULL;
  unref(far);
}

static const char *remote(const struct stream *stream) {
  const struct far_end *far = far_of(stream);
  return far && far->remote ? far->remote : "memory";
}

const struct stream_ops far_stream_ops = {.read = read_on_or_stop,
                                          .try_write = try_write,
                                          .write = write_all,
                                          .unwritten = unwritten,
                                          .end = end_stream,
                                          .remote = remote,
                                          .closing = closing,
                                          .closed = closed};

int far_stream_init(struct stream *stream) {
  stream->uv.own.far = NULL;
  stream->uv.own.ops = &far_stream_ops;
  return uv_async_init(stream->owner->loop->uv, &stream->uv.own.wake, on_wake);
}

/* ---- The peer's side ------------------------------------------------------------------------------------------------------ */

struct far_end *far_end_new(void) {
  struct far_end *far = memory_calloc(1, sizeof *far);
  if (!far) return NULL;
  buffer_init(&far->up);
  buffer_init(&far->down);
  far->refs = 1;
  return far;
}

void far_end_join(struct far_end *far, struct stream *stream) {
  assert(!far->stream && far->refs == 1);
  far->refs++;
  far->stream = stream;
  stream->uv.own.far = far;
}

int far_end_write(struct far_end *far, struct bytes bytes) {
  if (far->is_over || !far->stream || stream_is_closing(far->stream)) return MW_ECLOSED;
  size_t len = far->up.len;
  buffer_append(&far->up, bytes);
  if (far->up.failed) {
    far->up.failed = false;
    far->up.len = len;
    return MW_ENOMEM;
  }
  wake(far);
  return 0;
}

size_t far_end_read(struct far_end *far, char *out, size_t size) {
  size_t len = far->down.len < size ? far->down.len : size;
  if (len == 0) return 0;
  memcpy(out, far->down.data, len);
  consume(&far->down, len);
  wake(far);
  return len;
}

bool far_end_ended(const struct far_end *far) { return far->down.len == 0 && (far->is_ended || !far->stream); }

void far_end_finish(struct far_end *far) {
  far->is_over = true;
  wake(far);
}

void far_end_close(struct far_end *far) {
  far->is_gone = true;
  far_end_finish(far);
  unref(far);
}
