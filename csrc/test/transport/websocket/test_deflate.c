/* Compressed WebSockets: what is published is deflated once for each size of window, and an idle
 * connection holds nothing for it. */
#include <stdlib.h>
#include <string.h>

#include "codec/ws/ws_deflate.h"
#include "test/support.h"
#include "test/support/memory_peer.h"

enum { PEERS_MAX = 64, TEXT_LEN = 1000 };

struct peer {
  struct memory_peer memory;
  struct ws_inflater *inflater; /* NULL: it speaks plain */
  struct ws_deflater *deflater;
  bool remembers; /* its inflater, from message to message */
};

struct app {
  struct mw_server *server;
  struct peer peers[PEERS_MAX];
  size_t peer_count;
};

static const char offer[] = "permessage-deflate";
static char text[TEXT_LEN + 1]; /* what is published: JSON that becomes smaller */

static void on_request(void *context, struct mw_request *request) {
  (void)context;
  mw_request_accept(request, NULL, 0);
}

static void start(struct app *app, const struct mw_deflate_options *deflate) {
  struct mw_config_options options;
  struct mw_config *config;
  *app = (struct app){NULL};
  mw_config_options_init(&options);
  options.on_request = on_request;
  if (deflate) options.deflate = *deflate;
  options.limits.message_size = options.limits.outbox = 4 << 20;
  assert_int_equal(mw_config_new(&config, &options, NULL), 0);
  assert_int_equal(mw_config_channel(config, "room", &(struct mw_channel_options){.history_size = 100}, NULL), 0);
  assert_int_equal(mw_server_new(&app->server, &(struct mw_server_options){.config = config}, NULL), 0);
  mw_config_unref(config);
  memset(text, 'x', TEXT_LEN);
  text[0] = text[TEXT_LEN - 1] = '"';
}

static void finish(struct app *app) {
  for (size_t i = 0; i < app->peer_count; i++) {
    memory_peer_close(&app->peers[i].memory);
    ws_inflater_free(app->peers[i].inflater);
    ws_deflater_free(app->peers[i].deflater);
  }
  server_finish(app->server);
}

/* Upgrades with that offer (NULL: none), to which the answer must be `agreed`. */
static struct peer *enter(struct app *app, const char *extensions, const char *agreed) {
  struct peer *peer = &app->peers[app->peer_count++];
  char line[200], wanted[200];
  struct buffer out = {0};
  *peer = (struct peer){.remembers = false};
  snprintf(line, sizeof line, "Sec-WebSocket-Extensions: %s\r\n", extensions ? extensions : "");
  buffer_append_format(
      &out,
      "GET /ws HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%s\r\n",
      extensions ? line : "");
  memory_peer_open(&peer->memory, app->server);
  memory_peer_send(&peer->memory, buffer_bytes(&out));
  buffer_deinit(&out);
  const char *answer = memory_peer_take(&peer->memory);
  assert_memory_equal(answer, "HTTP/1.1 101 ", 13);
  snprintf(wanted, sizeof wanted, "Sec-WebSocket-Extensions: %s\r\n", agreed ? agreed : "");
  if (agreed) {
    assert_non_null(strstr(answer, wanted));
    peer->inflater = ws_inflater_new();
  } else {
    assert_null(strstr(answer, "Extensions"));
  }
  return peer;
}

/* The next frame: its first byte, and its payload as it came and inflated. */
struct frame {
  unsigned first;
  size_t len;
  struct buffer text;
};

