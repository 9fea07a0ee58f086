/* Clients of GET /poll?client=: which channels are theirs, what of one turn goes into which answer,
 * and when they are gone. */
#include <stdlib.h>
#include <string.h>

#include "delivery/outbox.h"
#include "test/support.h"
#include "test/support/memory_peer.h"
#include "test/support/told.h"

enum { PEERS = 3, OUTBOX = 12000, REPLAY = 4 };

static struct mw_server *server;
static struct memory_peer peers[PEERS];
static struct told_peer told;
static char trace[2000];
static char client[64]; /* its id */
static char ids[32][MW_ID_MAX];
static size_t id_count;
static bool keep_join;
static struct mw_request *kept;

static void on_request(void *context, struct mw_request *request) {
  static const char *const words[] = {"authenticate", "authorize", "open", "join", "leave", "close"};
  (void)context;
  struct mw_bytes channel = mw_request_channel(request);
  size_t len = strlen(trace);
  snprintf(trace + len, sizeof trace - len, "%s %.*s; ", words[mw_request_type(request)], (int)channel.len, channel.ptr);
  if (keep_join && mw_request_type(request) == MW_REQUEST_JOIN) {
    kept = request;
  } else {
    mw_request_accept(request, NULL, 0);
  }
}

static int begin(void **state) {
  int status = support_setup(state);
  struct mw_config_options options;
  struct mw_config *config;
  trace[0] = '\0';
  id_count = 0;
  keep_join = false;
  kept = NULL;
  told = (struct told_peer){.id = ""};
  mw_config_options_init(&options);
  options.on_request = on_request;
  options.publish_key = "key";
  options.limits.outbox = OUTBOX;
  options.limits.replay = REPLAY;
  assert_int_equal(mw_config_new(&config, &options, NULL), 0);
  struct mw_channel_options room = {.history_size = 20}, hooked = {.history_size = 20, .hooks = MW_HOOK_JOIN | MW_HOOK_LEAVE};
  assert_int_equal(mw_config_channel(config, "room:{x}", &room, NULL), 0);
  assert_int_equal(mw_config_channel(config, "hooks:{x}", &hooked, NULL), 1);
  assert_int_equal(mw_server_new(&server, &(struct mw_server_options){.config = config}, NULL), 0);
  mw_config_unref(config);
  mw_server_advance(server, 1);
  for (size_t i = 0; i < PEERS; i++) memory_peer_open(&peers[i], server);
  return status;
}

static int end(void **state) {
  for (size_t i = 0; i < PEERS; i++) memory_peer_close(&peers[i]);
  server_finish(server);
  return support_teardown(state);
}

static const char *asked(void) {
  static char taken[sizeof trace];
  memcpy(taken, trace, sizeof taken);
  trace[0] = '\0';
  return taken;
}

static void answer_kept(void) {
  struct mw_request *request = kept;
  assert_non_null(request);
  kept = NULL;
  mw_request_accept(request, NULL, 0);
}

/* Without a turn of the server; a string such as "a1", with padding after it. */
static void publish_as(const char *channel, const char *data, size_t padding, struct mw_publish how) {
  static char text[OUTBOX];
  int len = snprintf(text, sizeof text, "[\"%s\",\"", data);
  memset(text + len, '.', padding);
  memcpy(text + len + padding, "\"]", 2);
  how.channel = (struct mw_bytes){channel, strlen(channel)};
  how.data = (struct mw_bytes){text, (size_t)len + padding + 2};
  char id[MW_ID_MAX];
  assert_int_equal(mw_publish(server, &how, id, NULL), 0);
  if (!how.is_volatile) memcpy(ids[id_count++ % COUNT_OF(ids)], id, sizeof id);
}

static void publish(const char *channel, const char *data) { publish_as(channel, data, 0, (struct mw_publish){.key = {0}}); }

static void publish_volatile(const char *channel, const char *data) {
  publish_as(channel, data, 0, (struct mw_publish){.is_volatile = true});
}

static const char *newest_id(void) { return ids[(id_count - 1) % COUNT_OF(ids)]; }

/* Sent and not looked at by the server yet. */
static void write_poll(struct memory_peer *peer, const char *query, const char *since) {
  char text[500];
  int len = snprintf(text, sizeof text, "GET /poll?%s%s%s HTTP/1.1\r\nHost: t\r\n\r\n", query, since ? "&since=" : "",
                     since ? since : "");
  assert_int_equal(mw_memory_write(peer->memory, text, (size_t)len), 0);
}

static const char *as_client(const char *more) {
  static char query[300];
  snprintf(query, sizeof query, "client=%s&%s", client, more);
  return query;
}

static void poll_since(struct memory_peer *peer, const char *query, const char *since) {
  write_poll(peer, query, since);
  server_settle(server);
}

