/* Raw WebSocket endpoints: the upgrade is the app's to allow, messages come to it in order, and
 * both sides may close. */
#include <stdlib.h>
#include <string.h>

#include "codec/ws/ws_deflate.h"
#include "server/server.h"
#include "test/support.h"
#include "test/support/memory_peer.h"

enum { KEPT_MAX = 64 };

struct fixture {
  struct mw_server *server;
  struct memory_peer peer;
  struct mw_socket *socket; /* the newest */
  bool keeps;               /* messages are left for the test to answer */
  bool keeps_upgrades;
  bool echoes;
  bool forgives; /* without memory nothing is as it should be */
  int status;    /* of answers to messages; 0: accepted */
  struct mw_request *kept[KEPT_MAX];
  size_t kept_count;
  size_t reason_len; /* of the last close */
  char trace[4096];
};

static void note(struct fixture *app, const char *what, struct mw_bytes bytes) {
  size_t len = strlen(app->trace);
  snprintf(app->trace + len, sizeof app->trace - len, "%s(%.*s) ", what, bytes.len < 40 ? (int)bytes.len : 40,
           bytes.ptr ? bytes.ptr : "");
}

static const char *take_trace(struct fixture *app) {
  static char trace[sizeof app->trace];
  strcpy(trace, app->trace);
  app->trace[0] = '\0';
  return trace;
}

static void answer_message(struct fixture *app, struct mw_request *request) {
  const struct mw_message *message = mw_request_message(request);
  struct mw_bytes bytes = message->is_binary ? message->binary : message->data;
  int status = 0;
  if (app->echoes) status = mw_socket_send(mw_request_socket(request), bytes.ptr, bytes.len, message->is_binary);
  assert_true(status == 0 || app->forgives);
  if (app->status == 0) {
    mw_request_accept(request, NULL, 0);
  } else {
    mw_request_refuse(request, app->status, "no", "you may not");
  }
}

static void on_upgrade(struct fixture *app, struct mw_request *request) {
  struct mw_bytes path = mw_request_http(request)->path;
  char way = path.ptr[1]; /* the path goes with the answer */
  note(app, "open", mw_request_protocol(request));
  if (app->keeps_upgrades) {
    app->kept[app->kept_count++] = request;
    return;
  }
  if (way == 'n') {
    mw_request_refuse(request, 403, "forbidden", "not you");
  } else if (way == 'p') {
    mw_request_respond(request, &(struct mw_response){.status = 200, .body = path}, NULL);
  } else {
    mw_socket_unref(app->socket);
    app->socket = NULL;
    int status = mw_request_websocket(request, &app->socket);
    assert_true(status == 0 || app->forgives);
    if (way == 'h') assert_int_equal(mw_socket_send(app->socket, "hello", 5, false), 0);
  }
}

static void on_request(void *context, struct mw_request *request) {
  struct fixture *app = context;
  const struct mw_message *message = mw_request_message(request);
  switch (mw_request_type(request)) {
    case MW_REQUEST_WEBSOCKET: on_upgrade(app, request); break;
    case MW_REQUEST_SOCKET_MESSAGE:
      assert_non_null(mw_socket_client(mw_request_socket(request)));
      note(app, message->is_binary ? "bytes" : "text", message->is_binary ? message->binary : message->data);
      if (app->keeps) {
        app->kept[app->kept_count++] = request;
      } else {
        answer_message(app, request);
      }
      break;
    case MW_REQUEST_SOCKET_CLOSE: {
      char text[160];
      struct mw_bytes reason = mw_request_reason(request);
      app->reason_len = reason.len;
      int len = snprintf(text, sizeof text, "%d %.*s", mw_request_close_code(request), (int)reason.len, reason.ptr);
      note(app, "close", (struct mw_bytes){text, (size_t)len});
      mw_request_accept(request, NULL, 0);
      break;
    }
    case MW_REQUEST_AUTHENTICATE:
      note(app, "who", mw_request_http(request)->token);
      if (mw_request_http(request)->token.len > 0) {
        mw_request_accept(request, "{\"id\":7}", 8);
      } else {
        mw_request_refuse(request, 401, "unauthorized", "say who you are");
      }
      break;
    default: mw_request_accept(request, NULL, 0);
  }
}

static void on_cancel(void *context, struct mw_request *request) {
  (void)request;
  note(context, "cancel", (struct mw_bytes){NULL, 0});
}

static void answer_kept(struct fixture *app) {
  assert_true(app->kept_count > 0);
  struct mw_request *request = app->kept[0];
  app->kept_count--;
  memmove(app->kept, app->kept + 1, app->kept_count * sizeof *app->kept);
  answer_message(app, request);
  server_settle(app->server);
}

static void start_with(struct fixture *app, const struct mw_websocket_options *websocket,
                       void (*set)(struct mw_config_options *)) {
  struct mw_config_options options;
  struct mw_config *config;
  static const char *const paths[] = {"/echo", "/no", "/page", "/hello", "/room/{id}"};
  *app = (struct fixture){NULL};
  app->echoes = true;
  mw_config_options_init(&options);
  options.on_request = on_request;
  options.on_cancel = on_cancel;
  options.context = app;
  if (set) set(&options);
  assert_int_equal(mw_config_new(&config, &options, NULL), 0);
  assert_int_equal(mw_config_channel(config, "news", &(struct mw_channel_options){0}, NULL), 0);
  struct mw_channel_options crowd = {.presence = MW_PRESENCE_FULL};
  assert_true(mw_config_channel(config, "crowd", &crowd, NULL) > 0);
  for (size_t i = 0; i < COUNT_OF(paths); i++) assert_true(mw_config_websocket(config, paths[i], websocket, NULL) > 0);
  assert_int_equal(mw_server_new(&app->server, &(struct mw_server_options){.config = config}, NULL), 0);
  mw_config_unref(config);
  mw_server_advance(app->server, 1);
}

/* Many tests send all at once. */
static void start(struct fixture *app) { start_with(app, &(struct mw_websocket_options){.has_no_rate = true}, NULL); }

