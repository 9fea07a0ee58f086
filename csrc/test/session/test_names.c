/* How many channels, and clients that poll, one client and one address may bring into being: what
 * they hold is bounded, and any further client finds room. */
#include <stdlib.h>
#include <string.h>

#include "net/stream_peer.h"
#include "server/server.h"
#include "test/support.h"
#include "test/support/memory_peer.h"

enum { CLIENT_NAMES = 8, ADDRESS_NAMES = 12, ADDRESS_POLLS = 10 };

#define FAR "192.0.2.1"
#define OTHER "192.0.2.2"

static struct mw_server *server;
static struct memory_peer peers[60];
static size_t peer_count;
static bool authenticates;

/* The user is named by the query; a message is published to its channel by the app. */
static void on_request(void *context, struct mw_request *request) {
  (void)context;
  char user[64];
  struct mw_bytes channel = mw_request_channel(request);
  if (mw_request_type(request) == MW_REQUEST_AUTHENTICATE) {
    struct mw_bytes token = mw_request_http(request)->token;
    int len = snprintf(user, sizeof user, "{\"id\":\"%.*s\"}", (int)token.len, token.ptr);
    mw_request_accept(request, user, token.len > 0 ? (size_t)len : 0);
  } else if (mw_request_type(request) == MW_REQUEST_MESSAGE) {
    mw_publish(server, &(struct mw_publish){.channel = channel}, NULL, NULL);
    mw_request_accept(request, NULL, 0);
  } else {
    mw_request_accept(request, NULL, 0);
  }
}

static int define(struct mw_config *config) {
  static const struct mw_event_rule rules[] = {{.event = "keep", .relay = true, .keep = true}, {.event = "tell"}};
  static const struct {
    const char *pattern;
    struct mw_channel_options options;
  } kinds[] = {
      {"plain:{x}", {.hooks = 0}},
      {"kept:{x}", {.history_size = 10, .events = rules, .event_count = 2}},
      {"timed:{x}", {.history_size = 10, .history_ttl_ms = 60000, .events = rules, .event_count = 2}},
      {"room:{x}", {.presence = MW_PRESENCE_FULL, .presence_linger_ms = 5000}},
      {"again:{x}", {.presence = MW_PRESENCE_FULL, .presence_interval_ms = 60000}},
      {"hook:{x}", {.hooks = MW_HOOK_OPEN | MW_HOOK_CLOSE, .linger_ms = 20000}},
      {"moment:{x}", {.hooks = MW_HOOK_OPEN | MW_HOOK_CLOSE, .linger_ms = 1}},
      {"ask:{x}", {.hooks = MW_HOOK_AUTHORIZE | MW_HOOK_JOIN | MW_HOOK_LEAVE}},
  };
  for (size_t i = 0; i < COUNT_OF(kinds); i++) {
    int status = mw_config_channel(config, kinds[i].pattern, &kinds[i].options, NULL);
    if (status < 0) return status;
  }
  return 0;
}

static void make_server(size_t address_names) {
  struct mw_config_options options;
  struct mw_config *config;
  mw_config_options_init(&options);
  options.authenticate = authenticates;
  options.on_request = on_request;
  options.limits.client_names = CLIENT_NAMES;
  options.limits.address_names = address_names;
  options.limits.address_polls = ADDRESS_POLLS;
  options.limits.ping_ms = UINT32_MAX;
  assert_int_equal(mw_config_new(&config, &options, NULL), 0);
  assert_int_equal(define(config), 0);
  assert_int_equal(mw_server_new(&server, &(struct mw_server_options){.config = config}, NULL), 0);
  mw_config_unref(config);
  mw_server_advance(server, 1);
}

static void ignore_log(void *context, enum mw_log_level level, const char *text, size_t text_len) {
  (void)context, (void)level, (void)text, (void)text_len;
}

static int begin_as(void **state, bool with_users) {
  int status = support_setup(state);
  mw_log_to(MW_LOG_ERROR, ignore_log, NULL);
  authenticates = with_users;
  peer_count = 0;
  make_server(ADDRESS_NAMES);
  return status;
}