static bool next(struct peer *peer, struct frame *frame) {
  struct bytes in = memory_peer_fetch(&peer->memory);
  *frame = (struct frame){.first = 0};
  if (in.len < 2) return false;
  const unsigned char *at = (const unsigned char *)in.ptr;
  size_t header = at[1] == 127 ? 10 : at[1] == 126 ? 4 : 2;
  frame->first = at[0];
  frame->len = header == 2 ? at[1] : 0;
  for (size_t i = 2; i < header; i++) frame->len = frame->len << 8 | at[i];
  struct bytes payload = bytes_of(in.ptr + header, frame->len);
  if (frame->first & 0x40) {
    char chunk[4096];
    size_t len = sizeof chunk;
    if (!peer->remembers) ws_inflater_reset(peer->inflater);
    assert_int_equal(ws_inflater_feed(peer->inflater, &payload, chunk, &len), WS_INFLATE_MORE);
    buffer_append(&frame->text, bytes_of(chunk, len));
    len = sizeof chunk;
    assert_int_equal(ws_inflater_finish(peer->inflater, chunk, &len), WS_INFLATE_MORE);
    buffer_append(&frame->text, bytes_of(chunk, len));
  } else {
    buffer_append(&frame->text, payload);
  }
  buffer_append_char(&frame->text, '\0');
  buffer_consume(&peer->memory.in, header + frame->len);
  return true;
}

static bool contains(const struct frame *frame, const char *part) { return strstr(frame->text.data, part) != NULL; }

/* Takes one frame that has `part` in it; its length. */
static size_t expect(struct peer *peer, const char *part, bool is_compressed) {
  struct frame frame;
  assert_true(next(peer, &frame));
  if (!contains(&frame, part)) print_error("expected: %.60s\n     got: %.200s\n", part, frame.text.data);
  assert_true(contains(&frame, part));
  assert_int_equal((frame.first & 0x40) != 0, is_compressed);
  buffer_deinit(&frame.text);
  return frame.len;
}

static void tell(struct peer *peer, const char *object) {
  memory_peer_frame(&peer->memory, WS_OPCODE_TEXT, bytes_string(object));
}

static void subscribe(struct peer *peer) {
  tell(peer, "{\"subscribe\":\"room\",\"ref\":1}");
  expect(peer, "{\"ref\":1,\"ok\":{\"id\":", false);
}

/* Sends an object by the client's own deflater. */
static void tell_compressed(struct peer *peer, const char *object, bool takeover) {
  if (!peer->deflater) peer->deflater = ws_deflater_new(WS_WINDOW_15, takeover);
  struct buffer payload = {0}, out = {0};
  struct bytes part = bytes_string(object);
  assert_true(ws_deflater_message(peer->deflater, &part, 1, &payload));
  assert_true(payload.len < 126);
  buffer_append_char(&out, (char)0xc1);
  buffer_append_char(&out, (char)(0x80 | payload.len));
  buffer_append(&out, bytes_of("\0\0\0\0", 4));
  buffer_append(&out, buffer_bytes(&payload));
  memory_peer_send(&peer->memory, buffer_bytes(&out));
  buffer_deinit(&payload);
  buffer_deinit(&out);
}

static void publish(struct app *app, const char *data) {
  struct mw_publish message = {.channel = {"room", 4}, .data = {data, strlen(data)}};
  assert_int_equal(mw_publish(app->server, &message, NULL, NULL), 0);
}

static uint64_t deflated(struct app *app) {
  struct mw_stats stats;
  mw_server_stats(app->server, &stats);
  return stats.deflated;
}

/* ---- Once for everyone ----------------------------------------------------------------------- */

