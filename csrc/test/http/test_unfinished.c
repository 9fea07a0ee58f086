/* Messages whose end does not come: what they hold is shared fairly, and they have a deadline. */
#include "http/unfinished.h"

#include <stdlib.h>
#include <string.h>

#include "server/server.h"
#include "test/support.h"
#include "test/support/memory_peer.h"

enum { PEERS = 130 };

static struct mw_server *server;
static struct memory_peer peers[PEERS];
static size_t opened, asked;
static struct mw_request *kept; /* the message that is being handled */
static bool keeps;

static void on_request(void *context, struct mw_request *request) {
  (void)context;
  struct mw_socket *socket;
  if (mw_request_type(request) == MW_REQUEST_SOCKET_MESSAGE || mw_request_type(request) == MW_REQUEST_MESSAGE) asked++;
  if (mw_request_type(request) == MW_REQUEST_WEBSOCKET) {
    mw_request_websocket(request, &socket);
    mw_socket_unref(socket);
  } else if (keeps && mw_request_type(request) == MW_REQUEST_MESSAGE) {
    kept = request;
  } else {
    mw_request_accept(request, NULL, 0);
  }
}

static void start(size_t queue) {
  static const struct mw_event_rule events[] = {{.event = "say"}};
  struct mw_config_options options;
  struct mw_config *config;
  opened = asked = 0;
  keeps = false;
  mw_config_options_init(&options);
  options.on_request = on_request;
  options.limits.queue = queue;
  options.limits.input_backlog = 1000;
  options.limits.answer_ms = 1000000;
  options.deflate.client_takeover = true;
  assert_int_equal(mw_config_new(&config, &options, NULL), 0);
  struct mw_channel_options room = {.events = events, .event_count = 1};
  assert_int_equal(mw_config_channel(config, "room:{n}", &room, NULL), 0);
  assert_true(mw_config_websocket(config, "/raw", &(struct mw_websocket_options){NULL}, NULL) >= 0);
  assert_int_equal(mw_server_new(&server, &(struct mw_server_options){.config = config}, NULL), 0);
  mw_config_unref(config);
  mw_server_advance(server, 0);
}

static void finish(void) {
  for (size_t i = 0; i < opened; i++) memory_peer_close(&peers[i]);
  server_finish(server);
}

static struct memory_peer *open_at(const char *endpoint, const char *fields) {
  struct memory_peer *peer = &peers[opened++];
  struct buffer out = {0};
  memory_peer_open(peer, server);
  buffer_append_format(&out,
                       "GET %s HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                       "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%s\r\n",
                       endpoint, fields);
  memory_peer_send(peer, buffer_bytes(&out));
  assert_memory_equal(memory_peer_take(peer), "HTTP/1.1 101 ", 13);
  buffer_deinit(&out);
  return peer;
}

/* Sends one frame without a mask that changes anything; `first_byte` has its opcode, and whether it
 * is the last of its message. */
static void send_frame(struct memory_peer *peer, unsigned first_byte, struct bytes payload) {
  char header[WS_HEADER_MAX];
  struct buffer out = {0};
  size_t len = ws_frame_header(header, WS_OPCODE_TEXT, payload.len);
  header[0] = (char)first_byte;
  header[1] = (char)(header[1] | 0x80);
  buffer_append(&out, bytes_of(header, len));
  buffer_append(&out, bytes_of("\0\0\0", 4));
  buffer_append(&out, payload);
  memory_peer_send(peer, buffer_bytes(&out));
  buffer_deinit(&out);
}

static void hold(struct memory_peer *peer, size_t size) {
  char *text = malloc(size);
  memset(text, 'a', size);
  send_frame(peer, 0x01, bytes_of(text, size));
  free(text);
}

static bool is_closed(struct memory_peer *peer, unsigned code) {
  enum ws_opcode opcode;
  struct bytes payload;
  while (memory_peer_next_frame(peer, &opcode, &payload)) {
    if (opcode != WS_OPCODE_CLOSE) continue;
    assert_int_equal((unsigned char)payload.ptr[0] << 8 | (unsigned char)payload.ptr[1], code);
    return true;
  }
  return false;
}

static bool is_counted(size_t bytes, size_t count) {
  const struct unfinished *unfinished = &server->workers[0].http.unfinished;
  return unfinished->bytes == bytes && unfinished->count == count;
}

static const char *const endpoints[] = {"/ws", "/raw"};

/* ---- Shares ---------------------------------------------------------------------------------- */

