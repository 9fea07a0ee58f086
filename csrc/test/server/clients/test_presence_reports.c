/* Members of a channel on several servers: what a broker answers and reports, in any order, and without
 * memory. */
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "script/presence/presence.h"
#include "server/server.h"
#include "test/support.h"
#include "test/support/member_peer.h"

enum { JOINS_MAX = 8 };

static struct mw_server *server;
static struct memory_peer peers[8];
static size_t peer_count;
static struct order_join joins[JOINS_MAX]; /* that are pending */
static size_t join_count, leave_count;
static int join_status; /* what a join returns */

/* ---- The broker ------------------------------------------------------------------------------- */

static int take_join(struct orderer *orderer, const struct order_join *join) {
  (void)orderer;
  if (join_status == MW_PENDING) {
    assert_true(join_count < JOINS_MAX);
    joins[join_count++] = *join;
  }
  return join_status;
}

static void take_leave(struct orderer *orderer, struct bytes channel, struct bytes user_id) {
  (void)orderer, (void)channel, (void)user_id;
  leave_count++;
}

static void answer_joins(int status) {
  for (size_t i = 0; i < join_count; i++) joins[i].on_done(joins[i].context, status);
  join_count = 0;
  server_settle(server);
}

static void end_pending(struct orderer *orderer) {
  (void)orderer;
  for (size_t i = 0; i < join_count; i++) joins[i].on_done(joins[i].context, MW_ECLOSED);
  join_count = 0;
}

struct list_report {
  struct presence_report report;
  const char *const *users; /* "-" before the name: it has left. NULL ends them */
};

static int next_change(struct presence_report *report, struct presence_change *change) {
  struct list_report *list = container_of(report, struct list_report, report);
  const char *user = *list->users;
  if (!user) return 0;
  list->users++;
  bool left = user[0] == '-';
  *change = (struct presence_change){
      .user_id = bytes_string(user + left), .info = left ? bytes_of(NULL, 0) : BYTES("{\"n\":1}"), .left = left};
  return 1;
}

static int report(const char *channel, bool is_whole, bool is_listed, size_t count, const char *const *users) {
  struct mw_config *config = app_hold_config(&server->app);
  struct list_report list = {.report = {.channel = bytes_string(channel),
                                        .is_whole = is_whole,
                                        .is_listed = is_listed,
                                        .count = count,
                                        .next = next_change},
                             .users = users};
  int status = presence_report(&server->script, config, config_kind(config, bytes_string(channel)), &list.report);
  mw_config_unref(config);
  server_settle(server);
  return status;
}

#define USERS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define whole(channel, count, ...) assert_int_equal(report(channel, true, true, count, USERS(__VA_ARGS__)), 0)
#define changes(channel, count, ...) assert_int_equal(report(channel, false, true, count, USERS(__VA_ARGS__)), 0)

/* ---- The server ------------------------------------------------------------------------------- */

static void on_request(void *context, struct mw_request *request) {
  (void)context;
  char user[64];
  if (mw_request_type(request) == MW_REQUEST_AUTHENTICATE) {
    struct mw_bytes token = mw_request_http(request)->token;
    int len = snprintf(user, sizeof user, "{\"id\":\"%.*s\"}", (int)token.len, token.ptr);
    mw_request_accept(request, user, (size_t)len);
  } else {
    mw_request_accept(request, NULL, 0);
  }
}

static int begin(void **state) {
  int status = support_setup(state);
  struct mw_config_options options;
  struct mw_config *config;
  struct mw_channel_options room = {.presence = MW_PRESENCE_FULL, .presence_linger_ms = 100};
  struct mw_channel_options hall = {.presence = MW_PRESENCE_COUNTS};
  peer_count = join_count = leave_count = 0;
  join_status = 0;
  mw_config_options_init(&options);
  options.authenticate = true;
  options.on_request = on_request;
  options.limits.ping_ms = UINT32_MAX; /* no one here answers pings */
  assert_int_equal(mw_config_new(&config, &options, NULL), 0);
  assert_int_equal(mw_config_channel(config, "room:{x}", &room, NULL), 0);
  assert_int_equal(mw_config_channel(config, "hall:{x}", &hall, NULL), 1);
  assert_int_equal(mw_server_new(&server, &(struct mw_server_options){.config = config}, NULL), 0);
  mw_config_unref(config);
  server->orderer.join = take_join;
  server->orderer.leave = take_leave;
  server->orderer.end_pending = end_pending;
  mw_server_advance(server, 1);
  return status;
}

static int end(void **state) {
  while (peer_count > 0) memory_peer_close(&peers[--peer_count]);
  if (server) server_finish(server);
  server = NULL;
  return support_teardown(state);
}

/* ---- Peers ------------------------------------------------------------------------------------ */

