/* Members of channels: who is announced, when, and to whom; by WebSockets and event streams in
 * memory, with a clock moved by hand. */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "script/presence/presence.h"
#include "server/server.h"
#include "test/support.h"
#include "test/support/member_peer.h"

static struct mw_server *server;
static struct memory_peer peers[8];
static size_t peer_count;
static struct mw_request *kept;
static bool keep_presence, refuse_presence, starve_presence;
static const char *info;
static size_t channels_max; /* limits.channels; 0: the default */
static unsigned asked;      /* how often MW_REQUEST_PRESENCE came */

/* The user is named by the query: /ws?token=ann. */
static void on_request(void *context, struct mw_request *request) {
  (void)context;
  char user[64];
  if (mw_request_type(request) == MW_REQUEST_AUTHENTICATE) {
    struct mw_bytes token = mw_request_http(request)->token;
    int len = snprintf(user, sizeof user, "{\"id\":\"%.*s\"}", (int)token.len, token.ptr);
    mw_request_accept(request, user, token.len > 0 ? (size_t)len : 0);
  } else if (mw_request_type(request) == MW_REQUEST_PRESENCE) {
    asked++;
    if (keep_presence) {
      kept = request;
    } else if (starve_presence) {
      memory_fail_after(1);
      assert_int_equal(mw_request_accept(request, info, strlen(info)), MW_ENOMEM);
      memory_fail_after(0);
    } else if (refuse_presence) {
      mw_request_refuse(request, 403, "refused", "not you");
    } else {
      mw_request_accept(request, info, strlen(info));
    }
  } else {
    mw_request_accept(request, NULL, 0);
  }
}

static void on_cancel(void *context, struct mw_request *request) {
  (void)context;
  assert_ptr_equal(request, kept);
  kept = NULL;
  mw_request_refuse(request, 500, "internal", "cancelled");
}

static int define(struct mw_config *config) {
  static const struct {
    const char *pattern;
    struct mw_channel_options options;
  } kinds[] = {
      {"room:{x}", {.presence = MW_PRESENCE_FULL, .presence_linger_ms = 5000, .presence_interval_ms = 1000}},
      {"brief:{x}", {.presence = MW_PRESENCE_FULL, .presence_linger_ms = 100, .presence_interval_ms = 1000}},
      {"quick:{x}", {.presence = MW_PRESENCE_FULL}},
      {"info:{x}", {.presence = MW_PRESENCE_FULL, .hooks = MW_HOOK_PRESENCE, .presence_interval_ms = 1000}},
      {"count:{x}", {.presence = MW_PRESENCE_COUNTS, .presence_linger_ms = 2000, .presence_interval_ms = 1000}},
      {"small:{x}", {.presence = MW_PRESENCE_FULL, .members = 2}},
      {"hooks:{x}", {.presence = MW_PRESENCE_FULL, .hooks = MW_HOOK_OPEN | MW_HOOK_CLOSE | MW_HOOK_JOIN | MW_HOOK_LEAVE}},
      {"plain:{x}", {.hooks = 0}},
  };
  for (size_t i = 0; i < COUNT_OF(kinds); i++) {
    int status = mw_config_channel(config, kinds[i].pattern, &kinds[i].options, NULL);
    if (status < 0) return status;
  }
  return 0;
}

static int make_server(void) {
  struct mw_config_options options;
  struct mw_config *config;
  mw_config_options_init(&options);
  options.authenticate = true;
  options.on_request = on_request;
  options.on_cancel = on_cancel;
  options.limits.message_size = 100;
  if (channels_max > 0) options.limits.channels = channels_max;
  options.limits.ping_ms = UINT32_MAX; /* no one here answers pings */
  int status = mw_config_new(&config, &options, NULL);
  if (status < 0) return status;
  status = define(config);
  if (status == 0) status = mw_server_new(&server, &(struct mw_server_options){.config = config}, NULL);
  mw_config_unref(config);
  if (status == 0) mw_server_advance(server, 1);
  return status;
}

static int begin(void **state) {
  int status = support_setup(state);
  peer_count = 0;
  asked = 0;
  keep_presence = refuse_presence = starve_presence = false;
  kept = NULL;
  info = "{ \"n\" : 1 }";
  assert_int_equal(make_server(), 0);
  return status;
}

static int end(void **state) {
  while (peer_count > 0) memory_peer_close(&peers[--peer_count]);
  server_finish(server);
  return support_teardown(state);
}