/* A client that comes later and holds little does not pay for those that hold much. */
static void closes_the_largest(void **state) {
  (void)state;
  for (size_t n = 0; n < COUNT_OF(endpoints); n++) {
    start(1000);
    static const size_t sizes[] = {300, 400, 200};
    for (size_t i = 0; i < COUNT_OF(sizes); i++) hold(open_at(endpoints[n], ""), sizes[i]);
    assert_true(is_counted(900, 3));
    hold(open_at(endpoints[n], ""), 101);
    assert_true(is_closed(&peers[1], WS_CLOSE_TRY_LATER));
    assert_true(is_counted(601, 3));
    /* One that grows pays itself, once it is the largest. */
    hold(open_at(endpoints[n], ""), 301);
    send_frame(&peers[2], 0x00, BYTES("a"));
    assert_true(is_counted(903, 4));
    char more[200];
    memset(more, 'a', sizeof more);
    send_frame(&peers[2], 0x00, bytes_of(more, sizeof more));
    assert_true(is_closed(&peers[2], WS_CLOSE_TRY_LATER));
    assert_true(is_counted(702, 3));
    assert_false(is_closed(&peers[0], 0));
    assert_false(is_closed(&peers[3], 0));
    assert_false(is_closed(&peers[4], 0));
    finish();
  }
}

static void lets_a_single_one_be_of_any_size(void **state) {
  (void)state;
  start(1000);
  struct memory_peer *large = open_at("/ws", ""), *small = open_at("/ws", "");
  hold(large, 5000);
  assert_true(is_counted(5000, 1));
  hold(small, 10);
  assert_true(is_closed(large, WS_CLOSE_TRY_LATER));
  assert_true(is_counted(10, 1));
  finish();
}

/* As many as there is room for, each with its share, and more than that: the message of someone
 * else that comes in two parts gets through. */
static void leaves_everybody_a_share(void **state) {
  (void)state;
  enum { LIMIT = 100000 };
  start(LIMIT);
  struct memory_peer *victim = open_at("/ws", "");
  for (size_t i = 1; i < PEERS; i++) {
    hold(open_at("/ws", ""), 900 + i % 200);
    send_frame(victim, 0x01, BYTES("{\"ping\":true,"));
    send_frame(victim, 0x80, BYTES("\"ref\":1}"));
    memory_peer_expect(victim, "{\"ref\":1,\"ok\":true}");
    const struct unfinished *unfinished = &server->workers[0].http.unfinished;
    assert_true(unfinished->bytes <= LIMIT);
  }
  size_t closed = 0;
  for (size_t i = 1; i < PEERS; i++) closed += is_closed(&peers[i], WS_CLOSE_TRY_LATER);
  assert_in_range(closed, 20, 50);
  finish();
}

/* Bodies of requests are of the same kind, and are refused. */
static void counts_bodies(void **state) {
  (void)state;
  start(1000);
  for (size_t i = 0; i < 3; i++) {
    struct buffer out = {0};
    memory_peer_open(&peers[opened++], server);
    buffer_append_format(&out, "POST /send HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n%0*d", i == 1 ? 500 : 200, 0);
    memory_peer_send(&peers[i], buffer_bytes(&out));
    buffer_deinit(&out);
  }
  assert_true(is_counted(900, 3));
  hold(open_at("/ws", ""), 101);
  const char *answer = memory_peer_take(&peers[1]);
  assert_memory_equal(answer, "HTTP/1.1 503 ", 13);
  assert_non_null(strstr(answer, "Retry-After: "));
  assert_true(is_counted(501, 3));
  /* What comes to its end, or goes, is counted no more; a chunked one is counted as it comes. */
  memory_peer_send_text(&peers[0], "x");
  assert_true(is_counted(502, 3));
  memory_peer_close(&peers[0]);
  memory_peer_open(&peers[0], server);
  server_settle(server);
  assert_true(is_counted(301, 2));
  memory_peer_send_text(&peers[0], "POST /send HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4\r\nab");
  assert_true(is_counted(306, 3));
  memory_peer_send_text(&peers[0], "cd\r\n0\r\n\r\n");
  assert_true(is_counted(301, 2));
  assert_memory_equal(memory_peer_take(&peers[0]), "HTTP/1.1 400 ", 13);
  finish();
}

/* ---- The deadline ---------------------------------------------------------------------------- */

/* Time passes, and the client sends pongs. */
static void pass(struct memory_peer *peer, uint64_t ms) {
  for (uint64_t step = 0; step < ms; step += 5000) {
    mw_server_advance(server, ms - step < 5000 ? ms - step : 5000);
    send_frame(peer, 0x8a, BYTES(""));
  }
}

static void has_a_deadline(void **state) {
  (void)state;
  for (size_t n = 0; n < COUNT_OF(endpoints); n++) {
    /* Of a message in frames, of a frame, and of a header. */
    static const char *const begun[] = {"\x01\x81\0\0\0\0a", "\x81\x82\0\0\0\0a", "\x81"};
    static const size_t lens[] = {7, 7, 1};
    for (size_t i = 0; i < COUNT_OF(begun); i++) {
      start(1000);
      struct memory_peer *peer = open_at(endpoints[n], "");
      memory_peer_send(peer, bytes_of(begun[i], lens[i]));
      mw_server_advance(server, 29000);
      assert_false(is_closed(peer, 0));
      assert_int_equal(server->workers[0].http.unfinished.count, 1);
      mw_server_advance(server, 2000);
      server_settle(server);
      assert_true(is_closed(peer, WS_CLOSE_POLICY));
      assert_true(is_counted(0, 0));
      finish();
    }
  }
}

