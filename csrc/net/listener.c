#include "net/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/memory.h"

enum { BACKLOG = 4096, DEFAULT_UNIX_MODE = 0660 };

static const char unix_prefix[] = "unix:";

static int fail(struct mw_error *error, int status, const char *address, const char *what) {
  if (error) snprintf(error->text, sizeof error->text, "cannot listen on \"%.100s\": %s", address, what);
  return status;
}

/* Splits "HOST:PORT" into its parts; brackets around an IPv6 address are dropped. */
static bool split(const char *address, char host[128], char port[8]) {
  const char *colon = strrchr(address, ':');
  if (!colon || colon == address || strlen(colon + 1) == 0 || strlen(colon + 1) > 5) return false;
  size_t len = (size_t)(colon - address);
  bool bracketed = address[0] == '[' && address[len - 1] == ']';
  if (bracketed) address++, len -= 2;
  if (len == 0 || len >= 128 || (!bracketed && memchr(address, ':', len))) return false;
  uint64_t number;
  if (!bytes_to_u64(bytes_string(colon + 1), &number) || number > 65535) return false;
  memcpy(host, address, len);
  host[len] = '\0';
  snprintf(port, 8, "%s", colon + 1);
  return true;
}

static void format_address(struct listener *listener, const char *host) {
  struct sockaddr_storage bound;
  int len = sizeof bound;
  unsigned port = 0;
  if (uv_tcp_getsockname(&listener->uv.tcp, (struct sockaddr *)&bound, &len) == 0) {
    port = ntohs(bound.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&bound)->sin6_port
                                             : ((struct sockaddr_in *)&bound)->sin_port);
  }
  snprintf(listener->address, sizeof listener->address, strchr(host, ':') ? "[%s]:%u" : "%s:%u", host, port);
}

static void on_connection(uv_stream_t *handle, int status) {
  struct listener *listener = container_of(handle, struct listener, uv);
  clock_update(&listener->loop->clock); /* as when reading: deadlines are counted from here */
  listener->on_connection(listener, status);
}

static int bind_tcp(struct listener *listener, const char *address, struct mw_error *error) {
  char host[128], port[8];
  if (!split(address, host, port)) return fail(error, MW_EINVAL, address, "an address is HOST:PORT, [IPV6]:PORT or unix:PATH");
  uv_getaddrinfo_t lookup;
  struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
  int status = uv_getaddrinfo(listener->loop->uv, &lookup, NULL, host, port, &hints);
  if (status < 0) return fail(error, status, address, uv_strerror(status));
  status = uv_tcp_bind(&listener->uv.tcp, lookup.addrinfo->ai_addr, 0);
  uv_freeaddrinfo(lookup.addrinfo);
  if (status == 0) status = uv_listen(&listener->uv.stream, BACKLOG, on_connection);
  if (status < 0) return fail(error, status, address, uv_strerror(status));
  format_address(listener, host);
  return 0;
}

/* Removes a socket that nobody listens on any more. NULL, or why the path cannot be used. */
static const char *remove_stale(const char *path) {
  struct stat file;
  if (lstat(path, &file) < 0) return NULL;
  if (!S_ISSOCK(file.st_mode)) return "the file exists and is no socket";
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  if (fd < 0) return "no socket to try it with";
  /* Refused is stale. Anything else, such as a full queue or a lack of permission, is the sign of somebody. */
  fcntl(fd, F_SETFL, O_NONBLOCK);
  bool alive = connect(fd, (struct sockaddr *)&address, sizeof address) == 0 || errno != ECONNREFUSED;
  close(fd);
  if (alive) return "another process listens there";
  return unlink(path) == 0 ? NULL : "the stale socket there cannot be removed";
}

