#define _XOPEN_SOURCE 700

#include "test/support/toy_peer.h"

#include <stdlib.h>

#include "net/stream_peer.h"
#include "server/server.h"
#include "test/support.h"
#include "test/support/memory_peer.h"
#include "test/support/ws_trace.h"

static void append(struct toy_text *text, struct bytes bytes) {
  if (bytes.len == 0) return;
  text->data = realloc(text->data, text->len + bytes.len);
  assert_non_null(text->data);
  memcpy(text->data + text->len, bytes.ptr, bytes.len);
  text->len += bytes.len;
}

static const char upgrade[] = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                              "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

bool toy_peer_open(struct toy_peer *peer, struct mw_server *server) {
  *peer = (struct toy_peer){.server = server, .stream = stream_peer_new()};
  conn_class_init(&peer->class, &server->workers[0].http, &toy_protocol);
  bool joined = peer->stream && conn_accept_memory(&peer->class, peer->stream) == 0;
  if (!joined && peer->stream) stream_peer_close(peer->stream);
  if (!joined) peer->stream = NULL;
  return joined;
}

void toy_peer_close(struct toy_peer *peer) {
  if (peer->stream) stream_peer_close(peer->stream);
  for (size_t i = 0; i < TOY_EXCHANGES; i++) free(peer->views[i].body.data);
  free(peer->in.data);
}

void toy_peer_send(struct toy_peer *peer, enum toy_type type, unsigned number, struct bytes payload) {
  char frame[TOY_FRAME_HEAD + 4096] = {(char)type, (char)number, (char)(payload.len >> 8), (char)payload.len};
  assert_true(payload.len <= 4096);
  memcpy(frame + TOY_FRAME_HEAD, payload.ptr, payload.len);
  /* It is the peer's memory that fails here, and only once. */
  while (stream_peer_write(peer->stream, bytes_of(frame, TOY_FRAME_HEAD + payload.len)) == MW_ENOMEM) continue;
}

static void write_number(char out[4], uint32_t number) {
  for (int i = 0; i < 4; i++) out[i] = (char)(number >> (24 - 8 * i));
}

void toy_peer_get(struct toy_peer *peer, unsigned number, uint32_t window, const char *target, const char *fields) {
  char text[2048];
  write_number(text, window);
  int len = snprintf(text + 4, sizeof text - 4, "GET %s HTTP/1.1\r\nHost: a\r\n%s\r\n", target, fields);
  toy_peer_send(peer, TOY_REQUEST, number, bytes_of(text, (size_t)len + 4));
}

void toy_peer_upgrade(struct toy_peer *peer, unsigned number, uint32_t window) {
  toy_peer_get(peer, number, window, "/ws", upgrade);
}

void toy_peer_say(struct toy_peer *peer, unsigned number, const char *text, size_t step) {
  struct buffer frame = {0};
  ws_client_frame(&frame, 0x81, BYTES("\x11\x22\x33\x44"), bytes_string(text));
  for (size_t at = 0; !frame.failed && at < frame.len; at += step) {
    size_t len = frame.len - at < step ? frame.len - at : step;
    toy_peer_send(peer, TOY_DATA, number, bytes_of(frame.data + at, len));
  }
  buffer_deinit(&frame);
}

void toy_peer_allow(struct toy_peer *peer, unsigned number, uint32_t bytes) {
  char payload[4];
  write_number(payload, bytes);
  toy_peer_send(peer, TOY_WINDOW, number, bytes_of(payload, sizeof payload));
}

static void take_frame(struct toy_view *view, enum toy_type type, struct bytes payload) {
  assert_false(view->ended || view->was_reset);
  switch (type) {
    case TOY_HEAD:
      assert_int_equal(view->status, 0);
      for (size_t i = 0; i < payload.len; i++) view->status = view->status * 10 + payload.ptr[i] - '0';
      break;
    case TOY_DATA:
      assert_true(view->status > 0 && payload.len > 0);
      append(&view->body, payload);
      break;
    case TOY_END: view->ended = true; break;
    case TOY_RESET: view->was_reset = true; break;
    default: fail_msg("a frame of type %d", type);
  }
}

void toy_peer_settle(struct toy_peer *peer) {
  char chunk[4096];
  server_settle(peer->server);
  for (size_t len = 1; len > 0 && peer->stream;) {
    len = stream_peer_read(peer->stream, chunk, sizeof chunk);
    append(&peer->in, bytes_of(chunk, len));
    if (len > 0) server_settle(peer->server);
  }
  size_t at = 0;
  while (peer->in.len - at >= TOY_FRAME_HEAD) {
    const unsigned char *head = (const unsigned char *)peer->in.data + at;
    size_t len = (size_t)head[2] << 8 | head[3];
    if (peer->in.len - at - TOY_FRAME_HEAD < len) break;
    assert_in_range(head[1], 1, TOY_EXCHANGES - 1);
    take_frame(&peer->views[head[1]], (enum toy_type)head[0], bytes_of((const char *)head + TOY_FRAME_HEAD, len));
    at += TOY_FRAME_HEAD + len;
  }
  if (at > 0) memmove(peer->in.data, peer->in.data + at, peer->in.len - at);
  peer->in.len -= at;
}

size_t toy_peer_count(struct toy_peer *peer, unsigned number, const char *text) {
  const struct toy_text *body = &peer->views[number].body;
  size_t count = 0, len = strlen(text);
  for (size_t i = 0; i + len <= body->len; i++) count += memcmp(body->data + i, text, len) == 0;
  return count;
}
