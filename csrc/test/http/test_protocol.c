/* A whole server that speaks a protocol with many exchanges per connection
 * (test/support/toy_protocol.h): event streams, a poll, and a WebSocket share one. Nothing of
 * the server knows of it. */
#include "server/server.h"
#include "test/support.h"
#include "test/support/memory_peer.h"
#include "test/support/toy_peer.h"

enum { A = 1, B, ENVELOPE, POLL, SOCKET, HEALTH, NOTHING, LATER };

static struct mw_server *server;

static struct mw_server *make_server(void) {
  struct mw_config_options options;
  struct mw_config *config = NULL;
  struct mw_server *made = NULL;
  mw_config_options_init(&options);
  struct mw_channel_options kept = {.history_size = 1000, .outbox = 4096};
  struct mw_channel_options closing = {.slow = MW_SLOW_CLOSE, .outbox = 4096};
  struct mw_channel_options dropping = {.slow = MW_SLOW_DROP, .outbox = 4096};
  int status = mw_config_new(&config, &options, NULL);
  if (status == 0) status = mw_config_channel(config, "kept:{name}", &kept, NULL);
  if (status >= 0) status = mw_config_channel(config, "closing", &closing, NULL);
  if (status >= 0) status = mw_config_channel(config, "dropping", &dropping, NULL);
  if (status >= 0) status = mw_server_new(&made, &(struct mw_server_options){.config = config}, NULL);
  if (status >= 0) mw_server_advance(made, 0);
  if (config) mw_config_unref(config);
  return made;
}

static void begin(struct toy_peer *peer) {
  server = make_server();
  assert_non_null(server);
  toy_stats = (struct toy_stats){0};
  assert_true(toy_peer_open(peer, server));
}

static void end(struct toy_peer *peer) {
  toy_peer_close(peer);
  server_settle(server);
  assert_int_equal(toy_stats.exchanges, 0);
  server_finish(server);
}

/* A message that says its number, with `padding` bytes. */
static int publish(const char *channel, unsigned number, size_t padding) {
  static char data[4096];
  int len = snprintf(data, sizeof data, "\"<%u>", number);
  memset(data + len, '.', padding);
  data[(size_t)len + padding] = '"';
  struct mw_publish message = {.channel = {channel, strlen(channel)}, .data = {data, (size_t)len + padding + 1}};
  char id[MW_ID_MAX];
  return mw_publish(server, &message, id, NULL);
}

/* Every message from `first` to `last` came, once, and in order; how many bytes of the body that
 * took. */
static size_t expect_run(struct toy_peer *peer, unsigned number, unsigned first, unsigned last, size_t from) {
  const struct toy_text *body = &peer->views[number].body;
  for (unsigned i = first; i <= last; i++) {
    char text[16];
    size_t len = (size_t)snprintf(text, sizeof text, "<%u>", i);
    while (from + len <= body->len && body->data[from] != '<') from++;
    assert_true(from + len <= body->len);
    assert_memory_equal(body->data + from, text, len);
    from += len;
  }
  while (from < body->len) assert_int_not_equal(body->data[from++], '<');
  return from;
}

/* ---- Many at once --------------------------------------------------------------------------------------------------------- */

static void all_kinds_share_a_connection(void **state) {
  (void)state;
  struct toy_peer peer;
  begin(&peer);
  toy_peer_allow(&peer, 0, TOY_OPEN);
  toy_peer_get(&peer, A, TOY_OPEN, "/sse?channel=kept:a", "");
  toy_peer_get(&peer, B, TOY_OPEN, "/sse?channel=kept:b", "");
  toy_peer_get(&peer, ENVELOPE, TOY_OPEN, "/sse?channel=kept:a&channel=kept:b&envelope=1", "");
  toy_peer_get(&peer, POLL, TOY_OPEN, "/poll?channel=kept:b&since=0&wait=20", "");
  toy_peer_upgrade(&peer, SOCKET, TOY_OPEN);
  toy_peer_get(&peer, HEALTH, TOY_OPEN, "/health", "");
  toy_peer_get(&peer, NOTHING, TOY_OPEN, "/nothing", "");
  toy_peer_say(&peer, SOCKET, "{\"subscribe\":\"kept:a\",\"ref\":1}", 1);
  toy_peer_settle(&peer);
  assert_int_equal(server->workers[0].http.conn_count, 1);
  assert_int_equal(toy_stats.exchanges, 4 + (peer.views[POLL].ended ? 0 : 1));
  assert_int_equal(peer.views[HEALTH].status, 200);
  assert_true(peer.views[HEALTH].ended);
  assert_bytes_string(bytes_of(peer.views[HEALTH].body.data, peer.views[HEALTH].body.len), "{\"status\":\"ok\"}\n");
  assert_int_equal(peer.views[NOTHING].status, 404);
  assert_true(peer.views[NOTHING].ended);
  assert_int_equal(peer.views[SOCKET].status, 101);
  assert_int_equal(toy_peer_count(&peer, SOCKET, "\"ref\":1"), 1);
  size_t writes = toy_stats.writes;
  for (unsigned i = 1; i <= 9; i++) assert_int_equal(publish(i % 3 ? "kept:a" : "kept:b", i, 0), 0);
  toy_peer_settle(&peer);
  /* All of a turn leaves in one write. */
  assert_in_range(toy_stats.writes - writes, 1, 3);
  expect_run(&peer, ENVELOPE, 1, 9, 0);
  assert_int_equal(toy_peer_count(&peer, A, "<"), 6);
  assert_int_equal(toy_peer_count(&peer, B, "<"), 3);
  assert_int_equal(toy_peer_count(&peer, SOCKET, "<"), 6);
  end(&peer);
}