/* ---- Peers ----------------------------------------------------------------------------------- */

static void upgrade(struct memory_peer *peer, const char *token) {
  char text[400];
  snprintf(text, sizeof text,
           "GET /ws%s%s HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
           "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
           token ? "?token=" : "", token ? token : "");
  memory_peer_open(peer, server);
  memory_peer_send_text(peer, text);
  assert_memory_equal(memory_peer_take(peer), "HTTP/1.1 101 ", 13);
}

static struct memory_peer *connect_as(const char *token) {
  struct memory_peer *peer = &peers[peer_count++];
  assert_true(peer_count <= COUNT_OF(peers));
  upgrade(peer, token);
  return peer;
}

static void send_text(struct memory_peer *peer, const char *text) { memory_peer_frame(peer, WS_OPCODE_TEXT, bytes_string(text)); }

static struct memory_peer *join_as(const char *token, const char *channel) {
  struct memory_peer *peer = connect_as(token);
  member_peer_subscribe(peer, channel);
  return peer;
}

/* ---- Tests ----------------------------------------------------------------------------------- */

static void the_joiner_finds_itself_in_its_snapshot(void **state) {
  (void)state;
  struct memory_peer *ann = join_as("ann", "room:1");
  expect_next(ann, "{\"count\":1,\"members\":{\"ann\":{\"info\":null,\"connections\":1}}}}}");
  expect_next(ann, "");
  assert_int_equal(members_of(server, "room:1"), 1);
  assert_int_equal(members_of(server, "room:2"), 0);
  assert_int_equal(asked, 0);
}

static void others_are_told_once_the_interval_is_over(void **state) {
  (void)state;
  struct memory_peer *ann = join_as("ann", "room:1");
  member_peer_next(ann);
  struct memory_peer *bob = join_as("bob", "room:1");
  expect_next(bob, "{\"count\":1,\"members\":{\"ann\":{\"info\":null,\"connections\":1}}}}}");
  assert_int_equal(members_of(server, "room:1"), 2);
  mw_server_advance(server, 999);
  expect_next(ann, "");
  struct memory_peer *eve = join_as("eve", "room:1");
  member_peer_next(eve);
  mw_server_advance(server, 1);
  expect_next(ann, "{\"joined\":{\"bob\":null,\"eve\":null},\"left\":[],\"count\":3}}");
  expect_next(bob, "{\"joined\":{\"bob\":null,\"eve\":null},\"left\":[],\"count\":3}}");
  expect_next(eve, "{\"joined\":{\"bob\":null,\"eve\":null},\"left\":[],\"count\":3}}");
  /* A channel that was quiet for so long is announced in at once. */
  mw_server_advance(server, 1000);
  struct memory_peer *tom = join_as("tom", "room:1");
  expect_next(ann, "{\"joined\":{\"tom\":null},\"left\":[],\"count\":4}}");
  assert_non_null(strstr(member_peer_next(tom), "{\"count\":4,"));
}

static void a_quick_return_is_no_event(void **state) {
  (void)state;
  struct memory_peer *ann = join_as("ann", "room:1"), *bob = join_as("bob", "room:1");
  mw_server_advance(server, 2000);
  while (*member_peer_next(ann)) continue;
  member_peer_leave(bob, server);
  mw_server_advance(server, 4900);
  assert_int_equal(members_of(server, "room:1"), 2);
  struct memory_peer *again = join_as("bob", "room:1");
  mw_server_advance(server, 20000);
  expect_next(ann, "");
  member_peer_leave(again, server);
  mw_server_advance(server, 4999);
  expect_next(ann, "");
  mw_server_advance(server, 2);
  expect_next(ann, "{\"joined\":{},\"left\":[\"bob\"],\"count\":1}}");
  assert_int_equal(members_of(server, "room:1"), 1);
}

/* The app sees who has left when the linger is over, though others are told with the next
 * announcement. */
static void the_app_sees_a_leave_before_others_are_told(void **state) {
  (void)state;
  struct memory_peer *ann = join_as("ann", "brief:1");
  member_peer_next(ann);
  member_peer_leave(join_as("bob", "brief:1"), server);
  mw_server_advance(server, 99);
  assert_int_equal(members_of(server, "brief:1"), 2);
  mw_server_advance(server, 1);
  assert_int_equal(members_of(server, "brief:1"), 1);
  mw_server_advance(server, 20000);
  expect_next(ann, "");
}

