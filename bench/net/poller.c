#include "net/poller.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS = 1024 };

void die(const char *format, ...) {
  extern char *program_invocation_short_name;
  va_list arguments;
  fflush(stdout);
  fprintf(stderr, "%s: ", program_invocation_short_name);
  va_start(arguments, format);
  vfprintf(stderr, format, arguments);
  va_end(arguments);
  fputc('\n', stderr);
  exit(2);
}

uint64_t now_ns(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000U + (uint64_t)time.tv_nsec;
}

uint64_t raise_descriptor_limit(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_cur;
}

void poller_init(struct poller *poller) {
  *poller = (struct poller){.fd = epoll_create1(EPOLL_CLOEXEC), .scratch = malloc(POLLER_READ_MAX)};
  if (poller->fd < 0) die("epoll_create1: %s", strerror(errno));
  if (!poller->scratch) die("out of memory");
}

void poller_deinit(struct poller *poller) {
  close(poller->fd);
  free(poller->scratch);
}

/* ---- Connections ----------------------------------------------------------------------------- */

static void watch(struct conn *conn, int operation, uint32_t events) {
  struct epoll_event event = {.events = events, .data.ptr = conn};
  if (epoll_ctl(conn->poller->fd, operation, conn->fd, &event) != 0) die("epoll_ctl: %s", strerror(errno));
}

static void conn_init(struct conn *conn, struct poller *poller, int fd) {
  conn->fd = fd;
  conn->poller = poller;
  conn->is_connecting = conn->is_listener = conn->wants_write = false;
  buffer_init(&conn->in);
  buffer_init(&conn->out);
}

static int new_socket(void) {
  int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) die("socket: %s; 'ulimit -n' limits the number of connections", strerror(errno));
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  return fd;
}

void conn_connect(struct conn *conn, struct poller *poller, uint32_t address, uint16_t port) {
  struct sockaddr_in peer = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = address};
  conn_init(conn, poller, new_socket());
  conn->is_connecting = true;
  if (connect(conn->fd, (struct sockaddr *)&peer, sizeof(peer)) != 0 && errno != EINPROGRESS)
    die("connect to port %u: %s", port, strerror(errno));
  watch(conn, EPOLL_CTL_ADD, EPOLLOUT);
}

void conn_adopt(struct conn *conn, struct poller *poller, int fd) {
  conn_init(conn, poller, fd);
  watch(conn, EPOLL_CTL_ADD, EPOLLIN);
}

uint16_t conn_listen(struct conn *conn, struct poller *poller, uint16_t port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t len = sizeof(address);
  int on = 1;
  conn_init(conn, poller, new_socket());
  conn->is_listener = true;
  setsockopt(conn->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  if (bind(conn->fd, (struct sockaddr *)&address, len) != 0) die("bind to port %u: %s", port, strerror(errno));
  if (listen(conn->fd, 4096) != 0) die("listen: %s", strerror(errno));
  getsockname(conn->fd, (struct sockaddr *)&address, &len);
  watch(conn, EPOLL_CTL_ADD, EPOLLIN);
  return ntohs(address.sin_port);
}

void conn_close(struct conn *conn) {
  if (conn->fd < 0) return;
  close(conn->fd);
  conn->fd = -1;
  buffer_deinit(&conn->in);
  buffer_deinit(&conn->out);
}

static void fail(struct conn *conn, const char *reason) {
  conn_close(conn);
  conn->ops->on_closed(conn, reason);
}

static void set_wants_write(struct conn *conn, bool wants) {
  if (wants == conn->wants_write) return;
  conn->wants_write = wants;
  watch(conn, EPOLL_CTL_MOD, wants ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

/* A failed write is noticed by the next read, so that on_closed is called in one place. */
void conn_write(struct conn *conn, struct bytes bytes) {
  if (conn->fd < 0) return;
  if (!conn->is_connecting && conn->out.len == 0 && bytes.len > 0) {
    ssize_t written = send(conn->fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
    if (written < 0 && errno != EAGAIN) return;
    if (written > 0) bytes = bytes_of(bytes.ptr + written, bytes.len - (size_t)written);
  }
  if (bytes.len == 0) return;
  buffer_append(&conn->out, bytes);
  if (conn->out.failed) die("out of memory");
  if (!conn->is_connecting) set_wants_write(conn, true);
}

static void write_more(struct conn *conn) {
  ssize_t written = send(conn->fd, conn->out.data, conn->out.len, MSG_NOSIGNAL);
  if (written > 0) buffer_consume(&conn->out, (size_t)written);
  if (conn->out.len == 0 || (written < 0 && errno != EAGAIN)) set_wants_write(conn, false);
}

static void finish_connect(struct conn *conn) {
  int error = 0;
  socklen_t len = sizeof(error);
  getsockopt(conn->fd, SOL_SOCKET, SO_ERROR, &error, &len);
  if (error != 0) {
    fail(conn, strerror(error));
    return;
  }
  conn->is_connecting = false;
  conn->wants_write = conn->out.len > 0;
  watch(conn, EPOLL_CTL_MOD, conn->wants_write ? EPOLLIN | EPOLLOUT : EPOLLIN);
  if (conn->ops->on_connected) conn->ops->on_connected(conn);
}

/* ---- A turn ---------------------------------------------------------------------------------- */

static void accept_all(struct conn *conn) {
  for (;;) {
    int on = 1, fd = accept4(conn->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    conn->ops->on_accepted(conn, fd);
  }
}

/* Input is passed where it was read, unless the beginning of it came earlier. */
static void pass_input(struct conn *conn, char *data, size_t len) {
  if (conn->in.len == 0) {
    size_t used = conn->ops->on_input(conn, data, len);
    if (conn->fd >= 0 && used < len) buffer_append(&conn->in, bytes_of(data + used, len - used));
  } else {
    buffer_append(&conn->in, bytes_of(data, len));
    if (conn->in.failed) die("out of memory");
    size_t used = conn->ops->on_input(conn, conn->in.data, conn->in.len);
    if (conn->fd >= 0) buffer_consume(&conn->in, used);
  }
  if (conn->fd >= 0 && conn->in.failed) die("out of memory");
}

static void read_some(struct conn *conn) {
  ssize_t len = read(conn->fd, conn->poller->scratch, POLLER_READ_MAX);
  if (len > 0) {
    conn->poller->reads++;
    pass_input(conn, conn->poller->scratch, (size_t)len);
  } else if (len == 0) {
    fail(conn, "the peer closed the connection");
  } else if (errno != EAGAIN) {
    fail(conn, strerror(errno));
  }
}

static void handle(struct conn *conn, uint32_t events) {
  if (conn->fd < 0) return;
  if (conn->is_listener) {
    accept_all(conn);
    return;
  }
  if (conn->is_connecting) {
    finish_connect(conn);
    return;
  }
  if (events & EPOLLOUT) write_more(conn);
  if (events & (EPOLLIN | EPOLLERR | EPOLLHUP)) read_some(conn);
}

void poller_turn(struct poller *poller, int timeout_ms) {
  struct epoll_event events[EVENTS];
  int count = epoll_wait(poller->fd, events, EVENTS, timeout_ms);
  if (count < 0 && errno != EINTR) die("epoll_wait: %s", strerror(errno));
  for (int i = 0; i < count; i++) handle(events[i].data.ptr, events[i].events);
}