/* A client that polls gets what comes while it waits, beside streams that wait as well. */
static void a_poll_waits_beside_streams(void **state) {
  (void)state;
  struct toy_peer peer;
  char target[80], id[MW_ID_MAX];
  begin(&peer);
  toy_peer_allow(&peer, 0, TOY_OPEN);
  assert_int_equal(mw_publish(server, &(struct mw_publish){.channel = {"kept:b", 6}, .data = {"0", 1}}, id, NULL), 0);
  snprintf(target, sizeof target, "/poll?channel=kept:b&since=%s&wait=20", id);
  toy_peer_get(&peer, A, TOY_OPEN, "/sse?channel=kept:b", "");
  toy_peer_get(&peer, POLL, 1, target, "");
  toy_peer_settle(&peer);
  assert_int_equal(peer.views[POLL].status, 0);
  publish("kept:b", 1, 0);
  toy_peer_settle(&peer);
  assert_int_equal(peer.views[POLL].status, 200);
  assert_int_equal(peer.views[POLL].body.len, 1);
  assert_false(peer.views[POLL].ended);
  toy_peer_allow(&peer, POLL, TOY_OPEN);
  toy_peer_settle(&peer);
  assert_true(peer.views[POLL].ended);
  expect_run(&peer, POLL, 1, 1, 0);
  expect_run(&peer, A, 1, 1, 0);
  end(&peer);
}

/* ---- Windows -------------------------------------------------------------------------------------------------------------- */

/* Windows of a byte or a few, for each exchange and for all, that open at random: whatever is
 * taken, nothing is lost, doubled, or moved. */
static void small_windows_lose_nothing(void **state) {
  (void)state;
  enum { MESSAGES = 60 };
  struct toy_peer peer;
  uint32_t random = 12345;
  begin(&peer);
  toy_peer_get(&peer, A, 0, "/sse?channel=kept:a", "");
  toy_peer_get(&peer, B, 1, "/sse?channel=kept:a", "");
  toy_peer_get(&peer, ENVELOPE, 3, "/sse?channel=kept:a&envelope=1", "");
  toy_peer_upgrade(&peer, SOCKET, 1);
  toy_peer_say(&peer, SOCKET, "{\"subscribe\":\"kept:a\",\"ref\":1}", 3);
  toy_peer_settle(&peer);
  for (unsigned i = 1; i <= MESSAGES; i++) {
    assert_int_equal(publish("kept:a", i, i % 7 * 40), 0);
    for (unsigned k = 0; k < 6; k++) {
      random = random * 1103515245 + 12345;
      toy_peer_allow(&peer, (random >> 16) % 6 == 4 ? 0 : (random >> 16) % 6, 1 + (random >> 8) % (k == 0 ? 300 : 3));
      if (random & 64) toy_peer_settle(&peer);
    }
  }
  assert_true(toy_stats.short_takes > 20 && toy_stats.held > 20 && toy_stats.ready > 20);
  for (unsigned i = 0; i <= SOCKET; i++) toy_peer_allow(&peer, i, TOY_OPEN);
  for (int i = 0; i < 20; i++) toy_peer_settle(&peer);
  expect_run(&peer, A, 1, MESSAGES, 0);
  expect_run(&peer, B, 1, MESSAGES, 0);
  expect_run(&peer, ENVELOPE, 1, MESSAGES, 0);
  expect_run(&peer, SOCKET, 1, MESSAGES, 0);
  assert_int_equal(toy_peer_count(&peer, A, "moonwire:gap"), 0);
  end(&peer);
}

/* Each slow one meets the policy of its channel; a quick one on the same connection loses
 * nothing and waits for no one. */