static void deflates_once_for_each_window(void **state) {
  (void)state;
  enum { MESSAGES = 20 };
  static const struct {
    const char *offer, *agreed;
    int count;
  } groups[] = {
      {"permessage-deflate", "permessage-deflate; server_no_context_takeover; client_no_context_takeover", 25},
      {"permessage-deflate; server_max_window_bits=14",
       "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=12", 15},
      {"permessage-deflate; server_max_window_bits=9",
       "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=9", 10},
      {NULL, NULL, 5},
  };
  struct app app;
  start(&app, NULL);
  for (size_t g = 0; g < COUNT_OF(groups); g++) {
    for (int i = 0; i < groups[g].count; i++) subscribe(enter(&app, groups[g].offer, groups[g].agreed));
  }
  assert_int_equal(deflated(&app), 0);
  for (int i = 0; i < MESSAGES; i++) {
    text[1] = (char)('a' + i);
    publish(&app, text);
    if (i % 3 == 0) server_settle(app.server); /* some turns bring several */
  }
  server_settle(app.server);
  assert_int_equal(deflated(&app), MESSAGES * 3);
  for (size_t p = 0; p < app.peer_count; p++) {
    for (int i = 0; i < MESSAGES; i++) {
      char part[16];
      snprintf(part, sizeof part, "\"data\":\"%cxxxx", 'a' + i);
      expect(&app.peers[p], part, app.peers[p].inflater != NULL);
    }
  }
  /* Who comes later gets the same. */
  struct peer *late = enter(&app, offer, groups[0].agreed);
  tell(late, "{\"subscribe\":\"room\",\"since\":\"0\"}");
  for (int i = 0; i < MESSAGES; i++) expect(late, "\"data\":\"", true);
  assert_int_equal(deflated(&app), MESSAGES * 3);
  finish(&app);
}

static void leaves_small_messages_plain(void **state) {
  (void)state;
  struct app app;
  start(&app, &(struct mw_deflate_options){.min = 100});
  struct peer *peer = enter(&app, offer, "permessage-deflate; server_no_context_takeover; client_no_context_takeover");
  subscribe(peer);
  int64_t blobs = mw_live("blob");
  publish(&app, "\"small\"");
  server_settle(app.server);
  assert_int_equal(mw_live("blob") - blobs, 1);
  expect(peer, "\"data\":\"small\"", false);
  publish(&app, "\"0123456789012345678901234567890123456789012345678901234567890123456789\"");
  server_settle(app.server);
  expect(peer, "56789\"", true);
  assert_int_equal(deflated(&app), 1);
  finish(&app);
}

/* What does not become smaller goes as it is. */
static void leaves_noise_plain(void **state) {
  (void)state;
  struct app app;
  char noise[400];
  start(&app, NULL);
  struct peer *peer = enter(&app, offer, "permessage-deflate; server_no_context_takeover; client_no_context_takeover");
  subscribe(peer);
  for (size_t i = 0; i < sizeof noise; i++) noise[i] = (char)(rand() >> 7);
  struct mw_publish message = {.channel = {"room", 4}, .data = {noise, sizeof noise}, .is_binary = true};
  assert_int_equal(mw_publish(app.server, &message, NULL, NULL), 0);
  server_settle(app.server);
  expect(peer, "\"event\":\"message\"", false);
  finish(&app);
}

/* What would keep others waiting goes as it is. */
static void leaves_huge_messages_plain(void **state) {
  (void)state;
  enum { MIB = 1 << 20 };
  static const char head[] = "{\"channel\":\"room\",\"event\":\"message\",\"id\":\"";
  for (int takeover = 0; takeover < 2; takeover++) {
    struct app app;
    char *zeros = calloc(1, MIB);
    start(&app, &(struct mw_deflate_options){.server_takeover = takeover});
    struct peer *peer = enter(&app, offer,
                              takeover ? "permessage-deflate; client_no_context_takeover"
                                       : "permessage-deflate; server_no_context_takeover; client_no_context_takeover");
    subscribe(peer);
    struct mw_publish message = {.channel = {"room", 4}, .data = {zeros, MIB}, .is_binary = true};
    assert_int_equal(mw_publish(app.server, &message, NULL, NULL), 0);
    server_settle(app.server);
    assert_true(expect(peer, head, false) > MIB);
    assert_int_equal(deflated(&app), 0);
    /* What follows is compressed again. */
    publish(&app, text);
    server_settle(app.server);
    expect(peer, "xxxx", true);
    free(zeros);
    finish(&app);
  }
}