static struct memory_peer *connect_as(const char *user) {
  struct memory_peer *peer = &peers[peer_count++];
  char text[200];
  snprintf(text, sizeof text,
           "GET /ws?token=%s HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
           "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
           user);
  memory_peer_open(peer, server);
  memory_peer_send_text(peer, text);
  assert_memory_equal(memory_peer_take(peer), "HTTP/1.1 101 ", 13);
  return peer;
}

static struct memory_peer *join_as(const char *user, const char *channel) {
  struct memory_peer *peer = connect_as(user);
  member_peer_subscribe(peer, channel);
  return peer;
}

static size_t presence_count(void) { return server->script.presences.count; }

/* ---- Tests ------------------------------------------------------------------------------------ */

static void a_join_waits_for_the_broker(void **state) {
  (void)state;
  join_status = MW_PENDING;
  struct memory_peer *ann = join_as("ann", "room:1");
  expect_next(ann, "");
  assert_int_equal(members_of(server, "room:1"), 0);
  assert_int_equal(join_count, 1);
  assert_memory_equal(joins[0].user_id.ptr, "ann", 3);
  answer_joins(0);
  expect_next(ann, "{\"count\":1,\"members\":{\"ann\":{\"info\":null,\"connections\":1}}}}}");
  struct memory_peer *again = join_as("ann", "room:1"); /* a member already: nothing to wait for */
  assert_int_equal(join_count, 0);
  assert_non_null(strstr(member_peer_next(again), "\"connections\":2"));
  member_peer_leave(ann, server);
  member_peer_leave(again, server);
  assert_int_equal(leave_count, 0);
  mw_server_advance(server, 100);
  assert_int_equal(leave_count, 1);
  assert_int_equal(presence_count(), 0);
}

static void a_join_is_refused(void **state) {
  (void)state;
  static const struct {
    int status;
    const char *code;
  } cases[] = {{MW_ELIMIT, "\"code\":\"refused\""}, {MW_EBROKER_LATE, "\"code\":\"unavailable\""}};
  for (size_t i = 0; i < 2; i++) {
    join_status = MW_PENDING;
    struct memory_peer *ann = join_as("ann", "room:1"), *again = join_as("ann", "room:1");
    assert_int_equal(join_count, 2);
    answer_joins(cases[i].status);
    assert_non_null(strstr(member_peer_next(ann), cases[i].code));
    assert_non_null(strstr(member_peer_next(again), cases[i].code));
    join_status = cases[i].status; /* immediately */
    assert_non_null(strstr(member_peer_next(join_as("bob", "room:1")), cases[i].code));
    assert_int_equal(members_of(server, "room:1"), 0);
    assert_int_equal(leave_count, 0);
    assert_int_equal(presence_count(), 0);
  }
}

static void a_client_that_leaves_while_it_joins_is_no_member(void **state) {
  (void)state;
  join_status = MW_PENDING;
  member_peer_leave(join_as("ann", "room:1"), server);
  assert_int_equal(join_count, 1);
  answer_joins(0);
  mw_server_advance(server, 100);
  assert_int_equal(leave_count, 1);
  assert_int_equal(presence_count(), 0);
}

static void the_server_ends_while_a_join_waits(void **state) {
  (void)state;
  join_status = MW_PENDING;
  join_as("ann", "room:1");
  join_as("ann", "room:2");
  assert_int_equal(join_count, 2);
}

static void members_of_other_servers_come_and_go(void **state) {
  (void)state;
  struct memory_peer *ann = join_as("ann", "room:1");
  member_peer_next(ann);
  whole("room:1", 2, "ann", "bob");
  /* others are told another info than this server has had */
  expect_next(ann, "{\"joined\":{\"ann\":{\"n\":1},\"bob\":{\"n\":1}},\"left\":[\"ann\"],\"count\":2}}");
  changes("room:1", 3, "cid");
  expect_next(ann, "{\"joined\":{\"cid\":{\"n\":1}},\"left\":[],\"count\":3}}");
  changes("room:1", 2, "-bob");
  expect_next(ann, "{\"joined\":{},\"left\":[\"bob\"],\"count\":2}}");
  struct memory_peer *cid = join_as("cid", "room:1"); /* here, too */
  assert_non_null(strstr(member_peer_next(cid), "{\"count\":2,"));
  member_peer_leave(cid, server);
  mw_server_advance(server, 100);
  assert_int_equal(leave_count, 1);
  expect_next(ann, "");
  /* read again, with the differences only */
  whole("room:1", 3, "ann", "cid", "dan");
  expect_next(ann, "{\"joined\":{\"dan\":{\"n\":1}},\"left\":[],\"count\":3}}");
  whole("room:1", 3, "ann", "cid", "dan");
  expect_next(ann, "");
  /* this server was taken for dead: its own members stay */
  changes("room:1", 2, "-ann");
  whole("room:1", 1, "dan");
  expect_next(ann, "{\"joined\":{},\"left\":[\"cid\"],\"count\":2}}");
  changes("room:1", 2, "ann");
  expect_next(ann, "");
  member_peer_leave(ann, server);
  presence_forget(&server->script, BYTES("room:1"));
  mw_server_advance(server, 100);
  assert_int_equal(presence_count(), 0);
}