static int begin(void **state) { return begin_as(state, false); }
static int begin_with_users(void **state) { return begin_as(state, true); }

/* Whatever was held is released when everything has ended. */
static int end(void **state) {
  while (peer_count > 0) memory_peer_close(&peers[--peer_count]);
  mw_server_stop(server, NULL, NULL);
  server_settle(server);
  mw_server_free(server);
  mw_log_to(MW_LOG_INFO, NULL, NULL);
  return support_teardown(state);
}

/* ---- Peers ----------------------------------------------------------------------------------- */

static struct memory_peer *open_from(const char *remote) {
  assert_true(peer_count < COUNT_OF(peers));
  struct memory_peer *peer = &peers[peer_count++];
  memory_peer_open(peer, server);
  ((struct stream_peer *)(void *)peer->memory)->remote = remote;
  server->workers[0].http.peer.conn = NULL; /* it remembers another address */
  return peer;
}

static void leave(struct memory_peer *peer) {
  memory_peer_close(peer);
  memory_peer_open(peer, server);
  server_settle(server);
}

static struct memory_peer *connect_as(const char *remote, const char *token) {
  struct memory_peer *peer = open_from(remote);
  char text[300];
  snprintf(text, sizeof text,
           "GET /ws?token=%s HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
           "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
           token);
  memory_peer_send_text(peer, text);
  assert_memory_equal(memory_peer_take(peer), "HTTP/1.1 101 ", 13);
  return peer;
}

static struct memory_peer *connect_from(const char *remote) { return connect_as(remote, ""); }

/* True if the verb for that channel is answered well; pushes that come in the meantime are
 * ignored. */
static bool ask(struct memory_peer *peer, const char *verb, const char *kind, int i) {
  char text[200];
  snprintf(text, sizeof text, "{%s:\"%s:%d\",\"ref\":1}", verb, kind, i);
  memory_peer_frame(peer, WS_OPCODE_TEXT, bytes_string(text));
  enum ws_opcode opcode;
  struct bytes payload;
  while (memory_peer_next_frame(peer, &opcode, &payload)) {
    if (strncmp(payload.ptr, "{\"ref\":1,", 9) != 0) continue;
    bool is_ok = strstr(payload.ptr, "{\"ref\":1,\"ok\":") != NULL;
    if (!is_ok)
      assert_non_null(strstr(payload.ptr, "\"code\":\"unavailable\",\"reason\":\"too many channels: try again later\""));
    return is_ok;
  }
  fail();
  return false;
}

static bool subscribe(struct memory_peer *peer, const char *kind, int i) { return ask(peer, "\"subscribe\"", kind, i); }
static void unsubscribe(struct memory_peer *peer, const char *kind, int i) { assert_true(ask(peer, "\"unsubscribe\"", kind, i)); }
static bool keep(struct memory_peer *peer, const char *kind, int i) { return ask(peer, "\"event\":\"keep\",\"send\"", kind, i); }

/* How many of `most` channels it can come to, say something in, and leave. */
static int churn(struct memory_peer *peer, const char *kind, bool says, int from, int most) {
  int count = 0;
  while (count < most && subscribe(peer, kind, from + count)) {
    if (says) assert_true(keep(peer, kind, from + count));
    unsubscribe(peer, kind, from + count);
    count++;
  }
  return count;
}

static size_t live(void) { return server->store.channels.count; }

/* The status of a GET, and what came of it. */
static int get(struct memory_peer *peer, const char *target, const char **answer) {
  char text[2000];
  snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: test\r\n\r\n", target);
  memory_peer_send_text(peer, text);
  *answer = memory_peer_take(peer);
  return atoi(*answer + strlen("HTTP/1.1 "));
}

static int send_once(struct memory_peer *peer, const char *event, const char *kind, int i, const char *token) {
  char body[200], target[60];
  const char *answer;
  snprintf(body, sizeof body, "{\"send\":\"%s:%d\",\"event\":\"%s\",\"ref\":1}", kind, i, event);
  snprintf(target, sizeof target, "/send?token=%s", token);
  return memory_peer_post(peer, target, "", bytes_string(body), &answer);
}

