#include "test/support/memory_peer.h"

#include <poll.h>
#include <stdlib.h>

#include "test/support.h"

/* Steps that are always made; steps after which something must be wrong. */
enum { SETTLE_STEPS = 6, SETTLE_MAX = 100000 };

static struct buffer taken; /* the result of the last call */

static const char *give(struct bytes bytes) {
  buffer_clear(&taken);
  buffer_append(&taken, bytes);
  buffer_append_char(&taken, '\0');
  return taken.data;
}

void server_settle(struct mw_server *server) {
  struct pollfd descriptor = {.fd = mw_server_fd(server), .events = POLLIN};
  int idle = 0;
  for (int i = 0; idle < SETTLE_STEPS && i < SETTLE_MAX; i++) {
    mw_server_step(server);
    idle = poll(&descriptor, 1, 0) > 0 ? 0 : idle + 1;
  }
}

void server_finish(struct mw_server *server) {
  mw_server_stop(server, NULL, NULL);
  server_settle(server);
  mw_server_free(server);
}

void memory_peer_open(struct memory_peer *peer, struct mw_server *server) {
  peer->server = server;
  buffer_init(&peer->in);
  assert_int_equal(mw_connect_memory(server, &peer->memory), 0);
}

void memory_peer_close(struct memory_peer *peer) {
  mw_memory_close(peer->memory);
  buffer_deinit(&peer->in);
  buffer_deinit(&taken);
}

void memory_peer_send(struct memory_peer *peer, struct bytes bytes) {
  assert_int_equal(mw_memory_write(peer->memory, bytes.ptr, bytes.len), 0);
  server_settle(peer->server);
}

void memory_peer_send_text(struct memory_peer *peer, const char *text) { memory_peer_send(peer, bytes_string(text)); }

struct bytes memory_peer_fetch(struct memory_peer *peer) {
  char chunk[4096];
  for (size_t len = 1; len > 0;) {
    len = mw_memory_read(peer->memory, chunk, sizeof chunk);
    buffer_append(&peer->in, bytes_of(chunk, len));
    if (len > 0) server_settle(peer->server);
  }
  return buffer_bytes(&peer->in);
}

const char *memory_peer_take(struct memory_peer *peer) {
  const char *text = give(memory_peer_fetch(peer));
  buffer_clear(&peer->in);
  return text;
}

bool memory_peer_ended(struct memory_peer *peer) {
  memory_peer_fetch(peer);
  return mw_memory_ended(peer->memory);
}

/* ---- HTTP ------------------------------------------------------------------------------------ */

int memory_peer_post(struct memory_peer *peer, const char *target, const char *fields, struct bytes body, const char **answer) {
  struct buffer out = {0};
  buffer_append_format(&out, "POST %s HTTP/1.1\r\nHost: test\r\nContent-Length: %zu\r\n%s\r\n", target, body.len, fields);
  buffer_append(&out, body);
  memory_peer_send(peer, buffer_bytes(&out));
  buffer_deinit(&out);
  const char *text = memory_peer_take(peer);
  const char *end = strstr(text, "\r\n\r\n");
  assert_non_null(end);
  *answer = end + 4;
  return atoi(text + strlen("HTTP/1.1 "));
}

/* ---- WebSocket ------------------------------------------------------------------------------- */

void memory_peer_upgrade(struct memory_peer *peer, const char *protocol) {
  struct buffer out = {0};
  buffer_append_string(&out, "GET /ws HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                             "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n");
  if (protocol) buffer_append_format(&out, "Sec-WebSocket-Protocol: %s\r\n", protocol);
  buffer_append_string(&out, "\r\n");
  memory_peer_send(peer, buffer_bytes(&out));
  buffer_deinit(&out);
  const char *answer = memory_peer_take(peer);
  assert_memory_equal(answer, "HTTP/1.1 101 ", 13);
  assert_non_null(strstr(answer, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
}

/* Sends a masked frame, as clients do. */
void memory_peer_frame(struct memory_peer *peer, enum ws_opcode opcode, struct bytes payload) {
  static const unsigned char key[4] = {0x12, 0x9a, 0x00, 0xff};
  char header[WS_HEADER_MAX];
  size_t header_len = ws_frame_header(header, opcode, payload.len);
  header[1] = (char)(header[1] | 0x80);
  struct buffer out = {0};
  buffer_append(&out, bytes_of(header, header_len));
  buffer_append(&out, bytes_of((const char *)key, sizeof key));
  buffer_append(&out, payload);
  ws_frame_unmask(out.data + header_len + sizeof key, payload.len, key, 0);
  memory_peer_send(peer, buffer_bytes(&out));
  buffer_deinit(&out);
}

bool memory_peer_next_frame(struct memory_peer *peer, enum ws_opcode *opcode, struct bytes *payload) {
  struct bytes in = memory_peer_fetch(peer);
  const unsigned char *at = (const unsigned char *)in.ptr;
  if (in.len < 2) return false;
  size_t len = at[1] & 0x7f, header = len == 127 ? 10 : len == 126 ? 4 : 2;
  assert_false(at[1] & 0x80);
  assert_true(in.len >= header);
  if (header > 2) len = 0;
  for (size_t i = 2; i < header; i++) len = len << 8 | at[i];
  assert_true(in.len >= header + len);
  *opcode = (enum ws_opcode)(at[0] & 0xf);
  *payload = bytes_of(give(bytes_of(in.ptr + header, len)), len);
  buffer_consume(&peer->in, header + len);
  return true;
}

void memory_peer_expect_at(struct memory_peer *peer, const char *text, const char *file, int line) {
  enum ws_opcode opcode = WS_OPCODE_TEXT;
  struct bytes payload = {NULL, 0};
  bool came = memory_peer_next_frame(peer, &opcode, &payload);
  if (came && text && opcode == WS_OPCODE_TEXT && strcmp(payload.ptr, text) == 0) return;
  if (!came && !text) return;
  print_error("expected: %s\n     got: %s (opcode %d)\n", text ? text : "nothing", came ? payload.ptr : "nothing", (int)opcode);
  _fail(file, line);
}

void memory_peer_expect_close(struct memory_peer *peer, unsigned code) {
  enum ws_opcode opcode;
  struct bytes payload;
  assert_true(memory_peer_next_frame(peer, &opcode, &payload));
  assert_int_equal(opcode, WS_OPCODE_CLOSE);
  assert_true(payload.len >= 2);
  assert_int_equal((unsigned char)payload.ptr[0] << 8 | (unsigned char)payload.ptr[1], code);
}