static int bind_unix(struct listener *listener, const char *address, unsigned mode, struct mw_error *error) {
  const char *path = address + sizeof unix_prefix - 1;
  struct sockaddr_un limit;
  if (*path == '\0') return fail(error, MW_EINVAL, address, "the path is missing");
  if (strlen(path) >= sizeof limit.sun_path) return fail(error, MW_EINVAL, address, "the path is too long for a unix socket");
  const char *fault = remove_stale(path);
  if (fault) return fail(error, MW_EINVAL, address, fault);
  int status = uv_pipe_bind(&listener->uv.pipe, path);
  if (status < 0) return fail(error, status, address, uv_strerror(status));
  /* Nobody can connect before it listens, so no peer slips in under other permissions. */
  if (chmod(path, mode ? mode : DEFAULT_UNIX_MODE) == 0)
    status = uv_listen(&listener->uv.stream, BACKLOG, on_connection);
  else
    status = MW_EINVAL;
  snprintf(listener->address, sizeof listener->address, "%s", address);
  if (status == 0) return 0;
  unlink(path);
  return fail(error, status, address, status == MW_EINVAL ? "its permissions cannot be set" : uv_strerror(status));
}

static void release(struct listener *listener) {
  struct loop *loop = listener->loop;
  if (--listener->handles_open == 0) memory_free(listener);
  loop_handle_closed(loop);
}

static void on_closed(uv_handle_t *handle) { release(container_of(handle, struct listener, uv)); }

int listener_new(struct listener **out, struct loop *loop, const char *address, unsigned unix_mode,
                 void (*callback)(struct listener *listener, int status), void *owner, struct mw_error *error) {
  struct listener *listener = memory_calloc(1, sizeof *listener);
  if (!listener) return fail(error, MW_ENOMEM, address, "no memory");
  bool is_unix = strncmp(address, unix_prefix, sizeof unix_prefix - 1) == 0;
  list_init(&listener->link);
  listener->loop = loop;
  listener->kind = is_unix ? STREAM_UNIX : STREAM_TCP;
  listener->on_connection = callback;
  listener->owner = owner;
  int status = is_unix ? uv_pipe_init(loop->uv, &listener->uv.pipe, 0) : uv_tcp_init(loop->uv, &listener->uv.tcp);
  if (status < 0) {
    memory_free(listener);
    return fail(error, status, address, uv_strerror(status));
  }
  loop_opened(loop);
  listener->handles_open = 1;
  status = is_unix ? bind_unix(listener, address, unix_mode, error) : bind_tcp(listener, address, error);
  if (status < 0) {
    uv_close((uv_handle_t *)&listener->uv.stream, on_closed);
    return status;
  }
  *out = listener;
  return 0;
}

int listener_accept(struct listener *listener, struct stream *stream) {
  return uv_accept(&listener->uv.stream, &stream->uv.stream);
}

static void on_refused_closed(uv_handle_t *handle) {
  struct listener *listener = container_of(handle, struct listener, refused);
  bool again = listener->refuses_next && !uv_is_closing((uv_handle_t *)&listener->uv.stream);
  listener->refuses_next = false;
  listener->refused.stream.type = UV_UNKNOWN_HANDLE;
  release(listener);
  if (again) listener_refuse(listener);
}

void listener_refuse(struct listener *listener) {
  listener->refuses_next = listener->refused.stream.type != UV_UNKNOWN_HANDLE;
  if (listener->refuses_next) return;
  int status = listener->kind == STREAM_UNIX ? uv_pipe_init(listener->loop->uv, &listener->refused.pipe, 0)
                                             : uv_tcp_init(listener->loop->uv, &listener->refused.tcp);
  if (status < 0) return;
  loop_opened(listener->loop);
  listener->handles_open++;
  uv_accept(&listener->uv.stream, &listener->refused.stream);
  uv_close((uv_handle_t *)&listener->refused.stream, on_refused_closed);
}

/* libuv removes a unix socket's file when its handle closes. */
void listener_close(struct listener *listener) {
  list_remove(&listener->link);
  uv_close((uv_handle_t *)&listener->uv.stream, on_closed);
}