/* ---- WebSocket ------------------------------------------------------------------------------- */

/* Nothing is left of a channel without history when it is left: a client that comes and goes may do
 * so as often as it likes. */
static void what_leaves_nothing_behind_is_not_limited(void **state) {
  (void)state;
  assert_int_equal(churn(connect_from(FAR), "plain", false, 0, 100), 100);
  assert_int_equal(churn(connect_from("unix"), "plain", false, 0, 100), 100);
  assert_int_equal(churn(connect_from(FAR), "kept", false, 0, 100), 100);
  assert_int_equal(live(), 0);
  assert_int_equal(parties_count(&server->app.parties), 0);
}

/* One anonymous client behind a proxy leaves histories behind, and is refused; others are not. */
static void a_client_leaves_so_much_behind(void **state) {
  (void)state;
  struct memory_peer *greedy = connect_from("unix");
  assert_int_equal(churn(greedy, "kept", true, 0, 100), CLIENT_NAMES);
  /* What is there already it may still use, and others may bring in new ones. */
  assert_true(subscribe(greedy, "kept", 0));
  assert_int_equal(churn(connect_from("unix"), "kept", true, 50, 3), 3);
  assert_int_equal(live(), CLIENT_NAMES + 3);
}

static void an_address_brings_in_so_many(void **state) {
  (void)state;
  int count = 0;
  for (int i = 0; i < 5; i++) {
    struct memory_peer *peer = connect_from(i % 2 ? "::ffff:" FAR : FAR);
    count += churn(peer, "kept", true, 10 * i, 5);
    leave(peer);
  }
  assert_int_equal(count, ADDRESS_NAMES);
  assert_int_equal(churn(connect_from(OTHER), "kept", true, 100, 5), 5);
}

/* Those that are subscribed count as well, and no longer when they are left. */
static void subscriptions_of_an_address_count(void **state) {
  (void)state;
  struct memory_peer *one = connect_from(FAR), *two = connect_from(FAR);
  for (int i = 0; i < ADDRESS_NAMES; i++) assert_true(subscribe(i % 2 ? one : two, "plain", i));
  assert_false(subscribe(one, "plain", 99));
  assert_true(subscribe(two, "plain", 1)); /* of the other one's */
  unsubscribe(one, "plain", 3);
  assert_true(subscribe(two, "plain", 99));
  leave(one);
  assert_true(subscribe(two, "plain", 100));
}

static void expiry_makes_room(void **state) {
  (void)state;
  struct memory_peer *peer = connect_from(FAR);
  assert_int_equal(churn(peer, "timed", true, 0, 100), CLIENT_NAMES);
  assert_int_equal(churn(peer, "timed", true, 50, 100), 0);
  mw_server_advance(server, 70000);
  assert_int_equal(live(), 0);
  assert_int_equal(churn(peer, "timed", true, 50, 100), CLIENT_NAMES);
}

/* Members linger for a while, and keep their channel. */
static void members_that_linger_count(void **state) {
  (void)state;
  struct memory_peer *peer = connect_from("unix");
  assert_int_equal(churn(peer, "room", false, 0, 100), CLIENT_NAMES);
  mw_server_advance(server, 7000);
  assert_int_equal(churn(peer, "room", false, 50, 100), CLIENT_NAMES);
}

/* What the app knows of a channel outlives the channel. */
static void what_the_script_remembers_counts(void **state) {
  (void)state;
  struct memory_peer *peer = connect_from("unix"), *far = connect_from(FAR);
  assert_int_equal(churn(peer, "hook", false, 0, 100), CLIENT_NAMES);
  assert_int_equal(server->script.open_channels.count, CLIENT_NAMES);
  mw_server_advance(server, 21000);
  assert_int_equal(churn(peer, "hook", false, 50, 100), CLIENT_NAMES);
  mw_server_advance(server, 21000);
  /* However short the linger is. */
  assert_int_equal(churn(peer, "moment", false, 0, 100), CLIENT_NAMES);
  mw_server_advance(server, 2);
  assert_int_equal(churn(peer, "moment", false, 50, 100), CLIENT_NAMES);
  mw_server_advance(server, 2);
  assert_int_equal(churn(far, "again", false, 0, 100), CLIENT_NAMES);
  assert_int_equal(server->script.presences.count, CLIENT_NAMES);
  assert_int_equal(churn(connect_from(FAR), "again", false, 50, 100), ADDRESS_NAMES - CLIENT_NAMES);
  mw_server_advance(server, 130000);
  assert_int_equal(server->script.presences.count, 0);
  assert_int_equal(parties_count(&server->app.parties), 0);
}