/* Becomes a client of those channels. */
static void become(const char *channels) {
  char query[200];
  snprintf(query, sizeof query, "client=&%s", channels);
  poll_since(&peers[0], query, NULL);
  const char *at = strstr(memory_peer_take(&peers[0]), "\"client\":\"");
  assert_non_null(at);
  snprintf(client, sizeof client, "%.*s", (int)strcspn(at + 10, "\""), at + 10);
  asked();
}

static void assert_told_at(struct memory_peer *peer, const char *expected, int line) {
  const char *text = told_fetch(&told, peer);
  if (strcmp(text, expected) == 0) return;
  print_error("expected: %s\n     got: %s\n", expected, text);
  _fail(__FILE__, line);
}
#define assert_told(peer, expected) assert_told_at((peer), (expected), __LINE__)

static void send_hint(const char *data) {
  struct mw_client *found = mw_client_find(server, client, strlen(client));
  assert_non_null(found);
  struct mw_publish push = {.event = {"hint", 4}, .data = {data, strlen(data)}};
  assert_int_equal(mw_client_send(server, found, &push, NULL), 0);
  mw_client_unref(found);
}

static uint64_t clients_now(void) {
  struct mw_stats stats;
  mw_server_stats(server, &stats);
  return stats.poll_clients;
}

/* ---- Channels -------------------------------------------------------------------------------- */

/* What the app subscribed a client to becomes the query's once a query asks for it. */
static void a_channel_that_a_query_asked_for_is_left_by_the_next(void **state) {
  (void)state;
  publish("room:1", "a1");
  server_settle(server);
  become("channel=room:1");
  struct mw_client *found = mw_client_find(server, client, strlen(client));
  assert_int_equal(mw_client_subscribe(server, found, "room:2", 6), 0);
  assert_int_equal(mw_client_subscribe(server, found, "room:3", 6), 0);
  server_settle(server);
  poll_since(&peers[0], as_client("channel=room:1&channel=room:2&wait=0"), newest_id());
  memory_peer_take(&peers[0]);
  poll_since(&peers[0], as_client("channel=room:1&wait=0"), newest_id());
  memory_peer_take(&peers[0]);
  assert_int_equal(mw_channel_count(server, "room:1", 6, NULL), 1);
  assert_int_equal(mw_channel_count(server, "room:2", 6, NULL), 0);
  assert_int_equal(mw_channel_count(server, "room:3", 6, NULL), 1);
  mw_client_unref(found);
}

/* A poll asks for a channel, and is closed before the app has let the client in. The next one does
 * not ask for it. */
static void a_channel_of_a_poll_that_has_gone_is_left(void **state) {
  (void)state;
  publish("room:1", "a1");
  server_settle(server);
  become("channel=room:1");
  keep_join = true;
  poll_since(&peers[0], as_client("channel=hooks:1"), newest_id());
  assert_string_equal(asked(), "join hooks:1; ");
  mw_memory_close(peers[0].memory);
  peers[0].memory = NULL;
  server_settle(server);
  poll_since(&peers[1], as_client("channel=room:1&channel=room:2&wait=0"), newest_id());
  assert_told(&peers[1], "");
  answer_kept();
  server_settle(server);
  assert_non_null(strstr(memory_peer_take(&peers[1]), "\"recovered\":true"));
  assert_string_equal(asked(), "leave hooks:1; ");
  assert_int_equal(mw_channel_count(server, "hooks:1", 7, NULL), 0);
}

/* All channels have ended, and it has seen that: no client is made for such a poll. */
static void nobody_stays_behind_a_poll_that_is_over(void **state) {
  (void)state;
  publish_as("room:1", "a1", 0, (struct mw_publish){.is_final = true});
  server_settle(server);
  poll_since(&peers[0], "client=&channel=room:1", newest_id());
  assert_memory_equal(memory_peer_take(&peers[0]), "HTTP/1.1 204 ", 13);
  server_settle(server);
  assert_int_equal(clients_now(), 0);
}

/* The very first message of a server may be the last of its channel. */
static void the_first_message_may_be_the_last(void **state) {
  (void)state;
  publish_as("room:1", "a1", 0, (struct mw_publish){.is_final = true});
  server_settle(server);
  poll_since(&peers[0], "channel=room:1", "0");
  assert_told(&peers[0], "a1 end ");
}

/* ---- What is in an answer -------------------------------------------------------------------- */

/* The id after the newest one: of what is published next. */
static const char *next_id(void) {
  static char id[MW_ID_MAX];
  const char *newest = newest_id(), *digits = strchr(newest, '-') + 1;
  snprintf(id, sizeof id, "%.*s%0*llu", (int)(digits - newest), newest, (int)strlen(digits), strtoull(digits, NULL, 10) + 1);
  return id;
}

