#define _DEFAULT_SOURCE /* syscall */
#include "net/stream.h"

#include <assert.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#ifdef __linux__
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include "base/list.h"
#include "base/memory.h"
#include "base/status.h"
#include "net/stream_peer.h"

enum { KEEPALIVE_SECONDS = 60, KEEPALIVE_AGAIN_SECONDS = 15 };

struct write {
  uv_write_t request;
  uv_buf_t buffers[STREAM_SLICES_MAX];
};

static uv_handle_t *handle_of(struct stream *stream) { return (uv_handle_t *)&stream->uv.stream; }
/* Returns the functions of a stream that does not belong to libuv, or NULL. */
static const struct stream_ops *ops_of(const struct stream *stream) {
  return stream->uv.stream.type == UV_ASYNC ? stream->uv.own.ops : NULL;
}
static struct stream *stream_of(void *handle) { return container_of(handle, struct stream, uv); }

size_t stream_size(enum stream_kind kind) {
  size_t size = offsetof(struct stream, uv) + (kind == STREAM_UNIX ? sizeof(uv_pipe_t) : sizeof(uv_tcp_t));
  return size > sizeof(struct stream) ? size : sizeof(struct stream);
}

int stream_init(struct stream *stream, struct stream_owner *owner, enum stream_kind kind) {
  stream->owner = owner;
  int status = UV_EINVAL;
  switch (kind) {
    case STREAM_TCP: status = uv_tcp_init(owner->loop->uv, &stream->uv.tcp); break;
    case STREAM_UNIX: status = uv_pipe_init(owner->loop->uv, (uv_pipe_t *)&stream->uv.stream, 0); break;
    case STREAM_MEMORY: status = memory_stream_init(stream); break;
  }
  if (status == 0) loop_opened(owner->loop);
  return status;
}

int stream_adopt(struct stream *stream, enum stream_kind kind, int fd) {
  return kind == STREAM_UNIX ? uv_pipe_open((uv_pipe_t *)&stream->uv.stream, fd) : uv_tcp_open(&stream->uv.tcp, fd);
}

/* libuv asks once a second (TCP_KEEPINTVL). With a user timeout that is shorter than the time until the
 * first question, Linux resets the connection when the second is due: a phone whose radio sleeps does not
 * answer within a second. */
static void set_keepalive(struct stream *stream) {
  uv_tcp_keepalive(&stream->uv.tcp, 1, KEEPALIVE_SECONDS);
#ifdef TCP_KEEPINTVL
  uv_os_fd_t fd;
  int seconds = KEEPALIVE_AGAIN_SECONDS;
  if (uv_fileno(handle_of(stream), &fd) == 0) setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &seconds, sizeof seconds);
#endif
}

void stream_set_options(struct stream *stream, uint64_t user_timeout_ms) {
  if (stream->uv.stream.type != UV_TCP) return;
  /* A failure only makes writing or detection slower; the first read reports a peer that has
   * disconnected. */
  uv_tcp_nodelay(&stream->uv.tcp, 1);
  set_keepalive(stream);
#ifdef TCP_USER_TIMEOUT
  uv_os_fd_t fd;
  unsigned timeout = user_timeout_ms > INT32_MAX ? INT32_MAX : (unsigned)user_timeout_ms;
  if (uv_fileno(handle_of(stream), &fd) == 0) setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout, sizeof timeout);
#else
  (void)user_timeout_ms;
#endif
}

void stream_remote(const struct stream *stream, char *out, size_t out_size) {
  struct sockaddr_storage address;
  int len = sizeof address;
  const struct stream_ops *ops = ops_of(stream);
  bool is_tcp = stream->uv.stream.type == UV_TCP;
  if (is_tcp && uv_tcp_getpeername(&stream->uv.tcp, (struct sockaddr *)&address, &len) == 0) {
    if (address.ss_family == AF_INET && uv_ip4_name((struct sockaddr_in *)&address, out, out_size) == 0) return;
    if (address.ss_family == AF_INET6 && uv_ip6_name((struct sockaddr_in6 *)&address, out, out_size) == 0) return;
  }
  snprintf(out, out_size, "%s", ops ? ops->remote(stream) : is_tcp ? "unknown" : "unix");
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer) {
  (void)suggested;
  struct stream *stream = stream_of(handle);
  struct stream_owner *owner = stream->owner;
  /* libuv reads up to 32 times in a row. A buffer without room stops that (UV_ENOBUFS), and the
   * next poll reports the rest. */
  bool may_read = !owner->may_read || owner->may_read(stream);
  *buffer = uv_buf_init(owner->read_buffer, may_read ? (unsigned)owner->read_buffer_size : 0);
}

static void stream_on_read(uv_stream_t *handle, ssize_t len, const uv_buf_t *buffer) {
  struct stream *stream = stream_of(handle);
  /* The poll may have lasted a second since the turn before it, and deadlines are counted from
   * here. */
  clock_update(&stream->owner->loop->clock);
  const struct loop *before = loop_enter(stream->owner->loop);
  if (len > 0) {
    stream->owner->on_read(stream, bytes_of(buffer->base, (size_t)len));
  } else if (len < 0 && len != UV_ENOBUFS) {
    uv_read_stop(handle);
    stream->owner->on_end(stream, (int)len);
  }
  loop_leave(before);
}