static void finish(struct fixture *app) {
  memory_peer_close(&app->peer);
  server_settle(app->server);
  server_finish(app->server);
  mw_socket_unref(app->socket);
}

/* The status of the answer to a handshake; of another than 101 the rest is dropped. */
static int ask(struct fixture *app, const char *target, const char *fields) {
  struct buffer out = {0};
  buffer_append_format(
      &out,
      "GET %s HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%s\r\n",
      target, fields);
  memory_peer_open(&app->peer, app->server);
  memory_peer_send(&app->peer, buffer_bytes(&out));
  buffer_deinit(&out);
  struct bytes in = memory_peer_fetch(&app->peer);
  assert_true(in.len > 12);
  int status = atoi(in.ptr + 9);
  size_t head = 0;
  while (memcmp(in.ptr + head, "\r\n\r\n", 4) != 0) head++;
  buffer_consume(&app->peer.in, status == 101 ? head + 4 : in.len);
  return status;
}

static void open_socket(struct fixture *app, const char *target) {
  assert_int_equal(ask(app, target, ""), 101);
  assert_string_equal(take_trace(app), "open() ");
}

static void send_text(struct fixture *app, const char *text) {
  memory_peer_frame(&app->peer, WS_OPCODE_TEXT, bytes_string(text));
}

static void send_close(struct fixture *app, unsigned code) {
  char payload[2] = {(char)(code >> 8), (char)code};
  memory_peer_frame(&app->peer, WS_OPCODE_CLOSE, bytes_of(payload, code > 0 ? 2 : 0));
}

/* What several frames are before they are sent in one piece. */
static void add_frame(struct buffer *out, unsigned first_byte, const char *payload) {
  buffer_append_char(out, (char)first_byte);
  buffer_append_char(out, (char)(0x80 | strlen(payload)));
  buffer_append(out, bytes_of("\0\0\0\0", 4));
  buffer_append_string(out, payload);
}

static uint64_t connections(struct fixture *app) {
  struct mw_stats stats;
  mw_server_stats(app->server, &stats);
  return stats.connections;
}

/* ---- The upgrade ----------------------------------------------------------------------------- */

static void echoes(void **state) {
  (void)state;
  struct fixture app;
  enum ws_opcode opcode;
  struct bytes payload;
  start(&app);
  open_socket(&app, "/echo");
  memory_peer_ask(&app.peer, "hello", "hello");
  memory_peer_ask(&app.peer, "", "");
  memory_peer_frame(&app.peer, WS_OPCODE_BINARY, BYTES("\0\xff"));
  assert_true(memory_peer_next_frame(&app.peer, &opcode, &payload));
  assert_int_equal(opcode, WS_OPCODE_BINARY);
  assert_bytes(payload, BYTES("\0\xff"));
  send_close(&app, 4000);
  memory_peer_expect_close(&app.peer, 4000);
  assert_true(memory_peer_ended(&app.peer));
  assert_string_equal(take_trace(&app), "text(hello) text() bytes() close(4000 ) ");
  finish(&app);
}

static void lets_the_app_refuse(void **state) {
  (void)state;
  static const struct {
    const char *target, *fields;
    int status;
    const char *trace;
  } cases[] = {
      {"/no", "", 403, "open() "},
      {"/page", "", 200, "open() "},
      {"/room", "", 404, ""},
      {"/echo", "Origin: https://elsewhere.example\r\n", 403, ""},
      {"/echo", "Origin: http://test\r\n", 101, "open() "},
      {"/echo", "Sec-WebSocket-Protocol: x\r\nContent-Length: 3\r\n", 400, ""},
  };
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    struct fixture app;
    start(&app);
    assert_int_equal(ask(&app, cases[i].target, cases[i].fields), cases[i].status);
    assert_string_equal(take_trace(&app), cases[i].trace);
    finish(&app);
  }
}

static void set_authenticate(struct mw_config_options *options) { options->authenticate = true; }

static void authenticates_before(void **state) {
  (void)state;
  struct fixture app;
  start_with(&app, &(struct mw_websocket_options){0}, set_authenticate);
  assert_int_equal(ask(&app, "/echo", ""), 401);
  assert_string_equal(take_trace(&app), "who() ");
  memory_peer_close(&app.peer);
  assert_int_equal(ask(&app, "/echo", "Authorization: Bearer me\r\n"), 101);
  assert_string_equal(take_trace(&app), "who(me) open() ");
  struct mw_bytes user = mw_client_user(mw_socket_client(app.socket));
  assert_bytes_string(bytes_of(user.ptr, user.len), "{\"id\":7}");
  assert_null(mw_client_next(app.server, NULL));
  finish(&app);
}

static void chooses_the_protocol(void **state) {
  (void)state;
  static const char *const protocols[] = {"b.2", "a"};
  static const struct {
    const char *fields, *trace;
  } cases[] = {
      {"Sec-WebSocket-Protocol: a, b.2\r\n", "open(b.2) "},
      {"Sec-WebSocket-Protocol: x\r\nSec-WebSocket-Protocol: y, a\r\n", "open(a) "},
      {"Sec-WebSocket-Protocol: B.2, moonwire.1\r\n", "open() "},
      {"", "open() "},
  };
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    struct fixture app;
    start_with(&app, &(struct mw_websocket_options){.protocols = protocols, .protocol_count = 2}, NULL);
    assert_int_equal(ask(&app, "/echo", cases[i].fields), 101);
    assert_string_equal(take_trace(&app), cases[i].trace);
    finish(&app);
  }
}