/* Sent before the polls of the same turn: it is published when they come, and has not reached the
 * worker's histories. */
static void write_publish(void) {
  static const char text[] = "POST /publish HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer key\r\nContent-Length: 32\r\n\r\n"
                             "{\"channel\":\"room:1\",\"data\":\"p1\"}";
  assert_int_equal(mw_memory_write(peers[0].memory, text, sizeof text - 1), 0);
}

static void an_id_does_not_go_back(void **state) {
  (void)state;
  publish("room:1", "a1");
  server_settle(server);
  become("channel=room:1");
  /* One that is answered at once. */
  char id[MW_ID_MAX];
  memcpy(id, next_id(), sizeof id);
  write_publish();
  write_poll(&peers[1], "channel=room:1&wait=0", id);
  server_settle(server);
  assert_non_null(strstr(memory_peer_take(&peers[0]), id));
  assert_told(&peers[1], "");
  assert_string_equal(told.id, id);
  /* One that waits, until a newer one of its client comes. */
  publish("room:1", "a2");
  server_settle(server);
  memcpy(id, next_id(), sizeof id);
  write_publish();
  write_poll(&peers[1], as_client("channel=room:1"), id);
  write_poll(&peers[2], as_client("channel=room:1"), id);
  server_settle(server);
  assert_non_null(strstr(memory_peer_take(&peers[0]), id));
  told.id[0] = '\0';
  assert_told(&peers[1], "");
  assert_string_equal(told.id, id);
}

/* Of two polls of one client the newer gets what has no id; the older gets what has one. */
static void the_newer_of_two_polls_gets_what_has_no_id(void **state) {
  (void)state;
  publish("room:1", "a1");
  server_settle(server);
  become("channel=room:1");
  keep_join = true;
  poll_since(&peers[0], as_client("channel=room:1"), newest_id());
  poll_since(&peers[1], as_client("channel=room:1&channel=hooks:1"), newest_id());
  assert_told(&peers[0], "");
  /* In one turn, and before that poll begins. */
  send_hint("\"h1\"");
  publish_volatile("room:1", "v1");
  publish("room:1", "a2");
  answer_kept();
  server_settle(server);
  assert_told(&peers[0], "a2 ");
  assert_told(&peers[1], "h1 v1 a2 ");
}

/* Messages of a turn beyond limits.replay come with the next poll, and so does what has no id and
 * came after them. */
static void what_finds_no_room_comes_with_the_next_poll(void **state) {
  (void)state;
  publish("room:1", "a1");
  server_settle(server);
  become("channel=room:1");
  poll_since(&peers[0], as_client("channel=room:1"), newest_id());
  for (unsigned n = 2; n <= REPLAY + 3; n++) {
    char data[8];
    snprintf(data, sizeof data, "a%u", n);
    publish("room:1", data);
  }
  publish_volatile("room:1", "v1");
  server_settle(server);
  assert_told(&peers[0], "a2 a3 a4 a5 ");
  char since[MW_ID_MAX];
  memcpy(since, told.id, sizeof since);
  poll_since(&peers[0], as_client("channel=room:1"), ids[REPLAY]);
  assert_told(&peers[0], "a6 a7 v1 ");
}

/* Messages that a history has do not count as what waits for one client alone. */
static void messages_do_not_make_a_client_slow(void **state) {
  (void)state;
  publish("room:1", "a1");
  server_settle(server);
  become("channel=room:1");
  poll_since(&peers[0], as_client("channel=room:1"), newest_id());
  for (unsigned n = 2; n <= 4; n++) {
    char data[8];
    snprintf(data, sizeof data, "a%u", n);
    publish_as("room:1", data, OUTBOX / 3, (struct mw_publish){.key = {0}});
  }
  send_hint("\"h1\"");
  server_settle(server);
  assert_told(&peers[0], "a2 a3 a4 h1 ");
  assert_int_equal(clients_now(), 1);
}

/* ---- How they end ---------------------------------------------------------------------------- */

/* Its connection may have been idle for too long. */
static void reopen(struct memory_peer *peer) {
  memory_peer_close(peer);
  memory_peer_open(peer, server);
}