int stream_read_start(struct stream *stream) {
  if (ops_of(stream)) {
    ops_of(stream)->read(stream, true);
    return 0;
  }
  int status = uv_read_start(&stream->uv.stream, on_alloc, stream_on_read);
  return status == UV_EALREADY ? 0 : status;
}

void stream_read_stop(struct stream *stream) {
  if (ops_of(stream)) {
    ops_of(stream)->read(stream, false);
  } else {
    uv_read_stop(&stream->uv.stream);
  }
}

static void fill(uv_buf_t *buffers, const struct bytes *slices, size_t count) {
  assert(count <= STREAM_SLICES_MAX);
  for (size_t i = 0; i < count; i++) buffers[i] = uv_buf_init((char *)(uintptr_t)slices[i].ptr, (unsigned)slices[i].len);
}

/* As uv_try_write, in a third of the instructions. In a process with threads, the C library's functions
 * let each call be cancelled, which no thread here ever is. The kernel does less for sendto than for
 * write, which serves files as well. */
static ptrdiff_t write_now(struct stream *stream, const struct bytes *slices, size_t count) {
#ifdef __linux__
  static_assert(sizeof(struct bytes) == sizeof(struct iovec) && offsetof(struct bytes, len) == offsetof(struct iovec, iov_len),
                "slices are handed over as they are");
  uv_os_fd_t fd;
  ptrdiff_t written;
  int status = uv_fileno(handle_of(stream), &fd);
  if (status < 0) return status;
  if (uv_stream_get_write_queue_size(&stream->uv.stream) > 0) return 0;
  do {
    written = count == 1 ? syscall(SYS_sendto, fd, slices->ptr, slices->len, MSG_NOSIGNAL, NULL, 0)
                         : syscall(SYS_writev, fd, slices, count);
  } while (written < 0 && errno == EINTR);
  if (written >= 0) return written;
  return errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS ? 0 : uv_translate_sys_error(errno);
#else
  uv_buf_t buffers[STREAM_SLICES_MAX];
  fill(buffers, slices, count);
  int written = uv_try_write(&stream->uv.stream, buffers, (unsigned)count);
  return written == UV_EAGAIN ? 0 : written;
#endif
}

ptrdiff_t stream_try_write(struct stream *stream, const struct bytes *slices, size_t count) {
  assert(count <= STREAM_SLICES_MAX);
  return ops_of(stream) ? ops_of(stream)->try_write(stream, slices, count) : write_now(stream, slices, count);
}

static void on_written(uv_write_t *request, int status) {
  struct stream *stream = stream_of(request->handle);
  memory_free(container_of(request, struct write, request));
  stream->owner->on_written(stream, status);
}

int stream_write(struct stream *stream, const struct bytes *slices, size_t count) {
  if (ops_of(stream)) return ops_of(stream)->write(stream, slices, count);
  struct write *write = memory_alloc(sizeof *write);
  if (!write) return MW_ENOMEM;
  fill(write->buffers, slices, count);
  int status = uv_write(&write->request, &stream->uv.stream, write->buffers, (unsigned)count, on_written);
  if (status < 0) memory_free(write);
  return status;
}

size_t stream_unwritten(const struct stream *stream) {
  if (ops_of(stream)) return ops_of(stream)->unwritten(stream);
  size_t waiting = uv_stream_get_write_queue_size(&stream->uv.stream);
#ifdef TIOCOUTQ
  /* A system may hold megabytes for a slow peer, and accept more only when a third of them is gone.
   * A peer that still reads them is not dead. */
  uv_os_fd_t fd;
  int held = 0;
  if (uv_fileno((const uv_handle_t *)&stream->uv.stream, &fd) == 0 && ioctl(fd, TIOCOUTQ, &held) == 0 && held > 0)
    waiting += (size_t)held;
#endif
  return waiting;
}

bool stream_has_unread(const struct stream *stream) {
#ifdef FIONREAD
  uv_os_fd_t fd;
  int unread = 0;
  if (ops_of(stream) || uv_fileno((const uv_handle_t *)&stream->uv.stream, &fd) < 0) return false;
  return ioctl(fd, FIONREAD, &unread) == 0 && unread > 0;
#else
  (void)stream;
  return false;
#endif
}

/* Calls the system directly: no write is queued here, and uv_shutdown would need memory. */
void stream_end(struct stream *stream) {
  uv_os_fd_t fd;
  if (ops_of(stream)) {
    ops_of(stream)->end(stream);
    return;
  }
  if (uv_fileno(handle_of(stream), &fd) == 0) shutdown(fd, SHUT_WR);
}

static void stream_on_closed(uv_handle_t *handle) {
  struct stream *stream = stream_of(handle);
  struct loop *loop = stream->owner->loop;
  if (ops_of(stream)) ops_of(stream)->closed(stream);
  stream->owner->on_closed(stream);
  loop_handle_closed(loop);
}

void stream_close(struct stream *stream) {
  if (uv_is_closing(handle_of(stream))) return;
  if (ops_of(stream)) ops_of(stream)->closing(stream, false);
  uv_close(handle_of(stream), stream_on_closed);
}

void stream_abort(struct stream *stream) {
  if (uv_is_closing(handle_of(stream))) return;
  if (ops_of(stream)) ops_of(stream)->closing(stream, true);
  if (stream->uv.stream.type == UV_TCP && uv_tcp_close_reset(&stream->uv.tcp, stream_on_closed) == 0) return;
  stream_close(stream);
}

bool stream_is_closing(const struct stream *stream) { return uv_is_closing((const uv_handle_t *)&stream->uv.stream); }
