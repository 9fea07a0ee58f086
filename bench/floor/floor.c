/* The bare limits of fan-out: a server that does nothing but write. GET /ws and /sse subscribe, and
 * what comes over GET /publish (a WebSocket) or POST /publish goes to everyone.
 *
 *   floor write      one write(2) for each message and subscriber
 *   floor joined     one write(2) for each subscriber and turn, with all messages of the turn
 *
 * It has no channels, no limits, and no history. A message waits only where a socket does not accept
 * it. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "codec/http/http_reader.h"
#include "codec/http/http_writer.h"
#include "codec/sse.h"
#include "codec/ws/ws_handshake.h"
#include "codec/ws/ws_reader.h"
#include "net/poller.h"

enum member_kind { MEMBER_REQUEST, MEMBER_WS, MEMBER_SSE, MEMBER_PUBLISHER, MEMBER_KINDS };

struct member {
  struct conn conn;
  struct floor *floor;
  enum member_kind kind;
  struct http_reader *http;       /* until the upgrade */
  struct ws_reader *frames;       /* of a publisher */
  struct member *previous, *next; /* of the same kind */
};

struct floor {
  struct poller poller;
  struct conn listener;
  bool is_joined;
  struct member lists[MEMBER_KINDS]; /* heads */
  struct member *ended;              /* freed after the turn */
  struct buffer turn[MEMBER_KINDS];  /* what subscribers of a kind are to receive */
};

static const struct http_limits http_limits = {.target = 1024, .head = 4096, .fields = 32, .body = 4 << 20};
static const struct ws_limits ws_limits = {.frame = 4 << 20, .message = 4 << 20};

/* ---- Members --------------------------------------------------------------------------------- */

static void member_unlink(struct member *member) {
  member->previous->next = member->next;
  member->next->previous = member->previous;
}

static void member_link(struct member *member, enum member_kind kind) {
  struct member *head = &member->floor->lists[kind];
  member->kind = kind;
  member->previous = head->previous;
  member->next = head;
  head->previous->next = member;
  head->previous = member;
}

static void member_become(struct member *member, enum member_kind kind) {
  member_unlink(member);
  member_link(member, kind);
}

static void member_end(struct member *member) {
  conn_close(&member->conn);
  member_unlink(member);
  member->next = member->floor->ended;
  member->floor->ended = member;
}

static void free_ended(struct floor *floor) {
  while (floor->ended) {
    struct member *member = floor->ended;
    floor->ended = member->next;
    http_reader_free(member->http);
    ws_reader_free(member->frames);
    free(member);
  }
}

/* ---- Fan-out --------------------------------------------------------------------------------- */

static void write_to_all(struct floor *floor, enum member_kind kind) {
  struct buffer *text = &floor->turn[kind];
  struct member *head = &floor->lists[kind];
  if (text->failed) die("out of memory");
  if (text->len > 0)
    for (struct member *member = head->next; member != head; member = member->next) conn_write(&member->conn, buffer_bytes(text));
  buffer_clear(text);
}

static void write_turn(struct floor *floor) {
  write_to_all(floor, MEMBER_WS);
  write_to_all(floor, MEMBER_SSE);
}

static bool has_members(const struct floor *floor, enum member_kind kind) {
  return floor->lists[kind].next != &floor->lists[kind];
}

static void encode_frame(struct buffer *out, struct bytes data) {
  char header[WS_HEADER_MAX];
  buffer_append(out, bytes_of(header, ws_frame_header(header, WS_OPCODE_TEXT, data.len)));
  buffer_append(out, data);
}

static void encode_event(struct buffer *out, struct bytes data) {
  struct buffer event;
  char head[CHUNK_HEAD_MAX];
  buffer_init(&event);
  sse_write(&event, &(struct sse_event){.data = data, .retry_ms = -1});
  buffer_append(out, bytes_of(head, http_chunk_head(head, event.len)));
  buffer_append(out, buffer_bytes(&event));
  buffer_append_string(out, "\r\n");
  buffer_deinit(&event);
}

static void floor_publish(struct floor *floor, struct bytes data) {
  if (has_members(floor, MEMBER_WS)) encode_frame(&floor->turn[MEMBER_WS], data);
  if (has_members(floor, MEMBER_SSE)) encode_event(&floor->turn[MEMBER_SSE], data);
  if (!floor->is_joined) write_turn(floor);
}

/* ---- Requests -------------------------------------------------------------------------------- */

static void answer(struct member *member, int status, const char *fields) {
  struct buffer out;
  buffer_init(&out);
  buffer_append_format(&out, "HTTP/1.1 %d %s\r\n%s\r\n", status, http_reason(status), fields);
  conn_write(&member->conn, buffer_bytes(&out));
  buffer_deinit(&out);
}