static void the_slow_meet_their_policy(void **state) {
  (void)state;
  enum { MESSAGES = 100 };
  static const char *const channels[] = {"kept:a", "closing", "dropping"};
  struct toy_peer peer;
  begin(&peer);
  toy_peer_allow(&peer, 0, TOY_OPEN);
  for (unsigned i = 0; i < 3; i++) {
    char target[64];
    snprintf(target, sizeof target, "/sse?channel=%s", channels[i]);
    toy_peer_get(&peer, 1 + 2 * i, 1, target, "");
    toy_peer_get(&peer, 2 + 2 * i, TOY_OPEN, target, "");
  }
  toy_peer_settle(&peer);
  for (unsigned i = 1; i <= MESSAGES; i++) {
    for (unsigned k = 0; k < 3; k++) assert_int_equal(publish(channels[k], i, 200), 0);
    toy_peer_settle(&peer);
    for (unsigned k = 0; k < 3; k++) expect_run(&peer, 2 + 2 * k, 1, i, 0);
  }
  struct mw_stats stats;
  mw_server_stats(server, &stats);
  assert_int_equal(stats.slow_closed, 1);
  assert_true(stats.slow_dropped > 0);
  for (unsigned k = 0; k < 3; k++) {
    assert_true(peer.views[1 + 2 * k].body.len <= 1);
    toy_peer_allow(&peer, 1 + 2 * k, TOY_OPEN);
  }
  for (int i = 0; i < 5; i++) toy_peer_settle(&peer);
  for (unsigned k = 0; k < 3; k++) assert_int_equal(publish(channels[k], MESSAGES + 1, 200), 0);
  toy_peer_settle(&peer);
  expect_run(&peer, 1, 1, MESSAGES + 1, 0);
  assert_true(peer.views[3].ended);
  assert_false(peer.views[1].ended || peer.views[5].ended);
  assert_int_equal(toy_peer_count(&peer, 5, "moonwire:gap"), 1);
  assert_in_range(toy_peer_count(&peer, 5, "<"), 1, MESSAGES);
  assert_int_equal(toy_peer_count(&peer, 5, "<101>"), 1);
  end(&peer);
}

/* ---- Ends ----------------------------------------------------------------------------------------------------------------- */

static void one_is_reset_while_others_go_on(void **state) {
  (void)state;
  struct toy_peer peer;
  begin(&peer);
  toy_peer_allow(&peer, 0, TOY_OPEN);
  toy_peer_get(&peer, A, TOY_OPEN, "/sse?channel=kept:a", "");
  toy_peer_get(&peer, B, 1, "/sse?channel=kept:a", "");
  toy_peer_get(&peer, POLL, TOY_OPEN, "/poll?channel=kept:none&since=0&wait=20", "");
  toy_peer_upgrade(&peer, SOCKET, TOY_OPEN);
  toy_peer_say(&peer, SOCKET, "{\"subscribe\":\"kept:a\",\"ref\":1}", 100);
  toy_peer_settle(&peer);
  publish("kept:a", 1, 0);
  toy_peer_send(&peer, TOY_RESET, B, BYTES(""));
  toy_peer_send(&peer, TOY_RESET, POLL, BYTES(""));
  toy_peer_settle(&peer);
  assert_true(peer.views[B].was_reset);
  publish("kept:a", 2, 0);
  toy_peer_send(&peer, TOY_RESET, SOCKET, BYTES(""));
  toy_peer_get(&peer, LATER, TOY_OPEN, "/health", "");
  toy_peer_settle(&peer);
  assert_true(peer.views[SOCKET].was_reset);
  assert_true(peer.views[LATER].ended);
  expect_run(&peer, A, 1, 2, 0);
  assert_int_equal(toy_stats.exchanges, 1);
  end(&peer);
}

/* Deadlines are of the exchange: one is kept alive, one is given up, one is sent a ping, on
 * one connection. */
static void each_has_its_deadline(void **state) {
  (void)state;
  struct toy_peer peer;
  begin(&peer);
  toy_peer_allow(&peer, 0, TOY_OPEN);
  toy_peer_get(&peer, A, TOY_OPEN, "/sse?channel=kept:a", "");
  toy_peer_get(&peer, B, 1, "/sse?channel=kept:a", "");
  toy_peer_upgrade(&peer, SOCKET, TOY_OPEN);
  toy_peer_settle(&peer);
  publish("kept:a", 1, 0);
  toy_peer_settle(&peer);
  size_t len = peer.views[SOCKET].body.len;
  for (int i = 0; i < 33; i++) {
    mw_server_advance(server, 1000);
    toy_peer_settle(&peer);
  }
  assert_int_equal(toy_peer_count(&peer, A, ":\n"), 2); /* after 15 seconds each */
  assert_true(peer.views[B].was_reset);                 /* took nothing for 30 */
  assert_true(peer.views[SOCKET].body.len > len);       /* pinged after 25 */
  assert_false(peer.views[A].ended || peer.views[SOCKET].was_reset);
  struct mw_stats stats;
  mw_server_stats(server, &stats);
  assert_int_equal(stats.dead_closed, 1);
  end(&peer);
}