static void compresses_what_goes_to_one(void **state) {
  (void)state;
  struct app app;
  start(&app, NULL);
  struct peer *peer = enter(&app, offer, "permessage-deflate; server_no_context_takeover; client_no_context_takeover");
  char object[600];
  snprintf(object, sizeof object, "{\"send\":\"%0250d\",\"event\":\"x\"}", 0);
  tell(peer, object);
  expect(peer, "\"not_found\"", true);
  assert_int_equal(deflated(&app), 1);
  finish(&app);
}

static void is_off_if_the_app_says_so(void **state) {
  (void)state;
  struct app app;
  start(&app, &(struct mw_deflate_options){.is_off = true});
  subscribe(enter(&app, offer, NULL));
  publish(&app, text);
  server_settle(app.server);
  expect(&app.peers[0], "xxxx", false);
  /* Whoever compresses all the same breaks the rules. */
  tell_compressed(&app.peers[0], "{\"ping\":true}", false);
  memory_peer_expect_close(&app.peers[0].memory, WS_CLOSE_PROTOCOL_ERROR);
  finish(&app);
}

/* ---- Memory ---------------------------------------------------------------------------------- */

/* Allocations that are held for subscribers which have sent and got compressed messages, and are
 * idle now. */
static int64_t held_by_idle(const char *extensions, const char *agreed) {
  enum { PEERS = 30 };
  struct app app;
  start(&app, NULL);
  for (int i = 0; i <= PEERS; i++) {
    struct peer *peer = enter(&app, extensions, agreed);
    subscribe(peer);
    if (agreed) {
      tell_compressed(peer, "{\"ping\":true,\"ref\":\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"}", false);
      expect(peer, "xxxx", false);
    }
    publish(&app, text);
    server_settle(app.server);
    for (int k = 0; k <= i; k++) expect(&app.peers[k], "xxxx", agreed != NULL);
  }
  /* What the peers of the test hold is theirs. */
  for (int i = 0; i <= PEERS; i++) {
    ws_inflater_free(app.peers[i].inflater);
    ws_deflater_free(app.peers[i].deflater);
    app.peers[i].inflater = NULL;
    app.peers[i].deflater = NULL;
  }
  int64_t all = mw_live("memory");
  for (int i = 0; i < PEERS; i++) mw_memory_finish(app.peers[i].memory.memory);
  server_settle(app.server);
  int64_t held = all - mw_live("memory");
  finish(&app);
  return held;
}

static void holds_nothing_for_the_idle(void **state) {
  (void)state;
  int64_t plain = held_by_idle(NULL, NULL);
  assert_true(plain > 0);
  assert_int_equal(held_by_idle(offer, "permessage-deflate; server_no_context_takeover; client_no_context_takeover"), plain);
}

/* ---- Takeover -------------------------------------------------------------------------------- */

static void takes_the_servers_context_over(void **state) {
  (void)state;
  struct app app;
  start(&app, &(struct mw_deflate_options){.server_takeover = true});
  for (size_t i = 0; i < 3; i++) {
    struct peer *peer = enter(&app, offer, "permessage-deflate; client_no_context_takeover");
    peer->remembers = true;
    subscribe(peer);
  }
  for (size_t i = 0; i < TEXT_LEN - 2; i++) text[i + 1] = (char)('a' + rand() % 26);
  for (int i = 0; i < 4; i++) publish(&app, text);
  publish(&app, "\"small\"");
  publish(&app, text);
  server_settle(app.server);
  assert_int_equal(deflated(&app), 5 * 3);
  for (size_t p = 0; p < 3; p++) {
    size_t first = expect(&app.peers[p], text, true);
    for (int i = 0; i < 3; i++) assert_true(expect(&app.peers[p], text, true) < first / 4);
    expect(&app.peers[p], "small", false);
    expect(&app.peers[p], text, true);
  }
  /* Who wants none of it gets none. */
  struct peer *modest = enter(&app, "permessage-deflate; server_no_context_takeover",
                              "permessage-deflate; server_no_context_takeover; client_no_context_takeover");
  subscribe(modest);
  publish(&app, text);
  publish(&app, text);
  server_settle(app.server);
  /* But for the digits of its id it is the same each time. */
  size_t one = expect(modest, text, true), other = expect(modest, text, true);
  assert_in_range(one, other - 4, other + 4);
  finish(&app);
}

