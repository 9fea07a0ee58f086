/* Answers of the verb history and of polls: at most 256 KiB of messages each, from forms that are
 * encoded once for all who ask, and not compressed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/server.h"
#include "test/support.h"
#include "test/support/memory_peer.h"

enum { MESSAGES = 20, MESSAGE_BYTES = 40000, MOST = 256 * 1024, ASKERS = 10 };

static struct mw_server *server;

static void begin(void) {
  struct mw_config_options options;
  struct mw_config *config;
  mw_config_options_init(&options);
  assert_int_equal(mw_config_new(&config, &options, NULL), 0);
  struct mw_channel_options room = {.history_size = 100, .history_readable = true};
  assert_true(mw_config_channel(config, "room:{x}", &room, NULL) >= 0);
  assert_int_equal(mw_server_new(&server, &(struct mw_server_options){.config = config}, NULL), 0);
  mw_config_unref(config);
  mw_server_advance(server, 0);
  char *data = malloc(MESSAGE_BYTES + 1);
  assert_non_null(data);
  memset(data, '1', MESSAGE_BYTES);
  for (int i = 0; i < MESSAGES; i++) {
    struct mw_publish what = {.channel = {"room:1", 6}, .data = {data, MESSAGE_BYTES}};
    assert_int_equal(mw_publish(server, &what, NULL, NULL), 0);
  }
  free(data);
  server_settle(server);
}

/* Bytes of an answer, and whether it says that there is more. */
static size_t size_of_poll(bool *more) {
  struct memory_peer peer;
  memory_peer_open(&peer, server);
  memory_peer_send_text(&peer, "GET /poll?channel=room:1&since=0 HTTP/1.1\r\nHost: a\r\n\r\n");
  const char *answer = memory_peer_take(&peer);
  size_t size = strlen(answer);
  assert_memory_equal(answer, "HTTP/1.1 200 OK\r\n", 17);
  *more = strstr(answer, "\"more\":true,") != NULL;
  memory_peer_close(&peer);
  return size;
}

static void upgrade_compressed(struct memory_peer *peer) {
  memory_peer_open(peer, server);
  memory_peer_send_text(
      peer, "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n");
  assert_non_null(strstr(memory_peer_take(peer), "permessage-deflate"));
  memory_peer_frame(peer, WS_OPCODE_TEXT, BYTES("{\"subscribe\":\"room:1\"}"));
  memory_peer_take(peer);
}

static size_t size_of_history(bool *more) {
  static const char end[] = "\"more\":true}}";
  struct memory_peer peer;
  upgrade_compressed(&peer);
  memory_peer_frame(&peer, WS_OPCODE_TEXT, BYTES("{\"history\":\"room:1\",\"limit\":100,\"ref\":1}"));
  struct bytes in = memory_peer_fetch(&peer);
  assert_true(in.len > sizeof end);
  assert_int_equal((unsigned char)in.ptr[0], 0x81); /* without the bit of compression */
  *more = memcmp(in.ptr + in.len - (sizeof end - 1), end, sizeof end - 1) == 0;
  size_t size = in.len;
  memory_peer_close(&peer);
  return size;
}

static void hold_for(size_t (*size_of)(bool *more)) {
  bool more;
  begin();
  size_t before = atomic_load(&server->store.late_bytes);
  size_t size = size_of(&more);
  assert_true(more);
  assert_in_range(size, MOST - MESSAGE_BYTES, MOST + 1000);
  /* What was encoded for the first one stays with the messages; the others take it from there. */
  size_t after = atomic_load(&server->store.late_bytes);
  assert_true(after >= before + MOST - MESSAGE_BYTES - 1000);
  for (int i = 1; i < ASKERS; i++) assert_int_equal(size_of(&more), size);
  assert_int_equal(atomic_load(&server->store.late_bytes), after);
  server_finish(server);
}

static void a_poll_is_bounded_and_shared(void **state) {
  (void)state;
  hold_for(size_of_poll);
}

static void a_history_is_bounded_and_shared(void **state) {
  (void)state;
  hold_for(size_of_history);
}

int main(void) {
  const struct CMUnitTest tests[] = {TEST(a_poll_is_bounded_and_shared), TEST(a_history_is_bounded_and_shared)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