static void stopping_ends_all(void **state) {
  (void)state;
  struct toy_peer peer;
  begin(&peer);
  toy_peer_allow(&peer, 0, TOY_OPEN);
  toy_peer_get(&peer, A, TOY_OPEN, "/sse?channel=kept:a", "");
  toy_peer_upgrade(&peer, SOCKET, TOY_OPEN);
  toy_peer_settle(&peer);
  mw_server_stop(server, NULL, NULL);
  for (int i = 0; i < 3; i++) toy_peer_settle(&peer);
  assert_true(peer.views[A].ended && peer.views[SOCKET].ended);
  assert_memory_equal(peer.views[SOCKET].body.data + peer.views[SOCKET].body.len - 4, "\x88\x02\x03\xe9", 4);
  toy_peer_close(&peer);
  server_settle(server);
  assert_int_equal(toy_stats.exchanges, 0);
  mw_server_free(server);
}

/* ---- Input ---------------------------------------------------------------------------------------------------------------- */

/* More verbs than one turn handles: the role leaves the rest, which comes again, in order, while
 * others are served. */
static void what_was_not_taken_comes_again(void **state) {
  (void)state;
  enum { VERBS = 2000 };
  struct toy_peer peer;
  begin(&peer);
  toy_peer_allow(&peer, 0, TOY_OPEN);
  toy_peer_upgrade(&peer, SOCKET, TOY_OPEN);
  for (unsigned i = 1; i <= VERBS; i++) {
    char text[64];
    snprintf(text, sizeof text, "{\"ping\":true,\"ref\":\"<%u>\"}", i);
    toy_peer_say(&peer, SOCKET, text, 29);
  }
  toy_peer_get(&peer, HEALTH, TOY_OPEN, "/health", "");
  for (int i = 0; i < 5; i++) toy_peer_settle(&peer);
  expect_run(&peer, SOCKET, 1, VERBS, 0);
  assert_true(peer.views[HEALTH].ended);
  assert_true(toy_stats.partly_read > 0);
  end(&peer);
}

/* ---- Memory --------------------------------------------------------------------------------------------------------------- */

/* Whatever allocation fails: a stream that is still there has every message from the one that it
 * began with, up to where it is. */
static bool run_without_memory(void *context) {
  enum { MESSAGES = 6 };
  struct toy_peer peer;
  (void)context;
  server = make_server();
  if (!server) return false;
  toy_stats = (struct toy_stats){0};
  bool fine = toy_peer_open(&peer, server);
  if (fine) {
    toy_peer_allow(&peer, 0, TOY_OPEN);
    toy_peer_get(&peer, A, 1, "/sse?channel=kept:a", "");
    toy_peer_get(&peer, B, TOY_OPEN, "/sse?channel=kept:a&envelope=1", "");
    toy_peer_upgrade(&peer, SOCKET, TOY_OPEN);
    toy_peer_say(&peer, SOCKET, "{\"subscribe\":\"kept:a\",\"ref\":1}", 5);
    toy_peer_settle(&peer);
    unsigned published = 0;
    for (unsigned i = 1; i <= MESSAGES; i++) published += publish("kept:a", published + 1, 30) == 0;
    toy_peer_allow(&peer, A, TOY_OPEN);
    for (int i = 0; i < 4; i++) toy_peer_settle(&peer);
    bool is_connected = server->workers[0].http.conn_count == 1;
    for (unsigned i = A; i <= SOCKET; i++) {
      const struct toy_view *view = &peer.views[i];
      if (i == ENVELOPE || i == POLL) continue;
      bool is_in = is_connected && view->status > 0 && view->status < 300 && !view->ended && !view->was_reset;
      if (i == SOCKET) is_in = is_in && toy_peer_count(&peer, i, "\"ref\":1") > toy_peer_count(&peer, i, "\"error\"");
      if (is_in) expect_run(&peer, i, 1, published, 0);
      fine = fine && is_in;
    }
    fine = fine && published == MESSAGES;
  }
  toy_peer_close(&peer);
  server_settle(server);
  assert_int_equal(toy_stats.exchanges, 0);
  server_finish(server);
  return fine;
}

static void memory_may_fail_anywhere(void **state) {
  (void)state;
  assert_true(support_fail_each(run_without_memory, NULL) > 100);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(all_kinds_share_a_connection),
      TEST(a_poll_waits_beside_streams),
      TEST(small_windows_lose_nothing),
      TEST(the_slow_meet_their_policy),
      TEST(one_is_reset_while_others_go_on),
      TEST(each_has_its_deadline),
      TEST(stopping_ends_all),
      TEST(what_was_not_taken_comes_again),
      TEST(memory_may_fail_anywhere),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