/* A user is one client, however often it connects, and from wherever. */
static void a_user_leaves_so_much_behind(void **state) {
  (void)state;
  int count = 0;
  for (int i = 0; i < 10; i++) {
    struct memory_peer *peer = connect_as("unix", "ann");
    if (subscribe(peer, "kept", i) && keep(peer, "kept", i)) count++;
    leave(peer); /* without unsubscribing */
  }
  assert_int_equal(count, CLIENT_NAMES);
  assert_int_equal(churn(connect_as("unix", "bob"), "kept", true, 50, 3), 3);
}

/* Where the script is asked, many may be in progress at once. */
static void those_under_way_count_when_they_arrive(void **state) {
  (void)state;
  struct memory_peer *peer = connect_from(FAR);
  struct buffer all;
  char text[100];
  buffer_init(&all);
  for (int i = 0; i < 40; i++) {
    int len = snprintf(text, sizeof text, "{\"subscribe\":\"ask:%d\"}", i);
    buffer_append(&all, bytes_of((const char[]){(char)0x81, (char)(0x80 | len), 0, 0, 0, 0}, 6));
    buffer_append(&all, bytes_of(text, (size_t)len));
  }
  memory_peer_send(peer, buffer_bytes(&all));
  buffer_deinit(&all);
  server_settle(server);
  for (int i = 0; i < 40; i++) server_settle(server);
  assert_int_equal(live(), ADDRESS_NAMES);
}

/* What the app subscribes a client to is up to the app. */
static void what_the_app_does_is_nobodys(void **state) {
  (void)state;
  struct memory_peer *peer = connect_from(FAR);
  assert_true(subscribe(peer, "ask", 0));
  struct mw_client *client = mw_client_next(server, NULL);
  char name[20];
  for (int i = 0; i < 2 * ADDRESS_NAMES; i++) {
    int len = snprintf(name, sizeof name, "plain:%d", i);
    assert_int_equal(mw_client_subscribe(server, client, name, (size_t)len), 0);
    mw_publish(server, &(struct mw_publish){.channel = {name, (size_t)len}}, NULL, NULL);
    len = snprintf(name, sizeof name, "kept:%d", i);
    mw_publish(server, &(struct mw_publish){.channel = {name, (size_t)len}}, NULL, NULL);
  }
  mw_client_unref(client);
  server_settle(server);
  assert_int_equal(live(), 4 * ADDRESS_NAMES + 1);
  /* And those that it has brought in are open to all. */
  for (int i = 0; i < 2 * ADDRESS_NAMES; i++) assert_true(subscribe(peer, "kept", i));
  assert_int_equal(churn(peer, "plain", false, 100, 5), 5);
}

static void no_limit_is_none(void **state) {
  (void)state;
  mw_server_stop(server, NULL, NULL);
  server_finish(server);
  make_server(0);
  struct memory_peer *peer = connect_from(FAR);
  for (int i = 0; i < 50; i++) assert_true(subscribe(peer, "plain", i));
  assert_int_equal(parties_count(&server->app.parties), 0);
}

/* ---- Other ways ------------------------------------------------------------------------------ */

