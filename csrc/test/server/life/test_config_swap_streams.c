/* A configuration is replaced in the middle of what lasts: a file, the handshake of a raw WebSocket,
 * a poll that waits, streams, a channel with members, and one that is open. */
#define _XOPEN_SOURCE 700
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/server.h"
#include "test/support.h"
#include "test/support/memory_peer.h"

enum { FILE_BYTES = 300000 };

static struct mw_server *server;
static struct memory_peer peer;
static char folder[] = "/tmp/moonwire-swap-XXXXXX", path[64];

/* The handlers of one configuration. */
struct app_side {
  unsigned asked[32];      /* by type */
  struct mw_request *kept; /* a handshake */
  struct mw_stream *stream;
};
static struct app_side old_side, new_side;

static void on_close(void *context) { (void)context; }

static void on_request(void *context, struct mw_request *request) {
  struct app_side *side = context;
  enum mw_request_type type = mw_request_type(request);
  side->asked[type]++;
  if (type == MW_REQUEST_WEBSOCKET) {
    side->kept = request;
  } else if (type == MW_REQUEST_STREAM) {
    assert_int_equal(mw_request_stream(request, NULL, &side->stream, on_close, NULL, NULL), 0);
    assert_int_equal(mw_stream_send(side->stream, &(struct mw_stream_event){.data = {"1", 1}, .retry_ms = -1}), 0);
  } else {
    mw_request_accept(request, NULL, 0);
  }
}

static struct mw_config *make_config(struct app_side *side, bool has_routes, uint64_t linger_ms, size_t message_size) {
  struct mw_config_options options;
  struct mw_websocket_options websocket;
  struct mw_config *config;
  mw_config_options_init(&options);
  options.on_request = on_request;
  options.context = side;
  options.limits.ws_message_size = message_size;
  options.limits.ping_ms = UINT32_MAX;
  assert_int_equal(mw_config_new(&config, &options, NULL), 0);
  struct mw_channel_options room = {.history_size = 10};
  struct mw_channel_options members = {.presence = MW_PRESENCE_FULL, .presence_linger_ms = linger_ms};
  struct mw_channel_options open = {.hooks = MW_HOOK_OPEN | MW_HOOK_CLOSE, .linger_ms = linger_ms};
  assert_true(mw_config_channel(config, "room:{id}", &room, NULL) >= 0);
  assert_true(mw_config_channel(config, "members:{id}", &members, NULL) >= 0);
  assert_true(mw_config_channel(config, "open:{id}", &open, NULL) >= 0);
  if (!has_routes) return config;
  mw_websocket_options_init(&websocket);
  assert_true(mw_config_websocket(config, "/raw", &websocket, NULL) > 0);
  assert_true(mw_config_stream(config, "GET", "/stream", NULL) > 0);
  assert_int_equal(mw_config_static(config, "/files", folder, NULL, NULL), 0);
  return config;
}

static void swap(bool has_routes, uint64_t linger_ms, size_t message_size) {
  struct mw_config *config = make_config(&new_side, has_routes, linger_ms, message_size);
  assert_int_equal(bus_set_config(server, config), 0);
  mw_config_unref(config);
  server_settle(server);
  assert_ptr_equal(server->app.config, config);
}

static int begin(void **state) {
  int status = support_setup(state);
  old_side = new_side = (struct app_side){.kept = NULL};
  struct mw_config *config = make_config(&old_side, true, 5000, 1000);
  assert_int_equal(mw_server_new(&server, &(struct mw_server_options){.config = config}, NULL), 0);
  mw_config_unref(config);
  mw_server_advance(server, 1);
  memory_peer_open(&peer, server);
  return status;
}

static int end(void **state) {
  memory_peer_close(&peer);
  mw_stream_unref(old_side.stream);
  server_finish(server);
  return support_teardown(state);
}

static void publish(const char *channel, const char *data) {
  struct mw_publish publish = {.channel = {channel, strlen(channel)}, .data = {data, strlen(data)}};
  assert_int_equal(mw_publish(server, &publish, NULL, NULL), 0);
  server_settle(server);
}

/* The new one does not have its directory. */
static void a_file_is_sent_to_its_end(void **state) {
  (void)state;
  static const char request[] = "GET /files/large HTTP/1.1\r\nHost: a\r\n\r\n";
  mw_memory_write(peer.memory, request, strlen(request));
  char part[1000];
  size_t got = 0, taken = 0;
  while ((taken = mw_memory_read(peer.memory, part, sizeof part)) == 0) mw_server_step(server);
  got += taken;
  swap(false, 0, 1000);
  for (int i = 0; i < 100000 && got < FILE_BYTES; i++) {
    got += mw_memory_read(peer.memory, part, sizeof part);
    mw_server_step(server);
  }
  got += strlen(memory_peer_take(&peer));
  assert_true(got > FILE_BYTES && got < FILE_BYTES + 1000);
  memory_peer_send_text(&peer, request);
  assert_non_null(strstr(memory_peer_take(&peer), "HTTP/1.1 404"));
}

