/* What a client costs that polls now and then and waits for nothing: a subscriber with a session,
 * and no connection. */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "test/support.h"
#include "test/support/memory_peer.h"

enum { CLIENTS = 256, BYTES_MAX = 830 };

/* ---- Counting -------------------------------------------------------------------------------- */

/* Each allocation has its size before it. */
enum { HEAD = 16 };

static size_t live_bytes, live_count;

static void *count_resize(void *context, void *ptr, size_t size) {
  (void)context;
  char *block = ptr ? (char *)ptr - HEAD : NULL;
  size_t before = 0;
  if (block) memcpy(&before, block, sizeof before);
  if (size == 0) {
    live_count--;
    live_bytes -= before;
    free(block);
    return NULL;
  }
  block = realloc(block, size + HEAD);
  if (!block) return NULL;
  live_count += !ptr;
  live_bytes += size - before;
  memcpy(block, &size, sizeof size);
  return block + HEAD;
}

/* ---- The server ------------------------------------------------------------------------------ */

static struct mw_server *start(void) {
  struct mw_config_options options;
  struct mw_config *config;
  struct mw_server *server;
  mw_config_options_init(&options);
  struct mw_channel_options plain = {.history_size = 1};
  assert_int_equal(mw_config_new(&config, &options, NULL), 0);
  assert_int_equal(mw_config_channel(config, "{x}", &plain, NULL), 0);
  assert_int_equal(mw_server_new(&server, &(struct mw_server_options){.config = config}, NULL), 0);
  mw_config_unref(config);
  mw_server_advance(server, 1);
  return server;
}

static void make_client(struct memory_peer *peer) {
  memory_peer_send_text(peer, "GET /poll?channel=a&client= HTTP/1.1\r\nHost: a\r\n\r\n");
  assert_non_null(strstr(memory_peer_take(peer), "\"client\":\""));
}

static size_t poll_clients(const struct mw_server *server) {
  struct mw_stats stats;
  mw_server_stats(server, &stats);
  return stats.poll_clients;
}

static void idle_ones_are_light(void **state) {
  (void)state;
  struct mw_server *server = start();
  struct memory_peer peer;
  memory_peer_open(&peer, server);
  make_client(&peer); /* what is made once is there */
  size_t bytes = live_bytes, count = live_count;
  for (int i = 0; i < CLIENTS; i++) make_client(&peer);
  assert_int_equal(poll_clients(server), CLIENTS + 1);
  size_t each = (live_bytes - bytes) / CLIENTS;
  print_message("%zu bytes in %.1f allocations for each idle poll client\n", each, (double)(live_count - count) / CLIENTS);
  assert_in_range(each, 1, BYTES_MAX);
  mw_server_advance(server, 32000);
  server_settle(server);
  assert_int_equal(poll_clients(server), 0);
  memory_peer_close(&peer);
  server_finish(server);
}

int main(void) {
  memory_set_allocator(count_resize, NULL);
  const struct CMUnitTest tests[] = {TEST(idle_ones_are_light)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