/* What comes of it in between does not put it off; control frames do not either. */
static void is_not_put_off_by_parts(void **state) {
  (void)state;
  start(1000);
  struct memory_peer *peer = open_at("/ws", "");
  send_frame(peer, 0x01, BYTES("a"));
  for (int i = 0; i < 5; i++) {
    pass(peer, 5000);
    send_frame(peer, 0x00, BYTES("a"));
    assert_false(is_closed(peer, 0));
  }
  mw_server_advance(server, 7000);
  server_settle(server);
  assert_true(is_closed(peer, WS_CLOSE_POLICY));
  finish();
}

/* Each message has its own time, also of a client that is always in the middle of one. */
static void begins_anew_with_each_message(void **state) {
  (void)state;
  start(1000);
  struct memory_peer *peer = open_at("/ws", "");
  send_frame(peer, 0x01, BYTES("{\"ping\":"));
  for (int i = 0; i < 5; i++) {
    pass(peer, 20000);
    memory_peer_send(peer, BYTES("\x80\x85\0\0\0\0true}\x01\x88\0\0\0\0{\"ping\":"));
    assert_int_equal(server->workers[0].http.unfinished.count, 1);
  }
  assert_false(is_closed(peer, 0));
  send_frame(peer, 0x80, BYTES("true}"));
  assert_true(is_counted(0, 0));
  pass(peer, 100000);
  assert_false(is_closed(peer, 0));
  finish();
}

/* One whose window is taken over keeps a reader between its messages: it is in the middle of
 * nothing. */
static void spares_a_window(void **state) {
  (void)state;
  start(1000);
  struct memory_peer *peer = open_at("/ws", "Sec-WebSocket-Extensions: permessage-deflate\r\n");
  memory_peer_send(peer, BYTES("\xc1\x87\0\0\0\0\xf2\x48\xcd\xc9\xc9\x07\x00"));
  assert_true(is_counted(0, 0));
  pass(peer, 100000);
  assert_false(is_closed(peer, 0));
  finish();
}

/* It is not the client's fault if nothing is read, because one of its requests is with the app and
 * its backlog is full. */
static void waits_for_a_handler(void **state) {
  (void)state;
  enum { SENDERS = 4 };
  struct buffer out = {0}, body = {0};
  start(1 << 20);
  struct memory_peer *peer = open_at("/ws", "Sec-WebSocket-Protocol: moonwire.1\r\n");
  enum ws_opcode opcode;
  struct bytes payload;
  send_frame(peer, 0x81, BYTES("{\"connect\":{},\"ref\":1}"));
  assert_true(memory_peer_next_frame(peer, &opcode, &payload));
  const char *id = strstr(payload.ptr, "\"client\":\"") + 10;
  buffer_append_format(&body, "{\"ping\":true,\"x\":\"%0400d\"}", 0);
  buffer_append_format(&out, "POST /send HTTP/1.1\r\nHost: a\r\nX-Moonwire-Client: %.*s\r\nContent-Length: %zu\r\n\r\n",
                       (int)strcspn(id, "\""), id, body.len);
  buffer_append(&out, buffer_bytes(&body));
  send_frame(peer, 0x81, BYTES("{\"subscribe\":\"room:1\"}"));
  keeps = true;
  send_frame(peer, 0x81, BYTES("{\"send\":\"room:1\",\"event\":\"say\",\"ref\":2}"));
  assert_non_null(kept);
  send_frame(peer, 0x01, BYTES("{\"ping\":"));
  assert_int_equal(server->workers[0].http.unfinished.count, 1);
  for (int i = 0; i < SENDERS; i++) {
    memory_peer_open(&peers[opened++], server);
    memory_peer_send(&peers[opened - 1], buffer_bytes(&out));
  }
  send_frame(peer, 0x80, BYTES("true,\"ref\":3}"));
  assert_int_equal(server->workers[0].http.unfinished.count, 1);
  for (int i = 0; i < 20; i++) mw_server_advance(server, 5000);
  assert_int_equal(server->workers[0].http.unfinished.count, 1);
  keeps = false;
  mw_request_accept(kept, NULL, 0);
  kept = NULL;
  server_settle(server);
  assert_true(is_counted(0, 0));
  memory_peer_expect(peer, "{\"ref\":2,\"ok\":true}");
  memory_peer_expect(peer, "{\"ref\":3,\"ok\":true}");
  buffer_deinit(&out);
  buffer_deinit(&body);
  finish();
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(closes_the_largest),
      TEST(lets_a_single_one_be_of_any_size),
      TEST(leaves_everybody_a_share),
      TEST(counts_bodies),
      TEST(has_a_deadline),
      TEST(is_not_put_off_by_parts),
      TEST(begins_anew_with_each_message),
      TEST(spares_a_window),
      TEST(waits_for_a_handler),
  };
  return cmocka_run_group_tests_name("unfinished", tests, NULL, NULL);
}