/* An EventSource that is refused for now must come back: 200, and the end. */
static void event_streams_count(void **state) {
  (void)state;
  const char *answer;
  char target[100];
  for (int i = 0; i < ADDRESS_NAMES / 2; i++) {
    snprintf(target, sizeof target, "/sse?channel=plain:%d&channel=plain:%d", 2 * i, 2 * i + 1);
    assert_int_equal(get(open_from(FAR), target, &answer), 200);
    assert_non_null(strstr(answer, "id: "));
  }
  struct memory_peer *late = open_from(FAR);
  assert_int_equal(get(late, "/sse?channel=plain:0&channel=plain:99", &answer), 200);
  assert_null(strstr(answer, "id: "));
  assert_non_null(strstr(answer, "retry: "));
  assert_true(memory_peer_ended(late));
  assert_int_equal(get(open_from(OTHER), "/sse?channel=plain:99", &answer), 200);
  assert_non_null(strstr(answer, "id: "));
  leave(&peers[0]);
  assert_int_equal(get(open_from(FAR), "/sse?channel=plain:100", &answer), 200);
  assert_non_null(strstr(answer, "id: "));
}

static void polls_count_while_they_wait(void **state) {
  (void)state;
  const char *answer;
  char target[300] = "/poll?since=0";
  for (int i = 0; i < ADDRESS_NAMES; i++) snprintf(target + strlen(target), 30, "&channel=plain:%d", i);
  memory_peer_send_text(open_from(FAR), "");
  snprintf(target + strlen(target), 30, "&wait=20");
  get(&peers[0], target, &answer);
  assert_string_equal(answer, "");
  assert_int_equal(get(open_from(FAR), "/poll?channel=plain:99", &answer), 503);
  assert_non_null(strstr(answer, "Retry-After: "));
  assert_int_equal(get(open_from(FAR), "/poll?channel=plain:1&wait=0", &answer), 200);
  assert_int_equal(get(open_from(OTHER), "/poll?channel=plain:99", &answer), 200);
  mw_server_advance(server, 21000);
  assert_int_equal(live(), 0);
  assert_int_equal(get(open_from(FAR), "/poll?channel=plain:99", &answer), 200);
}

/* What is said by requests alone is kept in channels no one was ever in. */
static void senders_count(void **state) {
  (void)state;
  struct memory_peer *far = open_from(FAR);
  for (int i = 0; i < ADDRESS_NAMES; i++) assert_int_equal(send_once(far, i % 2 ? "keep" : "tell", "kept", i, ""), 200);
  assert_int_equal(live(), ADDRESS_NAMES);
  assert_int_equal(send_once(far, "keep", "kept", 99, ""), 503);
  assert_int_equal(send_once(far, "tell", "kept", 99, ""), 503);
  assert_int_equal(send_once(far, "keep", "kept", 1, ""), 200);
  assert_int_equal(send_once(open_from(OTHER), "keep", "kept", 99, ""), 200);
  assert_int_equal(live(), ADDRESS_NAMES + 1);
}

static void senders_count_by_user(void **state) {
  (void)state;
  struct memory_peer *near = open_from("unix");
  for (int i = 0; i < CLIENT_NAMES; i++) assert_int_equal(send_once(near, i % 2 ? "keep" : "tell", "kept", i, "ann"), 200);
  assert_int_equal(send_once(near, "keep", "kept", 99, "ann"), 503);
  assert_int_equal(send_once(near, "tell", "kept", 99, "ann"), 503);
  assert_int_equal(live(), CLIENT_NAMES);
  assert_int_equal(send_once(near, "tell", "kept", 0, "ann"), 200);
  assert_int_equal(send_once(near, "tell", "kept", 99, "bob"), 200);
}

/* ---- Clients that poll ----------------------------------------------------------------------- */