/* A hub that had no room for the channel of a member does not know that member. The next that comes
 * is told of both all the same. */
static void a_roster_that_was_lost_is_made_whole(void **state) {
  (void)state;
  server_finish(server);
  channels_max = 2;
  assert_int_equal(make_server(), 0);
  channels_max = 0;
  struct memory_peer *eve = join_as("eve", "plain:1");
  member_peer_subscribe(eve, "plain:2");
  struct memory_peer *ann = connect_as("ann"), *bob = connect_as("bob");
  member_peer_subscribe(ann, "room:1");
  assert_non_null(strstr(member_peer_next(ann), "\"error\":"));
  assert_int_equal(members_of(server, "room:1"), 1); /* until its linger has ended */
  mw_server_advance(server, 2500);                   /* what became of it later is lost as well */
  send_text(eve, "{\"unsubscribe\":\"plain:1\"}");
  member_peer_subscribe(bob, "room:1");
  const char *snapshot = member_peer_next(bob);
  assert_non_null(strstr(snapshot, "\"count\":2"));
  assert_non_null(strstr(snapshot, "\"ann\":"));
  assert_non_null(strstr(snapshot, "\"bob\":"));
  mw_server_advance(server, 20000);
  const char *left = member_peer_next(bob);
  assert_non_null(strstr(left, "\"left\":[\"ann\"],\"count\":1"));
  expect_next(bob, "");
  /* And from now on only what changes is passed on. */
  member_peer_subscribe(ann, "room:1");
  assert_non_null(strstr(member_peer_next(ann), "\"count\":2"));
}

/* A channel whose members stay the same wakes no one up. */
static void a_quiet_channel_has_no_alarm(void **state) {
  (void)state;
  join_as("ann", "room:1");
  join_as("bob", "count:1");
  mw_server_advance(server, 10000);
  uint64_t turns = server->loop.turn;
  mw_server_advance(server, 10000);
  assert_true(server->loop.turn - turns <= 12); /* one a second, for the timers */
}

static void a_user_is_a_member_once(void **state) {
  (void)state;
  struct memory_peer *ann = join_as("ann", "quick:1"), *bob = join_as("bob", "quick:1"), *tab = join_as("bob", "quick:1");
  assert_non_null(strstr(member_peer_next(tab), "\"bob\":{\"info\":null,\"connections\":2}"));
  member_peer_next(ann);
  expect_next(ann, "{\"joined\":{\"bob\":null},\"left\":[],\"count\":2}}");
  member_peer_leave(tab, server);
  expect_next(ann, "");
  member_peer_leave(bob, server);
  expect_next(ann, "{\"joined\":{},\"left\":[\"bob\"],\"count\":1}}");
}

/* Within the interval of the last announcement, too. */
static void a_snapshot_counts_the_connection_that_receives_it(void **state) {
  (void)state;
  struct memory_peer *ann = join_as("ann", "room:1"), *bob = join_as("bob", "room:1");
  member_peer_next(ann);
  mw_server_advance(server, 1000);
  expect_next(ann, "{\"joined\":{\"bob\":null},\"left\":[],\"count\":2}}");
  struct memory_peer *tab = join_as("ann", "room:1");
  assert_non_null(strstr(member_peer_next(tab), "\"ann\":{\"info\":null,\"connections\":2}"));
  member_peer_leave(bob, server);
  bob = join_as("bob", "room:1");
  assert_non_null(strstr(member_peer_next(bob), "\"bob\":{\"info\":null,\"connections\":1}"));
  mw_server_advance(server, 1000);
  expect_next(ann, "");
  send_text(ann, "{\"presence\":\"room:1\",\"ref\":4}");
  assert_non_null(
      strstr(member_peer_next(ann), "\"ann\":{\"info\":null,\"connections\":2},\"bob\":{\"info\":null,\"connections\":1}"));
}

static void joining_and_leaving_within_a_batch_cancel_out(void **state) {
  (void)state;
  struct memory_peer *ann = join_as("ann", "info:1");
  member_peer_next(ann);
  struct memory_peer *bob = join_as("bob", "info:1");
  member_peer_leave(bob, server);
  mw_server_advance(server, 3000);
  expect_next(ann, "");
  /* And the other way round. It is no member anew, so no one asks what it is. */
  struct memory_peer *eve = join_as("eve", "info:1");
  expect_next(ann, "{\"joined\":{\"eve\":{\"n\":1}},\"left\":[],\"count\":2}}");
  assert_int_equal(asked, 3);
  member_peer_leave(eve, server);
  assert_int_equal(members_of(server, "info:1"), 1);
  join_as("eve", "info:1");
  assert_int_equal(members_of(server, "info:1"), 2);
  assert_int_equal(asked, 3);
  mw_server_advance(server, 3000);
  expect_next(ann, "");
}

