#define _XOPEN_SOURCE 700

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "test/support.h"
#include "test/support/host.h"

void peer_connect(struct peer *peer, struct host *host) {
  struct sockaddr_un local = {.sun_family = AF_UNIX};
  struct sockaddr_in remote = {.sin_family = AF_INET};
  bool is_unix = strncmp(host->address, "unix:", 5) == 0;
  *peer = (struct peer){.fd = socket(is_unix ? AF_UNIX : AF_INET, SOCK_STREAM, 0)};
  assert_true(peer->fd >= 0);
  if (is_unix) {
    snprintf(local.sun_path, sizeof local.sun_path, "%s", host->address + 5);
    assert_int_equal(connect(peer->fd, (struct sockaddr *)&local, sizeof local), 0);
  } else {
    remote.sin_port = htons((uint16_t)atoi(strrchr(host->address, ':') + 1));
    remote.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(connect(peer->fd, (struct sockaddr *)&remote, sizeof remote), 0);
    /* The server must receive each send of the test when it is made, not together with later
     * ones. */
    setsockopt(peer->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
  }
}

void peer_send(struct peer *peer, const char *text) {
  size_t len = strlen(text);
  /* If the server has already closed, the test notices when it reads. */
  ssize_t sent = send(peer->fd, text, len, MSG_NOSIGNAL);
  assert_true(sent == (ssize_t)len || (sent < 0 && (errno == EPIPE || errno == ECONNRESET)));
}

void peer_get(struct peer *peer, const char *target, const char *fields) {
  char text[4096];
  assert_true(snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: test\r\n%s\r\n", target, fields) < (int)sizeof text);
  peer_send(peer, text);
}

bool peer_read(struct peer *peer, size_t max) {
  while (max > 0 && peer->fd >= 0 && !peer->ended) {
    if (peer->capacity - peer->len < 65537) {
      peer->capacity = peer->capacity * 2 + 65537;
      peer->in = realloc(peer->in, peer->capacity);
      peer->in[peer->len] = '\0'; /* even if nothing was received */
    }
    ssize_t len = recv(peer->fd, peer->in + peer->len, max < 65536 ? max : 65536, MSG_DONTWAIT);
    if (len < 0 && errno == EAGAIN) break;
    peer->ended = len <= 0;
    peer->reset = len < 0;
    if (len <= 0) break;
    peer->len += (size_t)len;
    peer->in[peer->len] = '\0';
    max -= (size_t)len;
  }
  return peer->ended;
}

bool peer_has(struct peer *peer, const char *text) {
  peer_read(peer, SIZE_MAX);
  return peer->len > 0 && strstr(peer->in, text);
}

bool peer_ended(struct peer *peer) { return peer_read(peer, SIZE_MAX); }

void peer_end_writing(struct peer *peer) { shutdown(peer->fd, SHUT_WR); }

void peer_close(struct peer *peer) {
  if (peer->fd >= 0) close(peer->fd);
  free(peer->in);
  free(peer->stream);
  *peer = (struct peer){.fd = -1};
}

size_t peer_count(const struct peer *peer, const char *text) {
  size_t count = 0, len = strlen(text);
  const char *at = peer->in, *end = at + peer->len;
  while (at && (size_t)(end - at) >= len && (at = memchr(at, text[0], (size_t)(end - at) - len + 1))) {
    bool found = memcmp(at, text, len) == 0;
    count += found;
    at += found ? len : 1;
  }
  return count;
}

/* Appends the data of all complete chunks. */
static void take_chunks(const char *at, const char *end, char *out) {
  for (;;) {
    char *rest;
    const char *line_end = strstr(at, "\r\n");
    if (!line_end) break;
    size_t len = strtoul(at, &rest, 16);
    assert_ptr_equal(rest, line_end);
    if ((size_t)(end - line_end) < len + 4 || len == 0) break;
    memcpy(out, line_end + 2, len);
    out += len;
    at = line_end + 2 + len;
    assert_memory_equal(at, "\r\n", 2);
    at += 2;
  }
  *out = '\0';
}

const char *peer_stream(struct peer *peer) {
  peer_read(peer, SIZE_MAX);
  if (peer->len == 0 || strncmp(peer->in, "HTTP/1.1 200 OK\r\n", 17) != 0) return NULL;
  char *body = strstr(peer->in, "\r\n\r\n");
  if (!body) return NULL;
  *body = '\0';
  bool chunked = strstr(peer->in, "Transfer-Encoding: chunked") != NULL;
  *body = '\r';
  body += 4;
  peer->stream = realloc(peer->stream, peer->len + 1);
  if (chunked) {
    take_chunks(body, peer->in + peer->len, peer->stream);
  } else {
    memcpy(peer->stream, body, (size_t)(peer->in + peer->len - body) + 1);
  }
  return peer->stream;
}

static char summary[1 << 20];

/* Appends one line of a complete event to the summary: its data, or a gap. */
static size_t summarize(const char *block, const char *end, size_t at) {
  static const char gap[] = "{\"channel\":\"";
  const char *event = strstr(block, "event: "), *data = strstr(block, "data: ");
  bool is_own = event && event < end && strncmp(event, "event: moonwire:gap\n", 20) == 0;
  if (!data || data > end) return at;
  data += strlen("data: ");
  const char *data_end = strchr(data, '\n');
  if (is_own) {
    assert_memory_equal(data, gap, strlen(gap));
    data += strlen(gap);
    data_end = strchr(data, '"');
  }
  assert_true(at + (size_t)(data_end - data) + 8 < sizeof summary);
  return at + (size_t)snprintf(summary + at, sizeof summary - at, is_own ? "gap(%.*s) " : "%.*s ", (int)(data_end - data), data);
}

const char *peer_events(struct peer *peer) {
  const char *at = peer_stream(peer);
  size_t len = 0;
  summary[0] = '\0';
  for (const char *end; at && (end = strstr(at, "\n\n")); at = end + 2) len = summarize(at, end, len);
  return summary;
}

const char *peer_last_id(struct peer *peer) {
  static char id[64];
  const char *at = peer_stream(peer);
  id[0] = '\0';
  /* A browser takes the id of a complete event. */
  for (const char *end; at && (end = strstr(at, "\n\n")); at = end + 2) {
    const char *line = strstr(at, "id: ");
    if (!line || line > end) continue;
    snprintf(id, sizeof id, "%.*s", (int)strcspn(line + 4, "\n"), line + 4);
  }
  return id;
}
