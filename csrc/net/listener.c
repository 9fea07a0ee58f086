#if defined(__linux__)
#define _GNU_SOURCE /* accept4 */
#endif

#include "net/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/error.h"
#include "base/memory.h"

/* ACCEPTS_MAX bounds the peers that are accepted in a row, so that other work gets its turn. */
enum { BACKLOG = 4096, DEFAULT_UNIX_MODE = 0660, ACCEPTS_MAX = 64, SHED_MAX = 4096 };

static const char unix_prefix[] = "unix:";

static int listener_fail(struct mw_error *error, int status, const char *address, const char *what) {
  const char *hint = status == UV_EMFILE ? "; raise ulimit -n" : "";
  return error_set(error, status, "cannot listen on \"%.100s\": %s%s", address, what, hint);
}

/* Splits "HOST:PORT", and removes the brackets around an IPv6 address. Returns NULL, or what is
 * wrong. */
static const char *listener_split(const char *address, char host[128], char port[8]) {
  static const char bad_form[] = "an address must be HOST:PORT, [IPV6]:PORT, or unix:PATH";
  const char *colon = strrchr(address, ':');
  if (!colon || colon == address) return bad_form;
  size_t len = (size_t)(colon - address);
  bool bracketed = address[0] == '[' && address[len - 1] == ']';
  if (bracketed) address++, len -= 2;
  if (len == 0 || len >= 128 || (!bracketed && memchr(address, ':', len))) return bad_form;
  uint64_t number = 0;
  bool is_port = strlen(colon + 1) <= 5 && bytes_to_u64(bytes_string(colon + 1), &number) && number <= 65535;
  if (!is_port) return "the port must be a number from 0 to 65535";
  memcpy(host, address, len);
  host[len] = '\0';
  snprintf(port, 8, "%u", (unsigned)number);
  return NULL;
}

static bool is_unix(const char *address) { return strncmp(address, unix_prefix, sizeof unix_prefix - 1) == 0; }

int mw_address_check(const char *address, struct mw_error *error) {
  char host[128], port[8];
  const char *path = address + sizeof unix_prefix - 1, *fault = NULL;
  struct sockaddr_un limit;
  if (!is_unix(address)) {
    fault = listener_split(address, host, port);
  } else if (*path == '\0') {
    fault = "missing path";
  } else if (strlen(path) >= sizeof limit.sun_path) {
    fault = "path too long for a unix socket";
  }
  return fault ? listener_fail(error, MW_EINVAL, address, fault) : 0;
}

static void format_address(struct listener *listener, const char *host) {
  struct sockaddr_storage bound;
  socklen_t len = sizeof bound;
  unsigned port = 0;
  if (getsockname(listener->fd, (struct sockaddr *)&bound, &len) == 0) {
    port = ntohs(bound.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&bound)->sin6_port
                                             : ((struct sockaddr_in *)&bound)->sin_port);
  }
  snprintf(listener->address, sizeof listener->address, strchr(host, ':') ? "[%s]:%u" : "%s:%u", host, port);
}

/* Returns the status of libuv for errno. */
static int last_status(void) { return uv_translate_sys_error(errno); }

static int open_socket(int family) {
  int fd = socket(family, SOCK_STREAM, 0);
  if (fd >= 0) fcntl(fd, F_SETFD, FD_CLOEXEC);
  return fd;
}