static void unsubscribing_is_leaving(void **state) {
  (void)state;
  struct memory_peer *ann = join_as("ann", "quick:1"), *bob = join_as("bob", "quick:1");
  while (*member_peer_next(ann)) continue;
  while (*member_peer_next(bob)) continue;
  send_text(bob, "{\"unsubscribe\":\"quick:1\",\"ref\":2}");
  expect_next(bob, "{\"ref\":2,\"ok\":true}");
  expect_next(bob, "");
  expect_next(ann, "{\"joined\":{},\"left\":[\"bob\"],\"count\":1}}");
}

static void the_anonymous_go_by_their_connections(void **state) {
  (void)state;
  struct memory_peer *one = join_as(NULL, "quick:1"), *two = join_as(NULL, "quick:1");
  assert_int_equal(members_of(server, "quick:1"), 2);
  member_peer_next(one);
  assert_non_null(strstr(member_peer_next(one), "\"count\":2"));
  member_peer_leave(two, server);
  assert_non_null(strstr(member_peer_next(one), "\"joined\":{},\"left\":[\""));
  assert_int_equal(members_of(server, "quick:1"), 1);
}

static void counts_tell_numbers_and_only_if_they_change(void **state) {
  (void)state;
  struct memory_peer *ann = join_as("ann", "count:1");
  expect_next(ann, "{\"count\":1}}}");
  struct memory_peer *bob = join_as("bob", "count:1");
  mw_server_advance(server, 1000);
  expect_next(ann, "{\"count\":2}}");
  mw_server_advance(server, 5000);
  struct memory_peer *tab = join_as("bob", "count:1");
  expect_next(tab, "{\"count\":2}}}");
  member_peer_leave(bob, server);
  /* One for another: as many as before. */
  member_peer_leave(tab, server);
  mw_server_advance(server, 1500);
  expect_next(ann, "");
  mw_server_advance(server, 501);
  expect_next(ann, "{\"count\":1}}");
  send_text(ann, "{\"presence\":\"count:1\",\"ref\":4}");
  expect_next(ann, "{\"ref\":4,\"ok\":{\"count\":1}}");
}

static void asks_for_the_info_of_those_who_are_no_members(void **state) {
  (void)state;
  struct memory_peer *ann = join_as("ann", "info:1");
  expect_next(ann, "{\"count\":1,\"members\":{\"ann\":{\"info\":{\"n\":1},\"connections\":1}}}}}");
  join_as("ann", "info:1");
  assert_int_equal(asked, 1);
  refuse_presence = true;
  struct memory_peer *bob = join_as("bob", "info:1");
  expect_next(bob, "{\"ref\":1,\"error\":{\"code\":\"refused\",\"reason\":\"not you\"}}");
  refuse_presence = false;
  info = "\"01234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890\"";
  struct memory_peer *eve = join_as("eve", "info:1");
  expect_next(eve, "{\"ref\":1,\"error\":{\"code\":\"internal\",\"reason\":\"internal error\"}}");
  info = "";
  struct memory_peer *tom = join_as("tom", "info:1");
  member_peer_next(tom);
  assert_int_equal(members_of(server, "info:1"), 2);
}

static void who_goes_while_the_app_is_asked_is_no_member(void **state) {
  (void)state;
  struct memory_peer *ann = join_as("ann", "info:1");
  member_peer_next(ann);
  mw_server_advance(server, 2000);
  keep_presence = true;
  struct memory_peer *bob = join_as("bob", "info:1");
  assert_non_null(kept);
  member_peer_leave(bob, server);
  assert_null(kept);
  mw_server_advance(server, 5000);
  expect_next(ann, "");
  assert_int_equal(members_of(server, "info:1"), 1);
}

static void a_full_channel_refuses_further_users(void **state) {
  (void)state;
  struct memory_peer *ann = join_as("ann", "small:1"), *bob = join_as("bob", "small:1"), *eve = join_as("eve", "small:1");
  expect_next(eve, "{\"ref\":1,\"error\":{\"code\":\"refused\",\"reason\":\"the channel is full\"}}");
  struct memory_peer *tab = join_as("ann", "small:1");
  assert_non_null(strstr(member_peer_next(tab), "\"count\":2"));
  member_peer_leave(bob, server);
  member_peer_subscribe(eve, "small:1");
  assert_non_null(strstr(member_peer_next(eve), "\"count\":2"));
  (void)ann;
}