/* What the app sends at once comes behind the upgrade; what the peer has sent ahead is not lost. */
static void loses_nothing_at_the_upgrade(void **state) {
  (void)state;
  struct fixture app;
  struct buffer out = {0};
  start(&app);
  buffer_append_string(&out, "GET /hello HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                             "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
  add_frame(&out, 0x81, "one");
  add_frame(&out, 0x82, "two");
  memory_peer_open(&app.peer, app.server);
  memory_peer_send(&app.peer, buffer_bytes(&out));
  buffer_deinit(&out);
  const char *text = memory_peer_take(&app.peer);
  assert_non_null(strstr(text, "\r\n\r\n\x81\x05hello\x81\x03one\x82\x03two"));
  assert_string_equal(take_trace(&app), "open() text(one) bytes(two) ");
  finish(&app);
}

/* ---- Messages -------------------------------------------------------------------------------- */

/* One after the other, though they came together. */
static void keeps_the_order(void **state) {
  (void)state;
  struct fixture app;
  start(&app);
  open_socket(&app, "/echo");
  app.keeps = true;
  send_text(&app, "1");
  send_text(&app, "2");
  memory_peer_frame(&app.peer, WS_OPCODE_PING, BYTES("p"));
  send_text(&app, "3");
  assert_string_equal(take_trace(&app), "text(1) ");
  enum ws_opcode opcode;
  struct bytes payload;
  assert_true(memory_peer_next_frame(&app.peer, &opcode, &payload));
  assert_int_equal(opcode, WS_OPCODE_PONG);
  memory_peer_expect(&app.peer, NULL);
  for (int i = 1; i <= 3; i++) {
    char text[2] = {(char)('0' + i), '\0'};
    answer_kept(&app);
    memory_peer_expect(&app.peer, text);
  }
  assert_string_equal(take_trace(&app), "text(2) text(3) ");
  finish(&app);
}

/* A peer that sends more than the app handles is read no further, and nothing is lost. */
static void bounds_what_waits(void **state) {
  (void)state;
  enum { FRAMES = 4000 };
  struct fixture app;
  struct buffer out = {0};
  start(&app);
  open_socket(&app, "/echo");
  app.keeps = true;
  for (int i = 0; i < FRAMES; i++) {
    char text[16];
    snprintf(text, sizeof text, "%d", i);
    add_frame(&out, 0x81, text);
  }
  int64_t before = mw_live("request");
  memory_peer_send(&app.peer, buffer_bytes(&out));
  buffer_deinit(&out);
  assert_in_range(mw_live("request") - before, 10, 400);
  app.keeps = false;
  answer_kept(&app);
  for (int i = 0; i < FRAMES; i++) {
    char text[16];
    snprintf(text, sizeof text, "%d", i);
    memory_peer_expect(&app.peer, text);
  }
  memory_peer_expect(&app.peer, NULL);
  finish(&app);
}

/* Beyond the rate, the peer is read no further for a while, and nothing is lost. */
static void waits_beyond_its_rate(void **state) {
  (void)state;
  enum { FRAMES = 60, BURST = 20 };
  struct fixture app;
  struct buffer out = {0};
  int got = 0, seconds = 0;
  start_with(&app, &(struct mw_websocket_options){.rate = {10, BURST}}, NULL);
  open_socket(&app, "/echo");
  for (int i = 0; i < FRAMES; i++) {
    char text[16];
    snprintf(text, sizeof text, "%d", i);
    add_frame(&out, 0x81, text);
  }
  memory_peer_send(&app.peer, buffer_bytes(&out));
  buffer_deinit(&out);
  for (; got < FRAMES; seconds++) {
    enum ws_opcode opcode;
    struct bytes payload;
    assert_in_range(seconds, 0, 7);
    while (memory_peer_next_frame(&app.peer, &opcode, &payload)) assert_int_equal(atoi(payload.ptr), got++);
    assert_in_range(got, 1, BURST + seconds * 10 + 1);
    mw_server_advance(app.server, 1000);
    server_settle(app.server);
  }
  assert_in_range(seconds, 4, 7);
  struct mw_stats stats;
  mw_server_stats(app.server, &stats);
  assert_in_range(stats.limits[MW_LIMIT_WEBSOCKET_RATE], 1, FRAMES);
  finish(&app);
}

static void set_over_rate(struct mw_config_options *options) {
  options->limits.rate = (struct mw_rate){1, 3};
  options->rate_closes = true;
}

static void closes_beyond_the_rate_of_the_app(void **state) {
  (void)state;
  struct fixture app;
  start_with(&app, &(struct mw_websocket_options){0}, set_over_rate);
  open_socket(&app, "/echo");
  for (int i = 0; i < 3; i++) {
    memory_peer_frame(&app.peer, WS_OPCODE_TEXT, BYTES("x"));
    memory_peer_expect(&app.peer, "x");
  }
  memory_peer_frame(&app.peer, WS_OPCODE_TEXT, BYTES("x"));
  memory_peer_expect_close(&app.peer, WS_CLOSE_POLICY);
  finish(&app);
}

/* Large ones fill limits.input_backlog with their bytes, and not earlier. */
static void bounds_what_waits_by_its_bytes(void **state) {
  (void)state;
  enum { SIZE = 12000, FRAMES = 20 };
  struct fixture app;
  struct buffer out = {0};
  char header[WS_HEADER_MAX];
  start(&app);
  open_socket(&app, "/echo");
  app.keeps = true;
  for (int i = 0; i < FRAMES; i++) {
    size_t len = ws_frame_header(header, WS_OPCODE_TEXT, SIZE);
    header[1] = (char)(header[1] | 0x80);
    buffer_append(&out, bytes_of(header, len));
    buffer_append(&out, bytes_of("\0\0\0", 4));
    memset(buffer_reserve(&out, SIZE), 'a' + i, SIZE);
    out.len += SIZE;
  }
  int64_t before = mw_live("request");
  memory_peer_send(&app.peer, buffer_bytes(&out));
  buffer_deinit(&out);
  assert_int_equal(mw_live("request") - before, (64 << 10) / SIZE + 1);
  app.keeps = false;
  answer_kept(&app);
  for (int i = 0; i < FRAMES; i++) {
    enum ws_opcode opcode;
    struct bytes payload;
    assert_true(memory_peer_next_frame(&app.peer, &opcode, &payload));
    assert_int_equal(payload.len, SIZE);
    assert_int_equal(payload.ptr[SIZE - 1], 'a' + i);
  }
  memory_peer_expect(&app.peer, NULL);
  finish(&app);
}

static void set_large_backlog(struct mw_config_options *options) {
  options->limits.input_backlog = 64 << 20;
  options->limits.waiting = 100000;
}

/* However many wait behind one that took its time. */
static void goes_on_with_many(void **state) {
  (void)state;
  enum { FRAMES = 20000 };
  struct fixture app;
  struct buffer out = {0};
  start_with(&app, &(struct mw_websocket_options){.outbox = 64 << 20, .has_no_rate = true}, set_large_backlog);
  open_socket(&app, "/echo");
  app.keeps = true;
  int64_t before = mw_live("request");
  for (int i = 0; i < FRAMES; i++) add_frame(&out, 0x81, "x");
  memory_peer_send(&app.peer, buffer_bytes(&out));
  buffer_deinit(&out);
  assert_int_equal(mw_live("request") - before, FRAMES);
  app.keeps = false;
  answer_kept(&app);
  assert_int_equal(memory_peer_fetch(&app.peer).len, FRAMES * 3);
  finish(&app);
}

static void takes_large_messages(void **state) {
  (void)state;
  enum { SIZE = 3 << 20 };
  struct fixture app;
  enum ws_opcode opcode;
  struct bytes payload;
  char *data = malloc(SIZE);
  memset(data, 'x', SIZE);
  start_with(&app, &(struct mw_websocket_options){.message_size = SIZE, .outbox = 1000}, NULL);
  open_socket(&app, "/echo");
  memory_peer_frame(&app.peer, WS_OPCODE_BINARY, bytes_of(data, SIZE));
  assert_true(memory_peer_next_frame(&app.peer, &opcode, &payload));
  assert_bytes(payload, bytes_of(data, SIZE));
  memory_peer_frame(&app.peer, WS_OPCODE_BINARY, bytes_of(data, SIZE - 1));
  free(data);
  assert_true(memory_peer_next_frame(&app.peer, &opcode, &payload));
  send_text(&app, "more");
  memory_peer_expect(&app.peer, "more");
  finish(&app);
}

static void bounds_messages(void **state) {
  (void)state;
  struct fixture app;
  start_with(&app, &(struct mw_websocket_options){.message_size = 10, .frame_size = 5}, NULL);
  open_socket(&app, "/echo");
  memory_peer_ask(&app.peer, "12345", "12345");
  send_text(&app, "123456");
  memory_peer_expect_close(&app.peer, WS_CLOSE_TOO_BIG);
  assert_true(memory_peer_ended(&app.peer));
  assert_string_equal(take_trace(&app), "text(12345) close(1009 the frame is larger than the limit) ");
  finish(&app);
}

static void set_small_queue(struct mw_config_options *options) { options->limits.queue = 300 << 10; }

#define FULL "close(1013 the queue is full: limits.queue) "

/* Messages that do not end: what is held of them is bounded for all together, inflated as it is. */
static void bounds_what_is_unfinished(void **state) {
  (void)state;
  enum { PEERS = 4, SIZE = 100 << 10 };
  for (int is_native = 0; is_native < 2; is_native++) {
    struct fixture app;
    struct memory_peer peers[PEERS];
    struct buffer bomb = {0}, out = {0};
    char *zeros = calloc(1, SIZE);
    struct bytes part = bytes_of(zeros, SIZE);
    struct ws_deflater *deflater = ws_deflater_new(WS_WINDOW_15, false);
    assert_true(ws_deflater_message(deflater, &part, 1, &bomb));
    assert_in_range(bomb.len, 1, 125);
    buffer_append_char(&out, 0x42); /* binary, compressed, more will follow */
    buffer_append_char(&out, (char)(0x80 | bomb.len));
    buffer_append(&out, bytes_of("\0\0\0\0", 4));
    buffer_append(&out, buffer_bytes(&bomb));
    start_with(&app, &(struct mw_websocket_options){.message_size = SIZE}, set_small_queue);
    app.echoes = false;
    for (int i = 0; i < PEERS; i++) {
      assert_int_equal(ask(&app, is_native ? "/ws" : "/echo", "Sec-WebSocket-Extensions: permessage-deflate\r\n"), 101);
      peers[i] = app.peer;
    }
    take_trace(&app);
    for (int i = 0; i < PEERS; i++) memory_peer_send(&peers[i], buffer_bytes(&out));
    /* A message and what inflates it takes 140 KiB. */
    for (int i = 2; i < PEERS; i++) {
      memory_peer_expect_close(&peers[i], WS_CLOSE_TRY_LATER);
      assert_true(memory_peer_ended(&peers[i]));
      memory_peer_close(&peers[i]);
    }
    server_settle(app.server);
    assert_string_equal(take_trace(&app), is_native ? "" : FULL FULL);
    assert_int_equal(app.server->workers[0].http.unfinished.bytes, 2 * (SIZE + WS_INFLATER_SIZE));
    /* The others are not disturbed, and what they finish or leave is counted no more. */
    memory_peer_frame(&peers[0], WS_OPCODE_PING, BYTES(""));
    memory_peer_send(&peers[0], BYTES("\x80\x80\0\0\0\0"));
    assert_int_equal(app.server->workers[0].http.unfinished.bytes, SIZE + WS_INFLATER_SIZE);
    memory_peer_close(&peers[1]);
    server_settle(app.server);
    assert_int_equal(app.server->workers[0].http.unfinished.bytes, 0);
    assert_int_equal(connections(&app), 1);
    free(zeros);
    ws_deflater_free(deflater);
    buffer_deinit(&bomb);
    buffer_deinit(&out);
    app.peer = peers[0];
    finish(&app);
  }
}

static void set_queue_of_four(struct mw_config_options *options) { options->limits.queue = 4 * 1000 + WS_HEADER_MAX; }

/* What was let in can be sent back; what cannot is told at once. */
static void lets_in_what_can_be_echoed(void **state) {
  (void)state;
  enum { PEERS = 4, SIZE = 1000 };
  struct fixture app;
  struct memory_peer peers[PEERS];
  struct buffer out = {0};
  enum ws_opcode opcode;
  struct bytes payload;
  char data[SIZE];
  memset(data, 'x', SIZE);
  buffer_append(&out, bytes_of("\x82\xfe\x03\xe8\0\0\0\0", 8));
  buffer_append(&out, bytes_of(data, SIZE));
  start_with(&app, &(struct mw_websocket_options){0}, set_queue_of_four);
  for (int i = 0; i < PEERS; i++) {
    open_socket(&app, "/echo");
    peers[i] = app.peer;
  }
  app.keeps = true;
  for (int i = 0; i < PEERS; i++) memory_peer_send(&peers[i], buffer_bytes(&out));
  buffer_deinit(&out);
  memory_peer_expect_close(&peers[PEERS - 1], WS_CLOSE_TRY_LATER);
  assert_int_equal(app.kept_count, PEERS - 1);
  /* all in one turn */
  for (size_t i = 0; i < app.kept_count; i++) answer_message(&app, app.kept[i]);
  server_settle(app.server);
  for (int i = 0; i < PEERS; i++) {
    if (i < PEERS - 1) {
      assert_true(memory_peer_next_frame(&peers[i], &opcode, &payload));
      assert_bytes(payload, bytes_of(data, SIZE));
    }
    app.peer = peers[i];
    if (i < PEERS - 1) memory_peer_close(&app.peer);
  }
  finish(&app);
}

/* A peer that takes nothing: what was sent still goes out, then it is told why. */
static void closes_for_a_full_outbox(void **state) {
  (void)state;
  enum { COUNT = 100, SIZE = 2000 };
  struct fixture app;
  char data[SIZE];
  int sent = 0;
  memset(data, 'x', SIZE);
  start_with(&app, &(struct mw_websocket_options){.outbox = 50000}, NULL);
  open_socket(&app, "/echo");
  assert_int_equal(mw_socket_buffered(app.socket), 0);
  for (; sent < COUNT && mw_socket_send(app.socket, data, SIZE, true) == 0; sent++) {
    assert_true(mw_socket_buffered(app.socket) >= SIZE);
    server_settle(app.server);
  }
  assert_in_range(sent, 55, 60); /* what the memory holds, and the outbox */
  assert_int_equal(mw_socket_send(app.socket, data, SIZE, true), MW_ECLOSED);
  enum ws_opcode opcode;
  struct bytes payload;
  int came = 0;
  while (memory_peer_next_frame(&app.peer, &opcode, &payload) && opcode == WS_OPCODE_BINARY) came++;
  assert_int_equal(came, sent - 1);
  assert_int_equal(opcode, WS_OPCODE_CLOSE);
  assert_bytes(payload, BYTES("\x03\xf5too slow"));
  assert_string_equal(take_trace(&app), "close(1013 too slow) ");
  struct mw_stats stats;
  mw_server_stats(app.server, &stats);
  assert_int_equal(stats.slow_closed, 1);
  finish(&app);
}

/* More than an outbox in one turn is not too much for a peer that takes it. */
static void a_peer_that_reads_is_not_slow(void **state) {
  (void)state;
  enum { COUNT = 10, SIZE = 600 };
  struct fixture app;
  enum ws_opcode opcode;
  struct bytes payload;
  char data[SIZE];
  memset(data, 'x', SIZE);
  start_with(&app, &(struct mw_websocket_options){.outbox = 1000}, NULL);
  open_socket(&app, "/echo");
  for (int i = 0; i < COUNT; i++) assert_int_equal(mw_socket_send(app.socket, data, SIZE, true), 0);
  server_settle(app.server);
  for (int i = 0; i < COUNT; i++) {
    assert_true(memory_peer_next_frame(&app.peer, &opcode, &payload));
    assert_int_equal(payload.len, SIZE);
  }
  assert_false(memory_peer_ended(&app.peer));
  finish(&app);
}

static void follows_channels(void **state) {
  (void)state;
  struct fixture app;
  start(&app);
  open_socket(&app, "/echo");
  struct mw_publish news = {.channel = {"news", 4}, .event = {"said", 4}, .data = {"1", 1}, .is_volatile = true};
  assert_int_equal(mw_socket_subscribe(app.socket, "olds", 4), MW_ENOTFOUND);
  assert_int_equal(mw_socket_subscribe(app.socket, "news", 4), 0);
  assert_int_equal(mw_publish(app.server, &news, NULL, NULL), 0);
  server_settle(app.server);
  memory_peer_expect(&app.peer, "{\"channel\":\"news\",\"event\":\"said\",\"data\":1}");
  news.except = mw_socket_client(app.socket);
  assert_int_equal(mw_publish(app.server, &news, NULL, NULL), 0);
  news.except = NULL;
  assert_int_equal(mw_socket_unsubscribe(app.socket, "news", 4), 0);
  assert_int_equal(mw_publish(app.server, &news, NULL, NULL), 0);
  server_settle(app.server);
  memory_peer_expect(&app.peer, NULL);
  assert_int_equal(mw_channel_count(app.server, "news", 4, NULL), 0);
  finish(&app);
}

/* It follows a channel with members, and is none: no one would have been asked whether it may. */
static void is_no_member(void **state) {
  (void)state;
  struct fixture app;
  enum ws_opcode opcode;
  struct bytes payload;
  start(&app);
  open_socket(&app, "/echo");
  struct memory_peer raw = app.peer;
  assert_int_equal(mw_socket_subscribe(app.socket, "crowd", 5), 0);
  server_settle(app.server);
  memory_peer_expect(&raw, NULL);
  assert_int_equal(app.server->script.presences.count, 0);
  memory_peer_open(&app.peer, app.server);
  memory_peer_upgrade(&app.peer, NULL);
  send_text(&app, "{\"subscribe\":\"crowd\",\"ref\":1}");
  assert_true(memory_peer_next_frame(&raw, &opcode, &payload));
  assert_memory_equal(payload.ptr, "{\"channel\":\"crowd\",\"event\":\"moonwire:presence\",", 47);
  assert_non_null(strstr(payload.ptr, ",\"count\":1}}"));
  assert_int_equal(mw_socket_unsubscribe(app.socket, "crowd", 5), 0);
  server_settle(app.server);
  memory_peer_close(&raw);
  finish(&app);
}

/* ---- Closing --------------------------------------------------------------------------------- */

/* What came before the peer's close frame is answered before it. */
static void answers_before_it_closes(void **state) {
  (void)state;
  for (int is_error = 0; is_error < 2; is_error++) {
    struct fixture app;
    struct buffer out = {0};
    start(&app);
    open_socket(&app, "/echo");
    app.keeps = true;
    add_frame(&out, 0x81, "1");
    add_frame(&out, 0x81, "2");
    add_frame(&out, is_error ? 0xb1 : 0x88, "\x03\xe9on");
    add_frame(&out, 0x81, "3");
    memory_peer_send(&app.peer, buffer_bytes(&out));
    buffer_deinit(&out);
    memory_peer_expect(&app.peer, NULL);
    answer_kept(&app);
    memory_peer_expect(&app.peer, "1");
    memory_peer_expect(&app.peer, NULL);
    answer_kept(&app);
    memory_peer_expect(&app.peer, "2");
    memory_peer_expect_close(&app.peer, is_error ? 1002 : 1001);
    memory_peer_expect(&app.peer, NULL);
    assert_true(memory_peer_ended(&app.peer));
    assert_string_equal(take_trace(&app),
                        is_error ? "text(1) text(2) close(1002 reserved bit set) " : "text(1) text(2) close(1001 on) ");
    finish(&app);
  }
}

/* But not indefinitely. */
static void waits_for_the_app_so_long(void **state) {
  (void)state;
  struct fixture app;
  start(&app);
  open_socket(&app, "/echo");
  app.keeps = true;
  send_text(&app, "1");
  send_close(&app, 0);
  mw_server_advance(app.server, 4000);
  memory_peer_expect(&app.peer, NULL);
  mw_server_advance(app.server, 3000);
  server_settle(app.server);
  enum ws_opcode opcode;
  struct bytes payload;
  assert_true(memory_peer_next_frame(&app.peer, &opcode, &payload));
  assert_int_equal(opcode, WS_OPCODE_CLOSE);
  assert_int_equal(payload.len, 0);
  assert_true(memory_peer_ended(&app.peer));
  assert_string_equal(take_trace(&app), "text(1) cancel() ");
  app.echoes = false;
  answer_kept(&app);
  assert_string_equal(take_trace(&app), "close(1005 ) ");
  finish(&app);
}

/* An app that has copied a message gives its memory back before it answers. */
static void a_message_may_be_dropped_before_the_answer(void **state) {
  (void)state;
  enum { SIZE = 100000 };
  struct fixture app;
  char *data = calloc(1, SIZE);
  start_with(&app, &(struct mw_websocket_options){.message_size = SIZE}, NULL);
  open_socket(&app, "/echo");
  app.keeps = true;
  app.echoes = false;
  memory_peer_frame(&app.peer, WS_OPCODE_BINARY, bytes_of(data, SIZE));
  free(data);
  assert_int_equal(app.kept_count, 1);
  const struct mw_message *message = mw_request_message(app.kept[0]);
  assert_int_equal(message->binary.len, SIZE);
  mw_request_drop_message(app.kept[0]);
  assert_true(message->is_binary);
  assert_int_equal(message->binary.len, 0);
  assert_null(message->binary.ptr);
  answer_kept(&app);
  memory_peer_expect(&app.peer, NULL);
  finish(&app);
}

static char logged[500];

static void keep_log(void *context, enum mw_log_level level, const char *text, size_t text_len) {
  (void)context, (void)level;
  snprintf(logged, sizeof logged, "%.*s", (int)text_len, text);
}

/* An upgrade that the app does not answer is put off, and the app's author finds the route in the
 * log. */
static void an_upgrade_is_answered_in_time(void **state) {
  (void)state;
  struct fixture app;
  start(&app);
  logged[0] = '\0';
  mw_log_to(MW_LOG_WARNING, keep_log, NULL);
  app.keeps_upgrades = true;
  memory_peer_open(&app.peer, app.server);
  memory_peer_send_text(&app.peer, "GET /room/1 HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                                   "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
  assert_int_equal(app.kept_count, 1);
  mw_server_advance(app.server, 60000);
  assert_non_null(strstr(memory_peer_take(&app.peer), "the app did not answer in time"));
  assert_string_equal(logged, "the handler of /room/{id} did not answer within limits.answer_seconds (answer_ms in C)");
  mw_log_to(MW_LOG_INFO, NULL, NULL);
  mw_request_refuse(app.kept[--app.kept_count], 403, "forbidden", "late");
  finish(&app);
}

/* Nor longer if it goes on talking. */
static void is_not_held_up_by_talk(void **state) {
  (void)state;
  struct fixture app;
  start(&app);
  open_socket(&app, "/echo");
  app.keeps = true;
  send_text(&app, "1");
  send_close(&app, 1000);
  for (int i = 0; i < 7; i++) {
    assert_false(memory_peer_ended(&app.peer));
    memory_peer_frame(&app.peer, WS_OPCODE_TEXT, BYTES("and"));
    mw_server_advance(app.server, 1000);
    server_settle(app.server);
    if (app.peer.in.len > 0 || memory_peer_fetch(&app.peer).len > 0) break;
  }
  memory_peer_expect_close(&app.peer, 1000);
  assert_true(memory_peer_ended(&app.peer));
  app.echoes = false;
  answer_kept(&app);
  assert_string_equal(take_trace(&app), "text(1) cancel() close(1000 ) ");
  finish(&app);
}

/* The peer's close frame has already arrived when the app closes, or fails: nothing is awaited. */
static void ends_at_once_if_both_have_closed(void **state) {
  (void)state;
  for (int fails = 0; fails < 2; fails++) {
    struct fixture app;
    start(&app);
    open_socket(&app, "/echo");
    app.keeps = true;
    send_text(&app, "1");
    send_text(&app, "2");
    send_close(&app, 1000);
    memory_peer_expect(&app.peer, NULL);
    app.echoes = false;
    app.status = fails ? 500 : 0;
    if (!fails) assert_int_equal(mw_socket_close(app.socket, 4001, "bye"), 0);
    answer_kept(&app);
    memory_peer_expect_close(&app.peer, fails ? 1011 : 4001);
    assert_true(memory_peer_ended(&app.peer));
    while (app.kept_count > 0) answer_kept(&app);
    const char *trace = take_trace(&app);
    assert_non_null(strstr(trace, "close(1000 ) "));
    finish(&app);
  }
}

static void tells_the_whole_reason(void **state) {
  (void)state;
  struct fixture app;
  start(&app);
  open_socket(&app, "/echo");
  memory_peer_frame(&app.peer, WS_OPCODE_CLOSE,
                    BYTES("\x03\xe8"
                          "a\0b"));
  memory_peer_expect_close(&app.peer, 1000);
  assert_int_equal(app.reason_len, 3);
  finish(&app);
}

static void closes_by_the_app(void **state) {
  (void)state;
  struct fixture app;
  start(&app);
  open_socket(&app, "/echo");
  assert_int_equal(mw_socket_close(app.socket, 1005, NULL), MW_EINVAL);
  assert_int_equal(mw_socket_send(app.socket, "last", 4, false), 0);
  assert_int_equal(mw_socket_send(app.socket, "\xff", 1, false), MW_EINVAL);
  assert_int_equal(mw_socket_close(app.socket, 4001, "enough"), 0);
  assert_int_equal(mw_socket_close(app.socket, 4001, "enough"), MW_ECLOSED);
  assert_int_equal(mw_socket_send(app.socket, "later", 5, false), MW_ECLOSED);
  server_settle(app.server);
  memory_peer_expect(&app.peer, "last");
  memory_peer_expect_close(&app.peer, 4001);
  assert_string_equal(take_trace(&app), "close(4001 enough) ");
  /* Its messages are ignored, until it sends a close frame. */
  send_text(&app, "what?");
  memory_peer_frame(&app.peer, WS_OPCODE_PING, BYTES(""));
  memory_peer_expect(&app.peer, NULL);
  assert_false(memory_peer_ended(&app.peer));
  send_close(&app, 4001);
  memory_peer_expect(&app.peer, NULL);
  assert_true(memory_peer_ended(&app.peer));
  finish(&app);
}

static void closes_a_peer_that_does_not_answer(void **state) {
  (void)state;
  struct fixture app;
  start(&app);
  open_socket(&app, "/echo");
  memory_peer_send(&app.peer, BYTES("\x01\x83\0\0\0\0ab")); /* in the middle of a frame */
  assert_int_equal(mw_socket_close(app.socket, 1000, ""), 0);
  server_settle(app.server);
  memory_peer_expect_close(&app.peer, 1000);
  memory_peer_send(&app.peer, BYTES("c"));
  mw_server_advance(app.server, 4000);
  assert_false(memory_peer_ended(&app.peer));
  mw_server_advance(app.server, 3000);
  assert_true(memory_peer_ended(&app.peer));
  server_settle(app.server);
  assert_int_equal(connections(&app), 0);
  finish(&app);
}

static void closes_both_at_once(void **state) {
  (void)state;
  struct fixture app;
  start(&app);
  open_socket(&app, "/echo");
  assert_int_equal(mw_socket_close(app.socket, 4001, ""), 0);
  send_close(&app, 1000);
  assert_true(memory_peer_ended(&app.peer) || app.peer.in.len > 0);
  enum ws_opcode opcode;
  struct bytes payload;
  assert_true(memory_peer_next_frame(&app.peer, &opcode, &payload));
  assert_int_equal(opcode, WS_OPCODE_CLOSE);
  assert_false(memory_peer_next_frame(&app.peer, &opcode, &payload));
  assert_true(memory_peer_ended(&app.peer));
  finish(&app);
}

static void closes_for_a_handler_that_fails(void **state) {
  (void)state;
  static const struct {
    int status;
    unsigned code;
    const char *trace;
  } cases[] = {{500, 1011, "text(1) close(1011 ) "}, {403, 1008, "text(1) close(1008 you may not) "}};
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    struct fixture app;
    struct buffer out = {0};
    start(&app);
    open_socket(&app, "/echo");
    app.status = cases[i].status;
    app.echoes = false;
    add_frame(&out, 0x81, "1");
    add_frame(&out, 0x81, "2");
    memory_peer_send(&app.peer, buffer_bytes(&out));
    buffer_deinit(&out);
    memory_peer_expect_close(&app.peer, cases[i].code);
    assert_string_equal(take_trace(&app), cases[i].trace);
    /* The server goes on. */
    memory_peer_close(&app.peer);
    app.status = 0;
    app.echoes = true;
    open_socket(&app, "/echo");
    memory_peer_ask(&app.peer, "x", "x");
    finish(&app);
  }
}

/* What it said before it went is heard; then it is over. */
static void hears_who_has_gone(void **state) {
  (void)state;
  struct fixture app;
  start(&app);
  open_socket(&app, "/echo");
  app.keeps = true;
  app.echoes = false;
  send_text(&app, "1");
  send_text(&app, "2");
  mw_memory_finish(app.peer.memory);
  server_settle(app.server);
  assert_int_equal(mw_socket_send(app.socket, "x", 1, false), MW_ECLOSED);
  answer_kept(&app);
  answer_kept(&app);
  assert_string_equal(take_trace(&app), "text(1) cancel() text(2) cancel() close(1006 ) ");
  assert_int_equal(connections(&app), 0);
  finish(&app);
}

static void pings_a_silent_peer(void **state) {
  (void)state;
  struct fixture app;
  enum ws_opcode opcode;
  struct bytes payload;
  start_with(&app, &(struct mw_websocket_options){.ping_ms = 3000, .pong_ms = 2000}, NULL);
  open_socket(&app, "/echo");
  int64_t blobs = mw_live("blob") + 1; /* one frame for all */
  for (int i = 0; i < 3; i++) {
    mw_server_advance(app.server, 4000);
    assert_int_equal(mw_live("blob"), blobs);
    assert_true(memory_peer_next_frame(&app.peer, &opcode, &payload));
    assert_int_equal(opcode, WS_OPCODE_PING);
    memory_peer_frame(&app.peer, WS_OPCODE_PONG, payload);
  }
  /* Who speaks is not asked. */
  for (int i = 0; i < 5; i++) {
    mw_server_advance(app.server, 2000);
    memory_peer_ask(&app.peer, "x", "x");
  }
  mw_server_advance(app.server, 4000);
  server_settle(app.server);
  assert_int_equal(connections(&app), 1);
  mw_server_advance(app.server, 4000);
  server_settle(app.server);
  assert_int_equal(connections(&app), 0);
  take_trace(&app);
  finish(&app);
}

static void tells_when_the_server_stops(void **state) {
  (void)state;
  struct fixture app;
  start(&app);
  open_socket(&app, "/echo");
  mw_server_close_code(app.server, 1012);
  mw_server_stop(app.server, NULL, NULL);
  server_settle(app.server);
  memory_peer_expect_close(&app.peer, 1012);
  assert_true(memory_peer_ended(&app.peer));
  assert_string_equal(take_trace(&app), "close(1012 ) ");
  memory_peer_close(&app.peer);
  server_settle(app.server);
  mw_server_free(app.server);
  mw_socket_unref(app.socket);
}

/* ---- Definitions, memory --------------------------------------------------------------------- */

static void checks_definitions(void **state) {
  (void)state;
  static const char *const spaced[] = {"a b"}, *const twice[] = {"a", "a"}, *const nowhere[] = {"elsewhere"};
  static const struct {
    const char *pattern;
    struct mw_websocket_options options;
    int status;
    const char *text;
  } cases[] = {
      {"echo", {0}, MW_EINVAL, "echo: a route must begin with \"/\""},
      {"/a{", {0}, MW_EINVAL, NULL},
      {"/get", {0}, MW_EOVERLAP, NULL},
      {"/a", {.protocols = spaced, .protocol_count = 1}, MW_EINVAL, NULL},
      {"/a", {.protocols = twice, .protocol_count = 2}, MW_EINVAL, "a: listed twice"},
      {"/a", {.origins = nowhere, .origin_count = 1}, MW_EINVAL, NULL},
  };
  struct mw_config_options options;
  struct mw_config *config;
  mw_config_options_init(&options);
  assert_int_equal(mw_config_new(&config, &options, NULL), 0);
  assert_true(mw_config_route(config, "GET", "/get", NULL) > 0);
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    struct mw_error error = {""};
    assert_int_equal(mw_config_websocket(config, cases[i].pattern, &cases[i].options, &error), cases[i].status);
    if (cases[i].text) assert_string_equal(error.text, cases[i].text);
    assert_string_not_equal(error.text, "");
  }
  mw_config_unref(config);
}