/* Each counts for itself and its channels: three with two of them make nine of ten. */
static void clients_that_poll_count(void **state) {
  (void)state;
  const char *answer;
  char id[32], target[200];
  for (int i = 0; i < 3; i++) assert_int_equal(get(open_from(FAR), "/poll?channel=ask:1&channel=ask:2&client=", &answer), 200);
  snprintf(id, sizeof id, "%.28s", strstr(answer, "\"client\":\"") + 10);
  assert_int_equal(get(open_from(FAR), "/poll?channel=ask:1&client=", &answer), 503);
  assert_non_null(strstr(answer, "Retry-After: "));
  assert_non_null(strstr(answer, "\"unavailable\""));
  assert_int_equal(get(open_from(OTHER), "/poll?channel=ask:1&client=", &answer), 200);
  assert_int_equal(get(open_from("unix"), "/poll?channel=ask:1&client=", &answer), 200);
  /* One of them may come to one channel more, and, for each that it leaves, to another. */
  snprintf(target, sizeof target, "/poll?channel=ask:1&channel=ask:2&channel=ask:3&client=%s", id);
  assert_int_equal(get(open_from(FAR), target, &answer), 200);
  snprintf(target, sizeof target, "/poll?channel=ask:1&channel=ask:2&channel=ask:3&channel=ask:4&client=%s", id);
  assert_int_equal(get(open_from(FAR), target, &answer), 503);
  snprintf(target, sizeof target, "/poll?channel=ask:4&channel=ask:5&channel=ask:6&client=%s", id);
  assert_int_equal(get(open_from(FAR), target, &answer), 200);
  /* They go when they do not poll any more. */
  mw_server_advance(server, 32000);
  server_settle(server);
  assert_int_equal(server->workers[0].transport.polls.count, 0);
  assert_int_equal(parties_count(&server->app.parties), 0);
  assert_int_equal(get(open_from(FAR), "/poll?channel=ask:1&channel=ask:2&client=", &answer), 200);
}

static void what_they_subscribe_to_by_verbs_counts(void **state) {
  (void)state;
  const char *answer;
  char fields[80], body[80];
  assert_int_equal(get(open_from(FAR), "/poll?channel=ask:0&client=", &answer), 200);
  snprintf(fields, sizeof fields, "X-Moonwire-Client: %.28s\r\n", strstr(answer, "\"client\":\"") + 10);
  struct memory_peer *peer = open_from(FAR);
  for (int i = 1; i < 12; i++) {
    snprintf(body, sizeof body, "{\"subscribe\":\"ask:%d\",\"ref\":1}", i);
    int status = memory_peer_post(peer, "/send", fields, bytes_string(body), &answer);
    assert_int_equal(status, i < ADDRESS_POLLS - 1 ? 200 : 503);
  }
}

/* A client that polls, by its id; asserts that it was let in. */
static const char *poll_as_new(const char *remote, const char *query, char id[32]) {
  const char *answer;
  char target[200];
  snprintf(target, sizeof target, "/poll?client=%s", query);
  assert_int_equal(get(open_from(remote), target, &answer), 200);
  snprintf(id, 32, "%.28s", strstr(answer, "\"client\":\"") + 10);
  return id;
}

static int try_poll(const char *remote, const char *query) {
  const char *answer;
  char target[300];
  snprintf(target, sizeof target, "/poll?client=%s", query);
  return get(open_from(remote), target, &answer);
}

static void all_of_a_64_poll_together(void **state) {
  (void)state;
  char id[32];
  poll_as_new("2001:db8::1", "&channel=ask:1&channel=ask:2&channel=ask:3&channel=ask:4", id);
  poll_as_new("2001:db8::ffff:1", "&channel=ask:1&channel=ask:2&channel=ask:3&channel=ask:4", id);
  assert_int_equal(try_poll("2001:db8::2", "&channel=ask:1"), 503);
  assert_int_equal(try_poll("2001:db8:0:1::1", "&channel=ask:1"), 200);
}

/* One that names its channels again and again holds them once. */
static void polling_again_counts_once(void **state) {
  (void)state;
  char id[32], query[100];
  poll_as_new(FAR, "&channel=ask:1&channel=ask:2", id);
  snprintf(query, sizeof query, "%s&channel=ask:1&channel=ask:2&channel=ask:1&wait=0", id);
  for (int i = 0; i < 8; i++) assert_int_equal(try_poll(FAR, query), 200);
  for (int i = 0; i < 2; i++) poll_as_new(FAR, "&channel=ask:1&channel=ask:2", id);
  assert_int_equal(try_poll(FAR, "&channel=ask:1"), 503);
}