static int bind_tcp(struct listener *listener, const char *address, struct mw_error *error) {
  char host[128], port[8];
  listener_split(address, host, port);
  uv_getaddrinfo_t lookup;
  struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
  int status = uv_getaddrinfo(listener->loop->uv, &lookup, NULL, host, port, &hints), on = 1;
  if (status < 0) return listener_fail(error, status, address, uv_strerror(status));
  const struct addrinfo *found = lookup.addrinfo;
  listener->fd = open_socket(found->ai_family);
  bool bound = listener->fd >= 0 && setsockopt(listener->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
               bind(listener->fd, found->ai_addr, found->ai_addrlen) == 0 && listen(listener->fd, BACKLOG) == 0;
  status = bound ? 0 : last_status();
  uv_freeaddrinfo(lookup.addrinfo);
  if (status < 0) return listener_fail(error, status, address, uv_strerror(status));
  format_address(listener, host);
  return 0;
}

/* Removes a stale socket. Returns NULL, or the reason why the path cannot be used. */
static const char *remove_stale(const char *path) {
  struct stat file;
  if (lstat(path, &file) < 0) return NULL;
  if (!S_ISSOCK(file.st_mode)) return "the file exists and is not a socket";
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  if (fd < 0) return "cannot check whether another process listens there: socket() failed";
  /* A refused connection means stale. With any other failure, such as a full queue or a lack of
   * permission, a process is listening. */
  fcntl(fd, F_SETFL, O_NONBLOCK);
  bool alive = connect(fd, (struct sockaddr *)&address, sizeof address) == 0 || errno != ECONNREFUSED;
  close(fd);
  if (alive) return "another process is listening there";
  return unlink(path) == 0 ? NULL : "cannot remove the stale socket";
}

/* Removes the file of a unix socket, unless it belongs to another server that has replaced ours in
 * the meantime. While our socket is open, no other file can have its inode. */
static void remove_own(const struct listener *listener) {
  struct stat file;
  const char *path = listener->address + sizeof unix_prefix - 1;
  if (listener->kind != STREAM_UNIX || !listener->address[0] || lstat(path, &file) < 0) return;
  if (file.st_dev == listener->device && file.st_ino == listener->inode) unlink(path);
}

static int bind_unix(struct listener *listener, const char *address, unsigned mode, struct mw_error *error) {
  const char *path = address + sizeof unix_prefix - 1;
  const char *fault = remove_stale(path);
  if (fault) return listener_fail(error, MW_EINVAL, address, fault);
  struct sockaddr_un bound = {.sun_family = AF_UNIX};
  snprintf(bound.sun_path, sizeof bound.sun_path, "%s", path);
  listener->fd = open_socket(AF_UNIX);
  if (listener->fd < 0 || bind(listener->fd, (struct sockaddr *)&bound, sizeof bound) < 0) {
    int status = last_status();
    return listener_fail(error, status, address, uv_strerror(status));
  }
  snprintf(listener->address, sizeof listener->address, "%s", address);
  struct stat file;
  if (lstat(path, &file) == 0) {
    listener->device = file.st_dev;
    listener->inode = file.st_ino;
  }
  /* Peers cannot connect before listen, so none connects with other permissions. */
  bool is_set = chmod(path, mode ? mode : DEFAULT_UNIX_MODE) == 0;
  if (is_set && listen(listener->fd, BACKLOG) == 0) return 0;
  int status = is_set ? last_status() : MW_EINVAL;
  remove_own(listener);
  return listener_fail(error, status, address, is_set ? uv_strerror(status) : "cannot set its permissions");
}

/* ---- Accepting ------------------------------------------------------------------------------- */

static int accept_peer(int fd) {
#if defined(__linux__)
  return accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
#else
  int peer = accept(fd, NULL, NULL);
  if (peer >= 0) fcntl(peer, F_SETFD, FD_CLOEXEC);
  return peer;
#endif
}

static bool is_closing(struct listener *listener) { return uv_is_closing((uv_handle_t *)&listener->poll); }

static void on_readable(uv_poll_t *poll, int status, int events);

static void on_pause_over(uv_timer_t *pause) {
  struct listener *listener = container_of(pause, struct listener, pause);
  if (!is_closing(listener)) uv_poll_start(&listener->poll, UV_READABLE, on_readable);
}

/* Stops polling for a while, because waiting peers that cannot be accepted would be reported again
 * immediately. */
static void fail_to_accept(struct listener *listener, int status) {
  listener->on_connection(listener, status);
  if (is_closing(listener)) return;
  uv_poll_stop(&listener->poll);
  uv_timer_start(&listener->pause, on_pause_over, LISTENER_PAUSE_MS, 0);
}

static void on_readable(uv_poll_t *poll, int status, int events) {
  struct listener *listener = container_of(poll, struct listener, poll);
  (void)events;
  clock_update(&listener->loop->clock); /* as before reading: deadlines are counted from here */
  for (int i = 0; i < ACCEPTS_MAX && status == 0 && !is_closing(listener); i++) {
    listener->accepted = accept_peer(listener->fd);
    if (listener->accepted >= 0) {
      listener->on_connection(listener, 0);
      listener_refuse(listener); /* unless it was accepted */
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      return;
    } else if (errno != EINTR && errno != ECONNABORTED) {
      status = last_status();
    }
  }
  if (status < 0 && !is_closing(listener)) fail_to_accept(listener, status);
}

int listener_accept(struct listener *listener, struct stream *stream) {
  int status = stream_adopt(stream, listener->kind, listener->accepted);
  if (status == 0) listener->accepted = -1;
  return status;
}

int listener_take(struct listener *listener) {
  int fd = listener->accepted;
  listener->accepted = -1;
  return fd;
}

void listener_refuse(struct listener *listener) {
  if (listener->accepted >= 0) close(listener->accepted);
  listener->accepted = -1;
}

void listener_shed(struct listener *listener) {
  if (listener->reserve >= 0) close(listener->reserve);
  int peer;
  for (int i = 0; i < SHED_MAX && (peer = accept_peer(listener->fd)) >= 0; i++) close(peer);
  listener->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* ---- Life ------------------------------------------------------------------------------------ */

static void listener_release(struct listener *listener) {
  struct loop *loop = listener->loop;
  if (--listener->handles_open == 0) {
    if (listener->reserve >= 0) close(listener->reserve);
    memory_free(listener);
  }
  loop_handle_closed(loop);
}

static void on_poll_closed(uv_handle_t *handle) { listener_release(container_of((uv_poll_t *)handle, struct listener, poll)); }
static void on_pause_closed(uv_handle_t *handle) { listener_release(container_of((uv_timer_t *)handle, struct listener, pause)); }

/* The listener has handles from here on. */
int listener_watch(struct listener *listener, struct loop *loop) {
  listener->loop = loop;
  int status = uv_poll_init(listener->loop->uv, &listener->poll, listener->fd);
  if (status < 0) return status;
  uv_timer_init(listener->loop->uv, &listener->pause);
  loop_opened(listener->loop);
  loop_opened(listener->loop);
  listener->handles_open = 2;
  uv_poll_start(&listener->poll, UV_READABLE, on_readable);
  return 0;
}

int listener_bind(struct listener **out, struct loop *loop, const char *address, unsigned unix_mode,
                  void (*callback)(struct listener *listener, int status), void *owner, struct mw_error *error) {
  int status = mw_address_check(address, error);
  if (status < 0) return status;
  struct listener *listener = memory_calloc(1, sizeof *listener);
  if (!listener) return listener_fail(error, MW_ENOMEM, address, "out of memory");
  list_init(&listener->link);
  listener->loop = loop;
  listener->kind = is_unix(address) ? STREAM_UNIX : STREAM_TCP;
  listener->on_connection = callback;
  listener->owner = owner;
  listener->fd = listener->accepted = -1;
  status = is_unix(address) ? bind_unix(listener, address, unix_mode, error) : bind_tcp(listener, address, error);
  if (status < 0) {
    if (listener->fd >= 0) close(listener->fd);
    memory_free(listener);
    return status;
  }
  listener->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
  *out = listener;
  return 0;
}

void listener_discard(struct listener *listener) {
  remove_own(listener);
  close(listener->fd);
  if (listener->reserve >= 0) close(listener->reserve);
  memory_free(listener);
}

int listener_new(struct listener **out, struct loop *loop, const char *address, unsigned unix_mode,
                 void (*callback)(struct listener *listener, int status), void *owner, struct mw_error *error) {
  struct listener *listener;
  int status = listener_bind(&listener, loop, address, unix_mode, callback, owner, error);
  if (status < 0) return status;
  status = listener_watch(listener, loop);
  if (status < 0) {
    listener_fail(error, status, address, uv_strerror(status));
    listener_discard(listener);
    return status;
  }
  *out = listener;
  return 0;
}

void listener_close(struct listener *listener) {
  list_remove(&listener->link);
  remove_own(listener);
  uv_close((uv_handle_t *)&listener->poll, on_poll_closed);
  uv_close((uv_handle_t *)&listener->pause, on_pause_closed);
  close(listener->fd);
}