static void where_the_broker_lists_members_it_decides_who_comes(void **state) {
  (void)state;
  whole("room:1", 0, NULL);
  assert_int_equal(presence_count(), 1); /* known to be empty */
  struct memory_peer *ann = join_as("ann", "room:1");
  expect_next(ann, "{\"count\":0,\"members\":{}}}}");
  changes("room:1", 1, "ann");
  expect_next(ann, "{\"joined\":{\"ann\":{\"n\":1}},\"left\":[],\"count\":1}}");
  member_peer_leave(ann, server);
  mw_server_advance(server, 100);
  assert_int_equal(leave_count, 1);
  assert_int_equal(members_of(server, "room:1"), 1); /* until the broker says so */
  changes("room:1", 0, "-ann");
  assert_int_equal(members_of(server, "room:1"), 0);
  presence_forget(&server->script, BYTES("room:1"));
  assert_int_equal(presence_count(), 0);
}

static void only_the_number_is_known(void **state) {
  (void)state;
  struct memory_peer *ann = join_as("ann", "hall:1");
  expect_next(ann, "{\"count\":1}}}");
  assert_int_equal(report("hall:1", true, false, 5, USERS("bob")), 0);
  expect_next(ann, "{\"count\":5}}");
  changes("hall:1", 6, "cid");
  expect_next(ann, "{\"count\":6}}");
  changes("hall:1", 6, NULL);
  expect_next(ann, "");
  assert_int_equal(members_of(server, "hall:1"), 6);
  /* the app reads who they are */
  assert_true(presence_is_known(&server->script, BYTES("hall:1"), false));
  assert_false(presence_is_known(&server->script, BYTES("hall:1"), true));
  whole("hall:1", 2, "ann", "bob");
  assert_true(presence_is_known(&server->script, BYTES("hall:1"), true));
  expect_next(ann, "{\"count\":2}}");
  presence_forget(&server->script, BYTES("hall:1"));
  assert_int_equal(members_of(server, "hall:1"), 1);
}

/* However little memory there is, what is read again afterwards is right. */
static void without_memory_it_is_read_again(void **state) {
  (void)state;
  struct memory_peer *ann = join_as("ann", "room:1");
  for (uint64_t n = 1, failed = 1; failed > 0; n++) {
    failed = 0;
    whole("room:1", 2, "ann", "bob");
    memory_fail_after(n);
    failed += report("room:1", false, true, 3, USERS("cid", "-bob", "dan")) < 0;
    failed += report("room:1", true, true, 3, USERS("ann", "dan", "eva")) < 0;
    memory_fail_after(0);
    whole("room:1", 3, "ann", "fay", "gus");
    mw_server_advance(server, 200); /* what could not be announced */
    assert_int_equal(members_of(server, "room:1"), 3);
  }
  while (*member_peer_next(ann)) continue;
  struct memory_peer *bob = join_as("bob", "room:1");
  expect_next(bob, "{\"count\":3,\"members\":{\"ann\":{\"info\":{\"n\":1},\"connections\":1},\"fay\":{\"info\":{\"n\":1},"
                   "\"connections\":1},\"gus\":{\"info\":{\"n\":1},\"connections\":1}}}}}");
}

static void without_memory_a_join_is_refused(void **state) {
  (void)state;
  static const char frame[] = "\x81\x9e\0\0\0\0{\"subscribe\":\"room:1\",\"ref\":1}"; /* the mask is 0 */
  join_status = MW_PENDING;
  for (uint64_t n = 1; n < 40; n++) {
    struct memory_peer *ann = connect_as("ann");
    assert_int_equal(mw_memory_write(ann->memory, frame, sizeof frame - 1), 0);
    memory_fail_after(n);
    server_settle(server);
    memory_fail_after(0);
    answer_joins(0);
    member_peer_leave(ann, server);
    memory_peer_close(&peers[--peer_count]);
    mw_server_advance(server, 200);
    assert_int_equal(presence_count(), 0);
  }
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)
  const struct CMUnitTest tests[] = {
      CASE(a_join_waits_for_the_broker),
      CASE(a_join_is_refused),
      CASE(a_client_that_leaves_while_it_joins_is_no_member),
      CASE(the_server_ends_while_a_join_waits),
      CASE(members_of_other_servers_come_and_go),
      CASE(where_the_broker_lists_members_it_decides_who_comes),
      CASE(only_the_number_is_known),
      CASE(without_memory_it_is_read_again),
      CASE(without_memory_a_join_is_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