static void answers_the_presence_verb(void **state) {
  (void)state;
  struct memory_peer *ann = connect_as("ann");
  send_text(ann, "{\"presence\":\"room:1\",\"ref\":4}");
  expect_next(ann, "{\"ref\":4,\"error\":{\"code\":\"not_subscribed\",\"reason\":\"subscribe to the channel first\"}}");
  send_text(ann, "{\"presence\":\"plain:1\",\"ref\":4}");
  memory_peer_expect(ann, "{\"ref\":4,\"error\":{\"code\":\"refused\",\"reason\":\"the channel has no presence\"}}");
  member_peer_subscribe(ann, "room:1");
  member_peer_next(ann);
  send_text(ann, "{\"presence\":\"room:1\",\"ref\":4}");
  expect_next(ann, "{\"ref\":4,\"ok\":{\"count\":1,\"members\":{\"ann\":{\"info\":null,\"connections\":1}},\"more\":false}}");
}

static const char *get_stream(struct memory_peer *peer, const char *query) {
  char text[300];
  snprintf(text, sizeof text, "GET /sse?%s HTTP/1.1\r\nHost: test\r\n\r\n", query);
  memory_peer_open(peer, server);
  peer_count++;
  memory_peer_send_text(peer, text);
  return memory_peer_take(peer);
}

static void event_streams_begin_with_a_snapshot(void **state) {
  (void)state;
  const char *ann = get_stream(&peers[0], "channel=room:1&envelope=1&token=ann");
  assert_non_null(strstr(ann, "\"channels\":{\"room:1\":{\"presence\":"
                              "{\"count\":1,\"members\":{\"ann\":{\"info\":null,\"connections\":1}}}}}"));
  mw_server_advance(server, 1000);
  const char *bob = get_stream(&peers[1], "channel=room:1&channel=plain:1&channel=count:1&token=bob");
  assert_non_null(strstr(bob, "event: moonwire:presence\ndata: {\"count\":2,\"members\":{"));
  assert_non_null(strstr(bob, "event: moonwire:presence\ndata: {\"count\":1}\n"));
  assert_non_null(strstr(memory_peer_take(&peers[0]), "data: {\"channel\":\"room:1\",\"event\":\"moonwire:presence\",\"data\":"
                                                      "{\"joined\":{\"bob\":null},\"left\":[],\"count\":2}}"));
  assert_null(strstr(memory_peer_take(&peers[1]), "bob"));
  member_peer_leave(&peers[0], server);
  mw_server_advance(server, 7000);
  assert_non_null(
      strstr(memory_peer_take(&peers[1]), "event: moonwire:presence\ndata: {\"joined\":{},\"left\":[\"ann\"],\"count\":1}\n"));
}

/* One that lasts is a member like others, and is notified of changes with its next poll; without a
 * client there is no presence. */
static void polls_have_presence_by_their_clients(void **state) {
  (void)state;
  struct memory_peer *ann = join_as("ann", "room:1"), *bob = &peers[peer_count++], *eve = &peers[peer_count++];
  member_peer_next(ann);
  mw_server_advance(server, 1000);
  memory_peer_open(bob, server);
  memory_peer_open(eve, server);
  memory_peer_send_text(bob, "GET /poll?channel=room:1&client=&wait=0&token=bob HTTP/1.1\r\nHost: t\r\n\r\n");
  const char *answer = memory_peer_take(bob), *at = strstr(answer, "\"client\":\"");
  assert_non_null(strstr(answer, "\"channels\":{\"room:1\":{\"presence\":{\"count\":2,\"members\":{"));
  assert_non_null(at);
  char request[300];
  snprintf(request, sizeof request, "GET /poll?channel=room:1&client=%.28s&since=0&wait=20&token=bob HTTP/1.1\r\nHost: t\r\n\r\n",
           at + strlen("\"client\":\""));
  memory_peer_send_text(eve, "GET /poll?channel=room:1&since=0&wait=20&token=eve HTTP/1.1\r\nHost: t\r\n\r\n");
  expect_next(ann, "{\"joined\":{\"bob\":null},\"left\":[],\"count\":2}}");
  mw_server_advance(server, 1000);
  join_as("tom", "room:1");
  memory_peer_send_text(bob, request);
  assert_non_null(strstr(memory_peer_take(bob), "\"data\":{\"joined\":{\"tom\":null},\"left\":[],\"count\":3}}"));
  assert_string_equal(memory_peer_take(eve), "");
  mw_server_advance(server, 20000);
  assert_non_null(strstr(memory_peer_take(eve), "\"messages\":[]"));
  assert_int_equal(members_of(server, "room:1"), 3);
  mw_server_advance(server, 20000);
  assert_int_equal(members_of(server, "room:1"), 2);
}

