#include "net/stream_peer.h"

#include <assert.h>

#include "base/list.h"
#include "base/memory.h"
#include "base/status.h"

static struct stream_peer *peer_of(const struct stream *stream) { return stream->uv.own.peer; }

static void wake(struct stream_peer *peer) {
  if (peer->stream && !stream_is_closing(peer->stream)) uv_async_send(&peer->stream->uv.own.wake);
}

static void unref(struct stream_peer *peer) {
  if (--peer->refs > 0) return;
  buffer_deinit(&peer->up);
  buffer_deinit(&peer->down);
  memory_free(peer);
}

/* Frees the memory of an empty buffer, so that an idle connection has none. */
static void consume(struct buffer *buffer, size_t len) {
  buffer_consume(buffer, len);
  if (buffer->len == 0) buffer_deinit(buffer);
}

/* Takes what there is room for. Returns the number of bytes, MW_ENOMEM, or UV_EPIPE. */
static ptrdiff_t take(struct stream_peer *peer, const struct bytes *slices, size_t count) {
  size_t taken = 0;
  if (peer->is_closed) return UV_EPIPE;
  for (size_t i = 0; i < count && peer->down.len < STREAM_PEER_WINDOW; i++) {
    size_t room = STREAM_PEER_WINDOW - peer->down.len;
    size_t len = slices[i].len < room ? slices[i].len : room;
    buffer_append(&peer->down, bytes_of(slices[i].ptr, len));
    if (peer->down.failed) return MW_ENOMEM;
    taken += len;
  }
  return (ptrdiff_t)taken;
}

/* ---- The stream's side ----------------------------------------------------------------------- */

static void end_write(struct stream *stream, int status) {
  peer_of(stream)->is_writing = false;
  stream->owner->on_written(stream, status);
}

static void continue_write(struct stream *stream) {
  struct stream_peer *peer = peer_of(stream);
  ptrdiff_t taken = take(peer, &peer->slices[peer->slice_at], peer->slice_count - peer->slice_at);
  if (taken < 0) {
    end_write(stream, (int)taken);
    return;
  }
  size_t left = (size_t)taken;
  while (peer->slice_at < peer->slice_count && left >= peer->slices[peer->slice_at].len)
    left -= peer->slices[peer->slice_at++].len;
  if (peer->slice_at == peer->slice_count) {
    end_write(stream, 0);
  } else {
    struct bytes *slice = &peer->slices[peer->slice_at];
    *slice = bytes_of(slice->ptr + left, slice->len - left);
  }
}

/* The bytes are copied to the shared buffer, because a reader may write into it. */
static void deliver(struct stream *stream) {
  struct stream_peer *peer = peer_of(stream);
  struct stream_owner *owner = stream->owner;
  while (peer->is_reading && peer->up.len > 0 && !stream_is_closing(stream)) {
    if (owner->may_read && !owner->may_read(stream)) {
      wake(peer);
      return;
    }
    size_t len = peer->up.len < owner->read_buffer_size ? peer->up.len : owner->read_buffer_size;
    memcpy(owner->read_buffer, peer->up.data, len);
    consume(&peer->up, len);
    owner->on_read(stream, bytes_of(owner->read_buffer, len));
  }
  if (!peer->is_reading || !peer->is_finished || peer->is_notified || stream_is_closing(stream)) return;
  peer->is_notified = true;
  peer->is_reading = false;
  owner->on_end(stream, UV_EOF);
}

static void on_wake(uv_async_t *handle) {
  struct stream *stream = container_of(handle, struct stream, uv);
  struct stream_peer *peer = peer_of(stream);
  if (!peer) return;
  if (peer->is_writing) continue_write(stream);
  if (!stream_is_closing(stream)) deliver(stream);
}

static void read_on_or_stop(struct stream *stream, bool reading) {
  peer_of(stream)->is_reading = reading;
  if (reading) wake(peer_of(stream));
}