static void a_handshake_is_answered_by_who_was_asked(void **state) {
  (void)state;
  struct mw_socket *socket = NULL;
  memory_peer_send_text(&peer, "GET /raw HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                               "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
  assert_non_null(old_side.kept);
  swap(false, 0, 1000);
  assert_int_equal(mw_request_websocket(old_side.kept, &socket), 0);
  assert_int_equal(mw_socket_send(socket, "hello", 5, false), 0);
  server_settle(server);
  assert_memory_equal(memory_peer_take(&peer), "HTTP/1.1 101 ", 13);
  memory_peer_frame(&peer, WS_OPCODE_TEXT, BYTES("a message"));
  assert_int_equal(old_side.asked[MW_REQUEST_SOCKET_MESSAGE], 1);
  assert_int_equal(new_side.asked[MW_REQUEST_SOCKET_MESSAGE], 0);
  mw_socket_unref(socket);
}

static void a_poll_waits_on(void **state) {
  (void)state;
  memory_peer_send_text(&peer, "GET /poll?channel=room:1&since=0&wait=30 HTTP/1.1\r\nHost: a\r\n\r\n");
  swap(false, 0, 1000);
  assert_string_equal(memory_peer_take(&peer), "");
  publish("room:1", "7");
  const char *answer = memory_peer_take(&peer);
  assert_non_null(strstr(answer, "HTTP/1.1 200"));
  assert_non_null(strstr(answer, "\"data\":7"));
}

static void streams_go_on(void **state) {
  (void)state;
  struct memory_peer raw;
  memory_peer_open(&raw, server);
  memory_peer_send_text(&peer, "GET /sse?channel=room:1 HTTP/1.1\r\nHost: a\r\n\r\n");
  memory_peer_send_text(&raw, "GET /stream HTTP/1.1\r\nHost: a\r\n\r\n");
  memory_peer_take(&peer);
  assert_non_null(strstr(memory_peer_take(&raw), "data: 1\n"));
  swap(false, 0, 1000);
  publish("room:1", "7");
  assert_non_null(strstr(memory_peer_take(&peer), "data: 7\n"));
  assert_int_equal(mw_stream_send(old_side.stream, &(struct mw_stream_event){.data = {"2", 1}, .retry_ms = -1}), 0);
  server_settle(server);
  assert_non_null(strstr(memory_peer_take(&raw), "data: 2\n"));
  memory_peer_close(&raw);
}

static void join(const char *channel) {
  char text[64];
  snprintf(text, sizeof text, "{\"subscribe\":\"%s\"}", channel);
  memory_peer_frame(&peer, WS_OPCODE_TEXT, bytes_string(text));
}

static size_t members(void) { return mw_channel_presence(server, "members:1", 9, NULL, NULL, NULL, NULL); }

/* The next member that joins brings what the new one says. */
static void members_linger_as_the_new_one_says(void **state) {
  (void)state;
  struct memory_peer second;
  memory_peer_upgrade(&peer, NULL);
  join("members:1");
  assert_int_equal(members(), 1);
  swap(true, 60000, 1000);
  memory_peer_close(&peer);
  memory_peer_open(&peer, server);
  memory_peer_upgrade(&peer, NULL);
  join("members:1");
  second = peer;
  memory_peer_close(&second);
  peer = second;
  mw_server_advance(server, 10000);
  assert_int_equal(members(), 1); /* the first has left after 5 seconds, as the old one says */
  mw_server_advance(server, 60000);
  assert_int_equal(members(), 0);
  memory_peer_open(&peer, server);
}

static void a_channel_closes_as_the_new_one_says(void **state) {
  (void)state;
  memory_peer_upgrade(&peer, NULL);
  join("open:1");
  assert_int_equal(old_side.asked[MW_REQUEST_OPEN], 1);
  memory_peer_frame(&peer, WS_OPCODE_TEXT, BYTES("{\"unsubscribe\":\"open:1\"}"));
  swap(true, 0, 1000);
  join("open:1"); /* within its linger */
  memory_peer_frame(&peer, WS_OPCODE_TEXT, BYTES("{\"unsubscribe\":\"open:1\"}"));
  assert_int_equal(new_side.asked[MW_REQUEST_CLOSE], 1);
  assert_int_equal(old_side.asked[MW_REQUEST_CLOSE], 0);
  join("open:1");
  assert_int_equal(new_side.asked[MW_REQUEST_OPEN], 1);
}

/* Also those that the worker keeps itself. */
static void limits_are_the_new_ones(void **state) {
  (void)state;
  static char text[2000];
  memset(text, ' ', sizeof text);
  memory_peer_upgrade(&peer, NULL);
  swap(true, 0, 3000);
  memory_peer_frame(&peer, WS_OPCODE_TEXT, bytes_of(text, sizeof text));
  memory_peer_ask(&peer, "{\"ping\":true,\"ref\":1}",
                  "{\"error\":{\"code\":\"bad_request\",\"reason\":\"invalid JSON at byte 2000: unexpected end\"}}");
  memory_peer_expect(&peer, "{\"ref\":1,\"ok\":true}");
  swap(true, 0, 1000);
  memory_peer_frame(&peer, WS_OPCODE_TEXT, bytes_of(text, sizeof text));
  memory_peer_expect_close(&peer, 1009);
}

static int make_folder(void **state) {
  (void)state;
  assert_non_null(mkdtemp(folder));
  snprintf(path, sizeof path, "%s/large", folder);
  FILE *file = fopen(path, "w");
  assert_non_null(file);
  for (int i = 0; i < FILE_BYTES; i++) fputc('x', file);
  return fclose(file);
}

static int remove_folder(void **state) {
  (void)state;
  return unlink(path) == 0 ? rmdir(folder) : -1;
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void) {
  const struct CMUnitTest tests[] = {CASE(a_file_is_sent_to_its_end),
                                     CASE(a_handshake_is_answered_by_who_was_asked),
                                     CASE(a_poll_waits_on),
                                     CASE(streams_go_on),
                                     CASE(members_linger_as_the_new_one_says),
                                     CASE(a_channel_closes_as_the_new_one_says),
                                     CASE(limits_are_the_new_ones)};
  return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