/* A channel with members stays, also when no one listens at the moment; without any it goes. */
static void channels_with_members_are_not_swept(void **state) {
  (void)state;
  struct memory_peer *ann = join_as("ann", "room:1");
  member_peer_leave(ann, server);
  mw_server_advance(server, 4000);
  assert_int_equal(mw_live("channel"), 1);
  struct memory_peer *bob = join_as("bob", "room:1");
  assert_non_null(strstr(member_peer_next(bob), "\"ann\":{\"info\":null,\"connections\":0}"));
  member_peer_leave(bob, server);
  mw_server_advance(server, 30000);
  assert_int_equal(mw_live("channel"), 0);
  assert_int_equal(server->script.presences.count, 0);
}

static void hooks_run_around_it(void **state) {
  (void)state;
  struct memory_peer *ann = join_as("ann", "hooks:1"), *bob = join_as("bob", "hooks:1");
  while (*member_peer_next(ann)) continue;
  member_peer_leave(bob, server);
  expect_next(ann, "{\"joined\":{},\"left\":[\"bob\"],\"count\":1}}");
  member_peer_leave(ann, server);
  server_settle(server);
  assert_int_equal(server->script.presences.count, 0);
  assert_int_equal(server->script.open_channels.count, 0);
}

/* The app subscribes without asking itself: such a client is told what others learn from their
 * acknowledgement, and added. */
static void whom_the_app_subscribes_is_counted(void **state) {
  (void)state;
  struct memory_peer *ann = join_as("ann", "quick:1"), *bob = join_as("bob", "plain:1");
  member_peer_next(ann);
  member_peer_next(bob);
  struct mw_client *client = NULL;
  while ((client = mw_client_next(server, client)) && !strstr(mw_client_user(client).ptr, "bob")) continue;
  assert_non_null(client);
  for (int i = 0; i < 2; i++) assert_int_equal(mw_client_subscribe(server, client, "quick:1", 7), 0);
  server_settle(server);
  expect_next(bob, "{\"count\":1,\"members\":{\"ann\":{\"info\":null,\"connections\":1}}}}");
  expect_next(bob, "{\"joined\":{\"bob\":null},\"left\":[],\"count\":2}}");
  expect_next(ann, "{\"joined\":{\"bob\":null},\"left\":[],\"count\":2}}");
  /* Again and again, before the first answer has come: it is one connection all the same. */
  assert_int_equal(mw_client_unsubscribe(server, client, "quick:1", 7, NULL, NULL), 0);
  assert_int_equal(mw_client_subscribe(server, client, "quick:1", 7), 0);
  assert_int_equal(mw_client_unsubscribe(server, client, "quick:1", 7, NULL, NULL), 0);
  assert_int_equal(mw_client_subscribe(server, client, "quick:1", 7), 0);
  server_settle(server);
  assert_int_equal(members_of(server, "quick:1"), 2);
  assert_int_equal(mw_client_unsubscribe(server, client, "quick:1", 7, NULL, NULL), 0);
  server_settle(server);
  assert_int_equal(members_of(server, "quick:1"), 1);
  mw_client_unref(client);
}

static void an_app_cannot_announce_by_itself(void **state) {
  (void)state;
  struct mw_publish publish = {.channel = {"room:1", 6}, .event = {"moonwire:presence", 17}};
  assert_int_equal(mw_publish(server, &publish, NULL, NULL), MW_EINVAL);
}

static void a_config_must_make_sense(void **state) {
  (void)state;
  struct mw_config_options options;
  struct mw_config *config;
  mw_config_options_init(&options);
  assert_int_equal(mw_config_new(&config, &options, NULL), 0);
  const struct mw_channel_options wrong[] = {
      {.hooks = MW_HOOK_PRESENCE}, {.presence_linger_ms = 1}, {.presence_interval_ms = 1}, {.presence = (enum mw_presence)7}};
  for (size_t i = 0; i < COUNT_OF(wrong); i++) {
    assert_int_equal(mw_config_channel(config, "a:{x}", &wrong[i], NULL), MW_EINVAL);
  }
  mw_config_unref(config);
}