static void takes_the_clients_context_over(void **state) {
  (void)state;
  static const char object[] = "{\"ping\":true,\"ref\":\"0123456789abcdefghijklmnopqrstuvwxyz\"}";
  struct app app;
  start(&app, &(struct mw_deflate_options){.client_takeover = true});
  struct peer *peer = enter(&app, offer, "permessage-deflate; server_no_context_takeover");
  for (int i = 0; i < 3; i++) {
    tell_compressed(peer, object, true);
    expect(peer, "abcdefgh", false);
    tell(peer, "{\"ping\":true,\"ref\":1}");
    expect(peer, "{\"ref\":1,\"ok\":true}", false);
  }
  finish(&app);
  start(&app, NULL);
  peer = enter(&app, offer, "permessage-deflate; server_no_context_takeover; client_no_context_takeover");
  tell_compressed(peer, object, true);
  expect(peer, "abcdefgh", false);
  tell_compressed(peer, object, true);
  memory_peer_expect_close(&peer->memory, WS_CLOSE_BAD_DATA);
  finish(&app);
}

/* ---- Memory that is not there ---------------------------------------------------------------- */

static bool visit(void *context) {
  const struct mw_deflate_options *deflate = context;
  struct app app = {NULL};
  struct mw_config_options options;
  struct mw_config *config = NULL;
  struct mw_memory *memory = NULL;
  bool fine = false;
  mw_config_options_init(&options);
  options.on_request = on_request;
  options.deflate = *deflate;
  if (mw_config_new(&config, &options, NULL) < 0) return false;
  if (mw_config_channel(config, "room", &(struct mw_channel_options){.history_size = 10}, NULL) < 0) goto done;
  if (mw_server_new(&app.server, &(struct mw_server_options){.config = config}, NULL) < 0) goto done;
  static const char said[] =
      "GET /ws HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
      "\x81\x94\0\0\0\0{\"subscribe\":\"room\"}";
  if (mw_connect_memory(app.server, &memory) < 0) goto done;
  fine = mw_memory_write(memory, said, sizeof said - 1) == 0;
  server_settle(app.server);
  struct mw_publish message = {.channel = {"room", 4}, .data = {text, TEXT_LEN}};
  fine = fine && mw_publish(app.server, &message, NULL, NULL) == 0;
  server_settle(app.server);
  char out[4096];
  size_t len = mw_memory_read(memory, out, sizeof out);
  fine = fine && len > 0 && memchr(out, 0xc1, len);
done:
  mw_memory_close(memory);
  if (app.server) server_finish(app.server);
  mw_config_unref(config);
  return fine;
}

static void stands_a_lack_of_memory(void **state) {
  (void)state;
  struct mw_deflate_options plain = {.min = 1}, takeover = {.server_takeover = true, .client_takeover = true};
  memset(text, 'x', TEXT_LEN);
  text[0] = text[TEXT_LEN - 1] = '"';
  assert_true(support_fail_each(visit, &plain) > 10);
  assert_true(support_fail_each(visit, &takeover) > 10);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(deflates_once_for_each_window), TEST(leaves_small_messages_plain),    TEST(leaves_noise_plain),
      TEST(leaves_huge_messages_plain),    TEST(compresses_what_goes_to_one),    TEST(is_off_if_the_app_says_so),
      TEST(holds_nothing_for_the_idle),    TEST(takes_the_servers_context_over), TEST(takes_the_clients_context_over),
      TEST(stands_a_lack_of_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