static ptrdiff_t try_write(struct stream *stream, const struct bytes *slices, size_t count) {
  struct stream_peer *peer = peer_of(stream);
  return peer->is_writing ? 0 : take(peer, slices, count);
}

static int write_all(struct stream *stream, const struct bytes *slices, size_t count) {
  struct stream_peer *peer = peer_of(stream);
  assert(!peer->is_writing && count <= STREAM_SLICES_MAX);
  memcpy(peer->slices, slices, count * sizeof *slices);
  peer->slice_at = 0;
  peer->slice_count = count;
  peer->is_writing = true;
  wake(peer);
  return 0;
}

static size_t unwritten(const struct stream *stream) {
  const struct stream_peer *peer = peer_of(stream);
  size_t bytes = 0;
  for (size_t i = peer->slice_at; peer->is_writing && i < peer->slice_count; i++) bytes += peer->slices[i].len;
  return bytes;
}

static void end_stream(struct stream *stream) { peer_of(stream)->is_ended = true; }

static void closing(struct stream *stream, bool reset) {
  struct stream_peer *peer = peer_of(stream);
  if (!peer) return;
  peer->is_ended = true;
  if (reset) buffer_clear(&peer->down);
}

static void closed(struct stream *stream) {
  struct stream_peer *peer = peer_of(stream);
  if (!peer) return;
  if (peer->is_writing) end_write(stream, UV_ECANCELED);
  peer->stream = NULL;
  unref(peer);
}

static const char *remote(const struct stream *stream) {
  const struct stream_peer *peer = peer_of(stream);
  return peer && peer->remote ? peer->remote : "memory";
}

const struct stream_ops memory_stream_ops = {.read = read_on_or_stop,
                                             .try_write = try_write,
                                             .write = write_all,
                                             .unwritten = unwritten,
                                             .end = end_stream,
                                             .remote = remote,
                                             .closing = closing,
                                             .closed = closed};

int memory_stream_init(struct stream *stream) {
  stream->uv.own.peer = NULL;
  stream->uv.own.ops = &memory_stream_ops;
  return uv_async_init(stream->owner->loop->uv, &stream->uv.own.wake, on_wake);
}

/* ---- The peer's side ------------------------------------------------------------------------- */

struct stream_peer *stream_peer_new(void) {
  struct stream_peer *peer = memory_calloc(1, sizeof *peer);
  if (!peer) return NULL;
  buffer_init(&peer->up);
  buffer_init(&peer->down);
  peer->refs = 1;
  return peer;
}

void stream_peer_join(struct stream_peer *peer, struct stream *stream) {
  assert(!peer->stream && peer->refs == 1);
  peer->refs++;
  peer->stream = stream;
  stream->uv.own.peer = peer;
}

int stream_peer_write(struct stream_peer *peer, struct bytes bytes) {
  if (peer->is_finished || !peer->stream || stream_is_closing(peer->stream)) return MW_ECLOSED;
  size_t len = peer->up.len;
  buffer_append(&peer->up, bytes);
  if (peer->up.failed) {
    peer->up.failed = false;
    peer->up.len = len;
    return MW_ENOMEM;
  }
  wake(peer);
  return 0;
}

size_t stream_peer_read(struct stream_peer *peer, char *out, size_t size) {
  size_t len = peer->down.len < size ? peer->down.len : size;
  if (len == 0) return 0;
  memcpy(out, peer->down.data, len);
  consume(&peer->down, len);
  wake(peer);
  return len;
}

bool stream_peer_ended(const struct stream_peer *peer) { return peer->down.len == 0 && (peer->is_ended || !peer->stream); }

void stream_peer_finish(struct stream_peer *peer) {
  peer->is_finished = true;
  wake(peer);
}

void stream_peer_close(struct stream_peer *peer) {
  peer->is_closed = true;
  stream_peer_finish(peer);
  unref(peer);
}