static bool visit(void *context) {
  static const char said[] =
      "GET /echo HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
      "\x81\x85\0\0\0\0hello\x88\x80\0\0\0\0";
  struct fixture *app = context;
  struct mw_config_options options;
  struct mw_config *config = NULL;
  struct mw_memory *memory = NULL;
  bool fine = false;
  *app = (struct fixture){.forgives = true};
  mw_config_options_init(&options);
  options.on_request = on_request;
  options.on_cancel = on_cancel;
  options.context = app;
  if (mw_config_new(&config, &options, NULL) < 0) return false;
  static const char *const protocols[] = {"a", "b"};
  struct mw_websocket_options websocket = {.protocols = protocols, .protocol_count = 2, .deflate = {.min = 1}};
  if (mw_config_websocket(config, "/echo", &websocket, NULL) < 0) goto done;
  if (mw_server_new(&app->server, &(struct mw_server_options){.config = config}, NULL) < 0) goto done;
  if (mw_connect_memory(app->server, &memory) < 0) goto done;
  app->echoes = true;
  fine = mw_memory_write(memory, said, sizeof said - 1) == 0;
  server_settle(app->server);
  char out[4096];
  size_t len = mw_memory_read(memory, out, sizeof out);
  fine = fine && len > 9 && memcmp(out + len - 2, "\x88\0", 2) == 0 && memcmp(out + len - 7, "hello", 5) == 0;
done:
  mw_memory_close(memory);
  if (app->server) server_finish(app->server);
  mw_socket_unref(app->socket);
  mw_config_unref(config);
  return fine;
}