/* What is not known, or is another's, makes a new client, which counts. */
static void invented_ids_count(void **state) {
  (void)state;
  int count = 0;
  for (int i = 0; i < 20; i++) count += try_poll(FAR, "aaaaaaaaaaaaaaaaaaaaaaaaaa&channel=ask:1&wait=0") == 200;
  assert_int_equal(count, ADDRESS_POLLS / 2);
}

/* Those that give up, while the script is asked or while they wait, leave nothing charged when they
 * have gone. */
static void who_goes_gives_back(void **state) {
  (void)state;
  char id[32], text[200];
  for (int i = 0; i < 5; i++) {
    struct memory_peer *peer = open_from(FAR);
    memory_peer_send_text(peer, "GET /poll?client=&channel=ask:1 HTTP/1.1\r\nHost: t\r\n\r\n");
    memory_peer_close(peer);
    peer_count--;
  }
  server_settle(server);
  assert_int_equal(try_poll(FAR, "&channel=ask:1"), 503);
  mw_server_advance(server, 32000);
  server_settle(server);
  assert_int_equal(parties_count(&server->app.parties), 0);
  poll_as_new(FAR, "&channel=ask:1&channel=ask:2", id);
  struct memory_peer *waiting = open_from(FAR);
  snprintf(text, sizeof text, "GET /poll?client=%s&since=0 HTTP/1.1\r\nHost: t\r\n\r\n", id);
  memory_peer_send_text(waiting, text);
  struct mw_client *client = mw_client_find(server, id, strlen(id));
  assert_int_equal(mw_client_close(server, client, 1000, NULL), 0);
  mw_client_unref(client);
  server_settle(server);
  assert_int_equal(parties_count(&server->app.parties), 0);
}

static void heads_and_refusals_hold_nothing(void **state) {
  (void)state;
  struct memory_peer *peer = open_from(FAR);
  for (int i = 0; i < 20; i++) {
    memory_peer_send_text(peer, "HEAD /poll?client=&channel=ask:1 HTTP/1.1\r\nHost: t\r\n\r\n");
    assert_memory_equal(memory_peer_take(peer), "HTTP/1.1 200", 12);
    assert_int_equal(try_poll(FAR, "&channel=nowhere"), 404);
    assert_int_equal(try_poll(FAR, "&channel="), 400);
    assert_int_equal(try_poll(FAR, "&channel=ask:1&wait=x"), 400);
    peer_count -= 3;
    for (size_t k = peer_count; k < peer_count + 3; k++) memory_peer_close(&peers[k]);
  }
  server_settle(server);
  assert_int_equal(parties_count(&server->app.parties), 0);
}

/* More channels at once than there is room for: none of them. */
static void all_or_nothing(void **state) {
  (void)state;
  char query[300] = "";
  for (int i = 0; i < ADDRESS_POLLS; i++) snprintf(query + strlen(query), 30, "&channel=ask:%d", i);
  assert_int_equal(try_poll(FAR, query), 503);
  assert_int_equal(live(), 0);
  assert_int_equal(parties_count(&server->app.parties), 0);
  *strrchr(query, '&') = '\0';
  assert_int_equal(try_poll(FAR, query), 200);
  assert_int_equal(live(), ADDRESS_POLLS - 1);
}

/* A channel that ends is left, and gives its place back. */
static void ends_make_room(void **state) {
  (void)state;
  char id[32];
  poll_as_new(FAR, "&channel=ask:1&channel=ask:2&channel=ask:3&channel=ask:4&channel=ask:5&channel=ask:6&channel=ask:7", id);
  assert_int_equal(try_poll(FAR, "&channel=ask:1&channel=ask:2"), 503);
  for (int i = 1; i < 4; i++) {
    char name[20];
    int len = snprintf(name, sizeof name, "ask:%d", i);
    assert_int_equal(mw_publish(server, &(struct mw_publish){.channel = {name, (size_t)len}, .is_final = true}, NULL, NULL), 0);
  }
  server_settle(server);
  char query[100];
  snprintf(query, sizeof query, "%s&wait=0", id);
  assert_int_equal(try_poll(FAR, query), 200);
  assert_int_equal(try_poll(FAR, "&channel=ask:11&channel=ask:12"), 200);
}