/* ---- If out of memory ------------------------------------------------------------------------ */

/* Two users come and go while the nth allocation fails. A client that stays connected knows who is
 * there; no one is left over. */
static bool come_and_go(void *context) {
  (void)context;
  static struct memory_peer pair[2];
  bool fine = true;
  if (make_server() < 0) return false;
  for (int i = 0; i < 2; i++) {
    pair[i] = (struct memory_peer){.server = server};
    fine = mw_connect_memory(server, &pair[i].memory) == 0 && fine;
    if (!fine) break;
    static const char *const requests[] = {
        "GET /sse?channel=quick:1&channel=info:1&envelope=1&token=ann HTTP/1.1\r\nHost: t\r\n\r\n",
        "GET /sse?channel=quick:1&channel=info:1&token=bob HTTP/1.1\r\nHost: t\r\n\r\n"};
    fine = mw_memory_write(pair[i].memory, requests[i], strlen(requests[i])) == 0 && fine;
    server_settle(server);
  }
  mw_server_advance(server, 3000);
  char text[4096];
  for (int i = 0; i < 2; i++) {
    size_t len = pair[i].memory ? mw_memory_read(pair[i].memory, text, sizeof text - 1) : 0;
    text[len] = '\0';
    fine = fine && len > 0 && strstr(text, "\"bob\":");
    mw_memory_close(pair[i].memory);
    pair[i].memory = NULL;
  }
  server_settle(server);
  mw_server_advance(server, 20000);
  server_settle(server);
  mw_server_advance(server, 20000);
  assert_int_equal(server->script.presences.count, 0);
  assert_int_equal(mw_live("client"), 0);
  assert_int_equal(mw_live("channel"), 0);
  server_finish(server);
  return fine;
}

static void ignore_log(void *context, enum mw_log_level level, const char *text, size_t text_len) {
  (void)context, (void)level, (void)text, (void)text_len;
}

static void without_memory_nobody_is_wrong(void **state) {
  (void)state;
  server_finish(server);
  mw_log_to(MW_LOG_ERROR, ignore_log, NULL);
  assert_true(support_fail_each(come_and_go, NULL) > 50);
  mw_log_to(MW_LOG_INFO, NULL, NULL);
  assert_int_equal(make_server(), 0);
}

/* An event stream for whose member there is no memory is put off, as one that may return, and not
 * refused. */
static void without_memory_for_its_info_a_stream_returns(void **state) {
  (void)state;
  mw_log_to(MW_LOG_ERROR, ignore_log, NULL);
  struct memory_peer *peer = &peers[peer_count++];
  starve_presence = true;
  memory_peer_open(peer, server);
  memory_peer_send_text(peer, "GET /sse?channel=info:1&token=ann HTTP/1.1\r\nHost: t\r\n\r\n");
  const char *answer = memory_peer_take(peer);
  assert_memory_equal(answer, "HTTP/1.1 200 ", 13);
  assert_non_null(strstr(answer, "retry: "));
  assert_true(memory_peer_ended(peer));
  mw_log_to(MW_LOG_INFO, NULL, NULL);
}

/* ---- At random ------------------------------------------------------------------------------- */

enum { USERS = 6, SEATS = 8, ROUNDS = 4000 };

/* A subscriber and whom it takes for present, by bits. */
struct seat {
  struct memory_peer peer;
  bool open;
  int user;
  unsigned known;
};

/* Reads "u3" names in the text up to its end; each must be news. */
static unsigned read_names(const char *from, const char *until) {
  unsigned names = 0;
  for (const char *at = from; at < until && (at = strstr(at, "\"u")) != NULL && at < until; at += 4) {
    unsigned bit = 1u << (at[2] - '0');
    assert_false(names & bit);
    names |= bit;
  }
  return names;
}

static unsigned bits(unsigned set) {
  unsigned count = 0;
  for (; set; set &= set - 1) count++;
  return count;
}