static void idle_ones_go_in_the_order_of_their_polls(void **state) {
  (void)state;
  char first[sizeof client];
  publish("room:1", "a1");
  server_settle(server);
  become("channel=room:1");
  memcpy(first, client, sizeof first);
  become("channel=room:1");
  mw_server_advance(server, 20000);
  /* The older one polls once more. */
  char second[sizeof client];
  memcpy(second, client, sizeof second);
  memcpy(client, first, sizeof client);
  reopen(&peers[1]);
  poll_since(&peers[1], as_client("wait=0"), newest_id());
  assert_told(&peers[1], "");
  assert_int_equal(clients_now(), 2);
  mw_server_advance(server, 12000);
  assert_int_equal(clients_now(), 1);
  assert_null(mw_client_find(server, second, strlen(second)));
  /* While a poll waits for it, it does not go. */
  reopen(&peers[1]);
  poll_since(&peers[1], as_client("wait=20"), newest_id());
  mw_server_advance(server, 19000);
  assert_int_equal(clients_now(), 1);
  assert_told(&peers[1], "");
  mw_server_advance(server, 29000);
  assert_told(&peers[1], "");
  assert_int_equal(clients_now(), 1);
  mw_server_advance(server, 5000);
  assert_int_equal(clients_now(), 0);
  assert_int_equal(mw_channel_count(server, "room:1", 6, NULL), 0);
}

/* What was sent before is in the answer, and what is sent afterwards is for no one. */
static void one_that_the_app_closes_is_answered(void **state) {
  (void)state;
  publish("room:1", "a1");
  server_settle(server);
  become("channel=room:1&channel=hooks:1");
  poll_since(&peers[0], as_client("channel=room:1&channel=hooks:1"), newest_id());
  struct mw_client *found = mw_client_find(server, client, strlen(client));
  struct mw_publish push = {.event = {"hint", 4}, .data = {"\"h2\"", 4}};
  send_hint("\"h1\"");
  assert_int_equal(mw_client_close(server, found, 4000, "enough"), 0);
  assert_int_equal(mw_client_send(server, found, &push, NULL), 0);
  server_settle(server);
  assert_told(&peers[0], "h1 ");
  assert_string_equal(asked(), "leave hooks:1; ");
  assert_int_equal(clients_now(), 0);
  assert_int_equal(mw_client_send(server, found, &push, NULL), MW_ECLOSED);
  mw_client_unref(found);
  assert_null(mw_client_find(server, client, strlen(client)));
}

/* One is idle, a poll of one waits, and a poll of one joins a channel. */
static void all_end_with_the_server(void **state) {
  (void)state;
  publish("room:1", "a1");
  server_settle(server);
  become("channel=room:1");
  become("channel=room:1");
  poll_since(&peers[1], as_client("channel=room:1"), newest_id());
  become("channel=room:1");
  keep_join = true;
  poll_since(&peers[2], as_client("channel=hooks:1"), newest_id());
  assert_int_equal(clients_now(), 3);
  mw_server_stop(server, NULL, NULL);
  server_settle(server);
  assert_int_equal(clients_now(), 0);
  assert_told(&peers[1], "");
  assert_memory_equal(memory_peer_take(&peers[2]), "HTTP/1.1 503 ", 13);
  answer_kept();
  server_settle(server);
}

/* What is volatile may fill its part of limits.outbox to the last byte, and no byte more. */
static void volatile_messages_have_a_part_of_the_outbox(void **state) {
  (void)state;
  enum { PART = OUTBOX / 16, AROUND = sizeof "[\"a2\",\"\"]" - 1 };
  for (size_t more = 0; more < 2; more++) {
    publish("room:1", "a0");
    server_settle(server);
    become("channel=room:1");
    publish_volatile("room:1", "a1");
    server_settle(server);
    size_t waiting = sizeof "{\"channel\":\"room:1\",\"event\":\"message\",\"data\":[\"a1\",\"\"]}" - 1 + OUTBOX_OWN;
    publish_as("room:1", "a2", PART - waiting - OUTBOX_OWN - AROUND + more, (struct mw_publish){.is_volatile = true});
    server_settle(server);
    poll_since(&peers[0], as_client("channel=room:1&wait=0"), newest_id());
    assert_told(&peers[0], more ? "a1 " : "a1 a2 ");
    end(state);
    begin(state);
  }
}

int main(void) {
  mw_log_to(MW_LOG_ERROR + 1, NULL, NULL);
#define POLLS(name) cmocka_unit_test_setup_teardown(name, begin, end)
  const struct CMUnitTest tests[] = {
      POLLS(a_channel_that_a_query_asked_for_is_left_by_the_next),
      POLLS(a_channel_of_a_poll_that_has_gone_is_left),
      POLLS(nobody_stays_behind_a_poll_that_is_over),
      POLLS(the_first_message_may_be_the_last),
      POLLS(an_id_does_not_go_back),
      POLLS(the_newer_of_two_polls_gets_what_has_no_id),
      POLLS(what_finds_no_room_comes_with_the_next_poll),
      POLLS(messages_do_not_make_a_client_slow),
      POLLS(volatile_messages_have_a_part_of_the_outbox),
      POLLS(idle_ones_go_in_the_order_of_their_polls),
      POLLS(one_that_the_app_closes_is_answered),
      POLLS(all_end_with_the_server),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