static void stands_a_lack_of_memory(void **state) {
  (void)state;
  struct fixture app;
  assert_true(support_fail_each(visit, &app) > 20);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(echoes),
      TEST(lets_the_app_refuse),
      TEST(authenticates_before),
      TEST(chooses_the_protocol),
      TEST(loses_nothing_at_the_upgrade),
      TEST(keeps_the_order),
      TEST(bounds_what_waits),
      TEST(bounds_what_waits_by_its_bytes),
      TEST(waits_beyond_its_rate),
      TEST(closes_beyond_the_rate_of_the_app),
      TEST(goes_on_with_many),
      TEST(takes_large_messages),
      TEST(bounds_messages),
      TEST(bounds_what_is_unfinished),
      TEST(lets_in_what_can_be_echoed),
      TEST(closes_for_a_full_outbox),
      TEST(a_peer_that_reads_is_not_slow),
      TEST(follows_channels),
      TEST(is_no_member),
      TEST(answers_before_it_closes),
      TEST(waits_for_the_app_so_long),
      TEST(is_not_held_up_by_talk),
      TEST(a_message_may_be_dropped_before_the_answer),
      TEST(an_upgrade_is_answered_in_time),
      TEST(ends_at_once_if_both_have_closed),
      TEST(tells_the_whole_reason),
      TEST(closes_by_the_app),
      TEST(closes_a_peer_that_does_not_answer),
      TEST(closes_both_at_once),
      TEST(closes_for_a_handler_that_fails),
      TEST(hears_who_has_gone),
      TEST(pings_a_silent_peer),
      TEST(tells_when_the_server_stops),
      TEST(checks_definitions),
      TEST(stands_a_lack_of_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