static void follow(struct seat *seat) {
  enum ws_opcode opcode;
  struct bytes payload;
  while (seat->open && memory_peer_next_frame(&seat->peer, &opcode, &payload)) {
    const char *end = payload.ptr + payload.len, *members_at = strstr(payload.ptr, "\"members\":");
    const char *joined = strstr(payload.ptr, "\"joined\":"), *left = strstr(payload.ptr, "\"left\":");
    if (members_at) {
      seat->known = read_names(members_at, end);
    } else {
      assert_true(joined && left);
      unsigned in = read_names(joined, left), out = read_names(left, end);
      assert_int_equal(in & seat->known, 0);
      assert_int_equal(out & seat->known, out);
      seat->known = (seat->known | in) & ~out;
    }
    assert_int_equal(atoi(strstr(payload.ptr, "\"count\":") + 8), bits(seat->known));
  }
}

static void note_member(void *context, const struct mw_member *member) {
  *(unsigned *)context |= 1u << (member->user_id.ptr[1] - '0');
}

/* Once everything is announced: who sits there is there, and known to all. */
static void expect_agreement(struct seat *seats, const char *channel) {
  mw_server_advance(server, 20000);
  unsigned there = 0, seated = 0;
  mw_channel_presence(server, channel, strlen(channel), NULL, note_member, &there, NULL);
  for (size_t i = 0; i < SEATS; i++) {
    follow(&seats[i]);
    if (seats[i].open) seated |= 1u << seats[i].user;
  }
  assert_int_equal(there, seated);
  for (size_t i = 0; i < SEATS; i++) {
    if (seats[i].open) assert_int_equal(seats[i].known, there);
  }
}

/* A subscriber knows at any time just who was announced, and, once it is quiet, who is there. */
static void every_subscriber_knows_who_is_there(void **state) {
  (void)state;
  static const char *const channels[] = {"room:1", "quick:1", "info:1"};
  static struct seat seats[SEATS];
  srand(7);
  for (size_t c = 0; c < COUNT_OF(channels); c++) {
    memset(seats, 0, sizeof seats);
    for (int round = 0; round < ROUNDS; round++) {
      struct seat *seat = &seats[rand() % SEATS];
      if (!seat->open) {
        char token[8];
        seat->user = rand() % USERS;
        snprintf(token, sizeof token, "u%d", seat->user);
        upgrade(&seat->peer, token);
        member_peer_subscribe(&seat->peer, channels[c]);
        seat->open = true;
      } else if (rand() % 2) {
        follow(seat);
        memory_peer_close(&seat->peer);
        seat->open = false;
        seat->known = 0;
        server_settle(server);
      }
      if (rand() % 3 == 0) mw_server_advance(server, (uint64_t)(rand() % 3000));
      for (size_t i = 0; i < SEATS; i++) follow(&seats[i]);
      if (round % 20 == 0) expect_agreement(seats, channels[c]);
    }
    expect_agreement(seats, channels[c]);
    for (size_t i = 0; i < SEATS; i++) {
      if (seats[i].open) memory_peer_close(&seats[i].peer);
    }
    server_settle(server);
    mw_server_advance(server, 30000);
    assert_int_equal(server->script.presences.count, 0);
  }
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void) {
  const struct CMUnitTest tests[] = {
      CASE(the_joiner_finds_itself_in_its_snapshot),
      CASE(others_are_told_once_the_interval_is_over),
      CASE(a_quick_return_is_no_event),
      CASE(the_app_sees_a_leave_before_others_are_told),
      CASE(a_roster_that_was_lost_is_made_whole),
      CASE(a_quiet_channel_has_no_alarm),
      CASE(a_user_is_a_member_once),
      CASE(a_snapshot_counts_the_connection_that_receives_it),
      CASE(joining_and_leaving_within_a_batch_cancel_out),
      CASE(unsubscribing_is_leaving),
      CASE(the_anonymous_go_by_their_connections),
      CASE(counts_tell_numbers_and_only_if_they_change),
      CASE(asks_for_the_info_of_those_who_are_no_members),
      CASE(who_goes_while_the_app_is_asked_is_no_member),
      CASE(a_full_channel_refuses_further_users),
      CASE(answers_the_presence_verb),
      CASE(event_streams_begin_with_a_snapshot),
      CASE(polls_have_presence_by_their_clients),
      CASE(channels_with_members_are_not_swept),
      CASE(hooks_run_around_it),
      CASE(whom_the_app_subscribes_is_counted),
      CASE(without_memory_nobody_is_wrong),
      CASE(without_memory_for_its_info_a_stream_returns),
      CASE(an_app_cannot_announce_by_itself),
      CASE(a_config_must_make_sense),
      CASE(every_subscriber_knows_who_is_there),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