static void upgrade(struct member *member, const struct http_head *head) {
  char accept[WS_ACCEPT_LEN + 1], fields[128];
  struct bytes key;
  if (ws_handshake_check(head, &key).status != 0 || !ws_handshake_accept(accept, key)) {
    answer(member, 400, "Content-Length: 0\r\n");
    return;
  }
  snprintf(fields, sizeof(fields), "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n", accept);
  answer(member, 101, fields);
  bool is_publisher = bytes_equal(head->path, BYTES("/publish"));
  if (is_publisher && !(member->frames = ws_reader_new(&ws_limits))) die("out of memory");
  member_become(member, is_publisher ? MEMBER_PUBLISHER : MEMBER_WS);
}

static void respond(struct member *member) {
  const struct http_head *head = http_reader_head(member->http);
  if (head->upgrade) {
    upgrade(member, head);
  } else if (bytes_equal(head->path, BYTES("/sse"))) {
    answer(member, 200, "Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n");
    member_become(member, MEMBER_SSE);
  } else if (bytes_equal(head->path, BYTES("/publish"))) {
    floor_publish(member->floor, http_reader_body(member->http));
    answer(member, 200, "Content-Length: 0\r\n");
  } else {
    answer(member, 404, "Content-Length: 0\r\n");
  }
}

static size_t read_requests(struct member *member, const char *data, size_t len) {
  size_t used = 0;
  while (member->kind == MEMBER_REQUEST) {
    size_t part = 0;
    enum http_event event = http_reader_next(member->http, bytes_of(data + used, len - used), &part);
    used += part;
    if (event == HTTP_DONE) respond(member);
    if (event == HTTP_MORE) break;
    if (event == HTTP_ERROR) {
      member_end(member);
      break;
    }
  }
  return used;
}

static void read_published(struct member *member, char *data, size_t len) {
  for (size_t used = 0;;) {
    size_t part = 0;
    enum ws_event event = ws_reader_next(member->frames, data + used, len - used, &part);
    used += part;
    if (event == WS_MESSAGE) floor_publish(member->floor, ws_reader_payload(member->frames));
    if (event == WS_MORE) return;
    if (event == WS_CLOSE || event == WS_ERROR) {
      member_end(member);
      return;
    }
  }
}

/* What subscribers send is ignored. */
static size_t on_input(struct conn *conn, char *data, size_t len) {
  struct member *member = conn->owner;
  size_t used = 0;
  if (member->kind == MEMBER_REQUEST) used = read_requests(member, data, len);
  if (member->kind == MEMBER_PUBLISHER && used < len) read_published(member, data + used, len - used);
  return len;
}

static void on_closed(struct conn *conn, const char *reason) {
  (void)reason;
  member_end(conn->owner);
}

static void on_accepted(struct conn *listener, int fd) {
  static const struct conn_ops member_ops = {.on_input = on_input, .on_closed = on_closed};
  struct member *member = calloc(1, sizeof(*member));
  if (!member || !(member->http = http_reader_new(&http_limits))) die("out of memory");
  member->floor = listener->owner;
  member->conn.ops = &member_ops;
  member->conn.owner = member;
  member_link(member, MEMBER_REQUEST);
  conn_adopt(&member->conn, listener->poller, fd);
}

/* ---- The server ------------------------------------------------------------------------------ */

static volatile sig_atomic_t is_stopped;

static void on_signal(int number) {
  (void)number;
  is_stopped = 1;
}

/* The reader of the request is needed no more once a member is more than that. */
static void free_readers(struct floor *floor) {
  for (int kind = MEMBER_WS; kind < MEMBER_KINDS; kind++) {
    struct member *head = &floor->lists[kind];
    for (struct member *member = head->previous; member != head && member->http; member = member->previous) {
      http_reader_free(member->http);
      member->http = NULL;
    }
  }
}

static void floor_stop(struct floor *floor) {
  for (int kind = 0; kind < MEMBER_KINDS; kind++) {
    struct member *head = &floor->lists[kind];
    while (head->next != head) member_end(head->next);
    buffer_deinit(&floor->turn[kind]);
  }
  free_ended(floor);
  conn_close(&floor->listener);
  poller_deinit(&floor->poller);
}

int main(int argc, char **argv) {
  static const struct conn_ops listener_ops = {.on_accepted = on_accepted};
  static struct floor floor;
  if (argc != 2 || (strcmp(argv[1], "write") != 0 && strcmp(argv[1], "joined") != 0)) {
    fputs("usage: floor write|joined\n", stderr);
    return 1;
  }
  floor.is_joined = strcmp(argv[1], "joined") == 0;
  floor.listener.ops = &listener_ops;
  floor.listener.owner = &floor;
  for (int kind = 0; kind < MEMBER_KINDS; kind++) floor.lists[kind].previous = floor.lists[kind].next = &floor.lists[kind];
  signal(SIGTERM, on_signal);
  signal(SIGINT, on_signal);
  raise_descriptor_limit();
  poller_init(&floor.poller);
  printf("listening on http://127.0.0.1:%u\n", conn_listen(&floor.listener, &floor.poller, 0));
  fflush(stdout);
  while (!is_stopped) {
    poller_turn(&floor.poller, 1000);
    write_turn(&floor);
    free_readers(&floor);
    free_ended(&floor);
  }
  floor_stop(&floor);
  return 0;
}