/* ---- At random ------------------------------------------------------------------------------- */

/* Whatever comes and goes, what is charged is what lives, and nothing is left. */
static void counts_are_exact_at_random(void **state) {
  (void)state;
  static const char *const remotes[] = {FAR, OTHER, "unix", "2001:db8::1", "2001:db8::2"};
  static const char *const kinds[] = {"plain", "kept", "timed", "room", "hook", "ask", "again"};
  static struct memory_peer *seats[10];
  const char *answer;
  char target[200];
  srand(13);
  for (int i = 0; i < 10; i++) seats[i] = connect_from(remotes[i % 5]);
  for (int round = 0; round < 3000; round++) {
    struct memory_peer *peer = seats[rand() % 10];
    const char *kind = kinds[rand() % 7];
    int i = rand() % 30, what = rand() % 12;
    char text[200];
    snprintf(text, sizeof text,
             what < 6   ? "{\"subscribe\":\"%s:%d\"}"
             : what < 9 ? "{\"unsubscribe\":\"%s:%d\"}"
                        : "{\"event\":\"keep\",\"send\":\"%s:%d\"}",
             kind, i);
    memory_peer_frame(peer, WS_OPCODE_TEXT, bytes_string(text));
    memory_peer_fetch(peer);
    buffer_clear(&peer->in);
    if (what == 11) {
      struct memory_peer *passing = open_from(remotes[rand() % 5]);
      snprintf(target, sizeof target, "/poll?channel=%s:%d&client=&wait=0", kind, i);
      if (rand() % 2) get(passing, target, &answer);
      if (rand() % 2) send_once(passing, "keep", "kept", i, "");
      memory_peer_close(&peers[--peer_count]);
    }
    if (rand() % 10 == 0) mw_server_advance(server, (uint64_t)(rand() % 8000));
    if (rand() % 50 == 0) {
      struct memory_peer *old = seats[9];
      memory_peer_close(old);
      peer_count--;
      server_settle(server);
      seats[9] = connect_from(remotes[rand() % 5]);
    }
  }
  while (peer_count > 0) memory_peer_close(&peers[--peer_count]);
  server_settle(server);
  mw_server_advance(server, 200000);
  /* What is left are histories without an age, and parties that they are charged to. */
  size_t charged = 0;
  assert_int_equal(server->workers[0].hub.channels.count, 0);
  for (struct list *link = server->store.all.next; link != &server->store.all; link = link->next) {
    struct stored *stored = container_of(link, struct stored, link);
    assert_int_equal(strncmp(stored->name.ptr, "kept:", 5), 0);
    charged += stored->charged[0] || stored->charged[1];
  }
  assert_true((parties_count(&server->app.parties) > 0) == (charged > 0));
  assert_int_equal(server->script.open_channels.count, 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)
#define USER_CASE(name) cmocka_unit_test_setup_teardown(name, begin_with_users, end)

int main(void) {
  const struct CMUnitTest tests[] = {
      CASE(what_leaves_nothing_behind_is_not_limited),
      CASE(a_client_leaves_so_much_behind),
      CASE(an_address_brings_in_so_many),
      CASE(subscriptions_of_an_address_count),
      CASE(expiry_makes_room),
      CASE(members_that_linger_count),
      CASE(what_the_script_remembers_counts),
      USER_CASE(a_user_leaves_so_much_behind),
      CASE(those_under_way_count_when_they_arrive),
      CASE(what_the_app_does_is_nobodys),
      CASE(no_limit_is_none),
      CASE(event_streams_count),
      CASE(polls_count_while_they_wait),
      CASE(senders_count),
      USER_CASE(senders_count_by_user),
      CASE(clients_that_poll_count),
      CASE(what_they_subscribe_to_by_verbs_counts),
      CASE(all_of_a_64_poll_together),
      CASE(polling_again_counts_once),
      CASE(invented_ids_count),
      CASE(who_goes_gives_back),
      CASE(heads_and_refusals_hold_nothing),
      CASE(all_or_nothing),
      CASE(ends_make_room),
      CASE(counts_are_exact_at_random),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
