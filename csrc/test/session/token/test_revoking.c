/* mw_server_close_user: everything of a user ends at once, on every transport, and nothing of
 * others. Tickets: they identify a user once. Grants: the claim "channels". */
#include "script/tickets.h"
#include "test/support.h"
#include "test/support/token/token_app.h"

/* One of each kind of connection, of one user. */
struct fleet {
  struct memory_peer native, plain, stream, envelope, raw, poll, alone;
  char client[64]; /* of `poll` */
};

static void open_fleet(struct token_app *app, struct fleet *fleet, const char *user) {
  char token[MW_TOKEN_MAX], since[64], target[256];
  snprintf(token, sizeof token, "%s", token_of(app, user, 1000, ""));
  token_connect(app, &fleet->native, token);
  token_ask(&fleet->native, "{\"subscribe\":\"hall:a\",\"ref\":1}");
  assert_int_equal(token_upgrade(app, &fleet->plain, "/ws", token, ""), 101);
  token_ask(&fleet->plain, "{\"subscribe\":\"open:a\",\"ref\":1}");
  assert_int_equal(token_get(app, &fleet->stream, "/sse?channel=open:a&channel=hall:a", token, ""), 200);
  assert_int_equal(token_get(app, &fleet->envelope, "/sse?channel=open:a&envelope=1", token, ""), 200);
  assert_int_equal(token_upgrade(app, &fleet->raw, "/raw", token, ""), 101);
  assert_int_equal(token_get(app, &fleet->poll, "/poll?channel=open:a&channel=hall:a&client=", token, ""), 200);
  token_find(fleet->poll.in.data, "\"client\":\"", fleet->client);
  token_find(strstr(fleet->poll.in.data, "\r\n\r\n"), "{\"id\":\"", since);
  memory_peer_close(&fleet->poll);
  snprintf(target, sizeof target, "/poll?channel=open:a&client=%s&since=%s&wait=500", fleet->client, since);
  assert_int_equal(token_get(app, &fleet->poll, target, token, ""), 0);
  snprintf(target, sizeof target, "/poll?channel=open:a&since=%s&wait=500", since);
  assert_int_equal(token_get(app, &fleet->alone, target, token, ""), 0);
}

static void close_fleet(struct fleet *fleet) {
  struct memory_peer *all[] = {&fleet->native, &fleet->plain, &fleet->stream, &fleet->envelope,
                               &fleet->raw,    &fleet->poll,  &fleet->alone};
  for (size_t i = 0; i < COUNT_OF(all); i++) memory_peer_close(all[i]);
}

/* Presence is announced in between. */
static void expect_closed(struct memory_peer *peer, const char *reason) {
  enum ws_opcode opcode = WS_OPCODE_TEXT;
  struct bytes payload = {NULL, 0};
  while (opcode != WS_OPCODE_CLOSE) assert_true(memory_peer_next_frame(peer, &opcode, &payload));
  assert_int_equal((unsigned char)payload.ptr[0] << 8 | (unsigned char)payload.ptr[1], 4403);
  assert_string_equal(payload.ptr + 2, reason);
}

static size_t members(struct token_app *app, const char *channel) {
  return mw_channel_presence(app->server, channel, strlen(channel), NULL, NULL, NULL, NULL);
}

static void closes_everything_of_a_user(void **state) {
  (void)state;
  struct token_app app;
  struct fleet ann, bea;
  token_app_start(&app);
  open_fleet(&app, &ann, "ann");
  open_fleet(&app, &bea, "bea");
  assert_int_equal(members(&app, "hall:a"), 2);
  assert_int_equal(mw_server_close_user(app.server, "ann", 3, "banned"), 7);
  assert_int_equal(mw_server_close_user(app.server, "ann", 3, "banned"), 0);
  server_settle(app.server);
  /* At once: no time passes, and presence does not linger. */
  assert_int_equal(members(&app, "hall:a"), 1);
  expect_closed(&ann.native, "banned");
  expect_closed(&ann.plain, "banned");
  expect_closed(&ann.raw, "banned");
  assert_true(token_got(&ann.stream, "\r\n0\r\n\r\n"));
  assert_true(token_got(&ann.envelope, "\r\n0\r\n\r\n"));
  assert_true(token_got(&ann.poll, "HTTP/1.1 403 "));
  assert_true(token_got(&ann.poll, "\"reason\":\"banned\""));
  assert_true(token_got(&ann.alone, "HTTP/1.1 403 "));
  assert_true(token_got(&ann.alone, "\"reason\":\"banned\""));
  token_app_publish(&app, "open:a", 1);
  server_settle(app.server);
  assert_false(token_got(&ann.stream, "{\"n\":1}") || token_got(&ann.envelope, "{\"n\":1}") || token_got(&ann.poll, "{\"n\":1}"));
  /* Nothing of the other user has ended. */
  assert_non_null(strstr(token_next(&bea.plain), "{\"n\":1}"));
  assert_true(token_got(&bea.stream, "{\"n\":1}") && token_got(&bea.envelope, "{\"n\":1}"));
  assert_true(token_got(&bea.poll, "{\"n\":1}") && token_got(&bea.alone, "{\"n\":1}"));
  memory_peer_expect(&bea.raw, NULL);
  close_fleet(&ann);
  close_fleet(&bea);
  token_app_finish(&app);
}

static void closes_what_is_still_connecting(void **state) {
  (void)state;
  struct token_app app;
  struct memory_peer raw;
  token_app_start(&app);
  app.keep = 1U << MW_REQUEST_WEBSOCKET;
  assert_int_equal(token_upgrade(&app, &raw, "/raw", token_of(&app, "ann", 100, ""), ""), 0);
  assert_int_equal(mw_server_close_user(app.server, "ann", 3, NULL), 1);
  struct mw_socket *socket;
  assert_int_equal(mw_request_websocket(app.kept, &socket), 0);
  mw_socket_unref(socket);
  server_settle(app.server);
  assert_true(token_got(&raw, "HTTP/1.1 101 "));
  assert_true(token_got(&raw, "\x88\x02\x11\x33"));
  /* One that is refused is forgotten. */
  memory_peer_close(&raw);
  app.kept = NULL;
  assert_int_equal(token_upgrade(&app, &raw, "/raw", token_of(&app, "ann", 100, ""), ""), 0);
  mw_request_refuse(app.kept, 403, "forbidden", "no");
  server_settle(app.server);
  assert_int_equal(mw_server_close_user(app.server, "ann", 3, NULL), 0);
  memory_peer_close(&raw);
  /* And one whose peer disconnects first. */
  app.kept = NULL;
  assert_int_equal(token_upgrade(&app, &raw, "/raw", token_of(&app, "ann", 100, ""), ""), 0);
  memory_peer_close(&raw);
  server_settle(app.server);
  if (mw_request_websocket(app.kept, &socket) == 0) mw_socket_unref(socket);
  server_settle(app.server);
  assert_int_equal(mw_server_close_user(app.server, "ann", 3, NULL), 0);
  token_app_finish(&app);
}

/* ---- Tickets --------------------------------------------------------------------------------- */

static const char *ticket_for(struct token_app *app, const char *user, uint64_t valid_ms) {
  static char text[MW_TICKET_LEN + 1];
  assert_int_equal(mw_server_ticket(app->server, user, strlen(user), valid_ms, text, NULL), 0);
  return text;
}

static int get_with(struct token_app *app, struct memory_peer *peer, const char *ticket) {
  char target[256];
  snprintf(target, sizeof target, "/sse?channel=open:a&envelope=1&ticket=%s", ticket);
  return token_get(app, peer, target, NULL, "");
}

static void uses_tickets_once(void **state) {
  (void)state;
  struct token_app app;
  struct memory_peer peer, again;
  char ticket[MW_TICKET_LEN + 1], target[128];
  token_app_start(&app);
  snprintf(ticket, sizeof ticket, "%s", ticket_for(&app, "{\"id\":\"ann\"}", 10000));
  assert_int_equal(get_with(&app, &peer, ticket), 200);
  assert_int_equal(get_with(&app, &again, ticket), 401);
  assert_true(token_got(&again, "\"reason\":\"the ticket is unknown, was used, or has expired\""));
  memory_peer_close(&again);
  struct mw_client *client = mw_client_next(app.server, NULL);
  assert_memory_equal(mw_client_user_id(client).ptr, "ann", 3);
  mw_client_unref(client);
  snprintf(target, sizeof target, "/ws?ticket=%s", ticket_for(&app, "{\"id\":\"ann\"}", 10000));
  assert_int_equal(token_upgrade(&app, &again, target, NULL, ""), 101);
  memory_peer_close(&again);
  /* With moonwire.1, when it connects. */
  snprintf(target, sizeof target, "/ws?ticket=%s", ticket_for(&app, "{\"id\":\"ann\"}", 10000));
  assert_int_equal(token_upgrade(&app, &again, target, NULL, "Sec-WebSocket-Protocol: moonwire.1\r\n"), 101);
  assert_non_null(strstr(token_ask(&again, "{\"connect\":{},\"ref\":0}"), "\"ok\":"));
  memory_peer_close(&again);
  memory_peer_close(&peer);
  token_app_finish(&app);
}

static void forgets_tickets(void **state) {
  (void)state;
  struct token_app app;
  struct memory_peer peer;
  char ticket[MW_TICKET_LEN + 1], user[128];
  token_app_start(&app);
  snprintf(ticket, sizeof ticket, "%s", ticket_for(&app, "{\"id\":\"ann\"}", 10000));
  token_app_pass(&app, 10);
  assert_int_equal(get_with(&app, &peer, ticket), 401);
  memory_peer_close(&peer);
  /* A user who is closed loses them. */
  snprintf(ticket, sizeof ticket, "%s", ticket_for(&app, "{\"id\":\"ann\"}", 10000));
  char other[MW_TICKET_LEN + 1];
  snprintf(other, sizeof other, "%s", ticket_for(&app, "{\"id\":\"bea\"}", 10000));
  mw_server_close_user(app.server, "ann", 3, NULL);
  assert_int_equal(get_with(&app, &peer, ticket), 401);
  memory_peer_close(&peer);
  assert_int_equal(get_with(&app, &peer, other), 200);
  memory_peer_close(&peer);
  /* The client of a ticket lasts as long as the token that the user comes from. */
  long long exp = (long long)(mw_server_time(app.server) / 1000) + 50;
  snprintf(user, sizeof user, "{\"sub\":\"ann\",\"exp\":%lld}", exp);
  assert_int_equal(get_with(&app, &peer, ticket_for(&app, user, 10000)), 200);
  token_app_pass(&app, 51);
  assert_true(token_got(&peer, "moonwire:expiring"));
  assert_true(token_got(&peer, "\r\n0\r\n\r\n"));
  memory_peer_close(&peer);
  /* Even if the ticket is used only after that. */
  snprintf(user, sizeof user, "{\"sub\":\"ann\",\"exp\":%lld}", exp + 10);
  snprintf(ticket, sizeof ticket, "%s", ticket_for(&app, user, 100000));
  token_app_pass(&app, 12);
  assert_int_equal(get_with(&app, &peer, ticket), 401);
  memory_peer_close(&peer);
  token_app_finish(&app);
}

static void refuses_tickets(void **state) {
  (void)state;
  static const char *const hostile[] = {
      "x",
      "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
      "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
      "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
      "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
      "%00%00%00%00%00%00%00%00%00%00%00%00%00%00%00%00%00%00%00%00%00%00%00%00%00%00%00%00%00%00%00%00",
      "%ff%fe",
      "../../../../etc/passwd",
      "'%20OR%20'1'='1",
      "%7B%22id%22:%22ann%22%7D",
      "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbm4ifQ.",
      "null",
      "0",
      "+",
      "%20",
      "a&ticket=b",
      "*",
      "%25s%25n",
      "<script>",
      "aaaaaaaaaaaaaaaa%0d%0aX:%20aaaaaa",
  };
  struct token_app app;
  struct memory_peer peer, quiet;
  char ticket[MW_TICKET_LEN + 1], changed[MW_TICKET_LEN + 1];
  token_app_start(&app);
  assert_int_equal(token_get(&app, &quiet, "/sse?channel=open:a", token_of(&app, "bea", 1000, ""), ""), 200);
  snprintf(ticket, sizeof ticket, "%s", ticket_for(&app, "{\"id\":\"ann\"}", 10000));
  for (size_t i = 0; i < COUNT_OF(hostile); i++) {
    assert_int_equal(get_with(&app, &peer, hostile[i]), 401);
    assert_true(token_got(&peer, "\"reason\":\"the ticket is unknown, was used, or has expired\""));
    memory_peer_close(&peer);
  }
  for (size_t i = 0; i < MW_TICKET_LEN; i++) {
    memcpy(changed, ticket, sizeof ticket);
    changed[i] = changed[i] == 'a' ? 'b' : 'a';
    assert_int_equal(get_with(&app, &peer, changed), 401);
    memory_peer_close(&peer);
  }
  /* A valid token beside a wrong ticket does not help. */
  assert_int_equal(token_get(&app, &peer, "/sse?channel=open:a&ticket=x", token_of(&app, "ann", 100, ""), ""), 401);
  memory_peer_close(&peer);
  /* An empty one is none. */
  assert_int_equal(token_get(&app, &peer, "/sse?channel=open:a&ticket=", token_of(&app, "ann", 100, ""), ""), 200);
  memory_peer_close(&peer);
  token_app_publish(&app, "open:a", 1);
  server_settle(app.server);
  assert_true(token_got(&quiet, "{\"n\":1}"));
  assert_int_equal(get_with(&app, &peer, ticket), 200);
  memory_peer_close(&peer);
  memory_peer_close(&quiet);
  token_app_finish(&app);
}

static void bounds_tickets(void **state) {
  (void)state;
  static const struct {
    const char *user;
    uint64_t valid_ms;
    const char *fault;
  } rows[] = {{"{\"id\":1}", 0, "a ticket is valid for at most an hour"},
              {"{\"id\":1}", 3600001, "a ticket is valid for at most an hour"},
              {"", 1, "the user of a ticket must be a JSON object"},
              {"[]", 1, "the user of a ticket must be a JSON object"},
              {"{", 1, "the user of a ticket must be a JSON object"}};
  struct token_app app;
  struct mw_error error;
  char text[MW_TICKET_LEN];
  token_app_start(&app);
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    assert_int_equal(mw_server_ticket(app.server, rows[i].user, strlen(rows[i].user), rows[i].valid_ms, text, &error), MW_EINVAL);
    assert_string_equal(error.text, rows[i].fault);
  }
  for (int i = 0; i < TICKETS_MAX; i++) assert_int_equal(mw_server_ticket(app.server, "{}", 2, 2000, text, NULL), 0);
  assert_int_equal(mw_server_ticket(app.server, "{}", 2, 2000, text, &error), MW_EUNAVAILABLE);
  assert_string_equal(error.text, "there are too many unused tickets (100000)");
  token_app_pass(&app, 4);
  assert_int_equal(mw_server_ticket(app.server, "{}", 2, 2000, text, NULL), 0);
  token_app_finish(&app);
}

/* ---- Grants ---------------------------------------------------------------------------------- */

static void grants_channels(void **state) {
  (void)state;
  static const struct {
    const char *claim, *channel;
    bool is_granted;
  } rows[] = {
      {",\"channels\":[\"room:{id}\"]", "room:1", true},
      {",\"channels\":[\"room:1\"]", "room:1", true},
      {",\"channels\":[\"room:1\"]", "room:2", false},
      {",\"channels\":[\"room:2\",\"room:1\"]", "room:1", true},
      {",\"channels\":[\"{a}:{b}\"]", "room:1", true},
      {",\"channels\":[\"room:*\"]", "room:1", false},
      {",\"channels\":[\"*\"]", "room:1", false},
      {",\"channels\":[\"room\"]", "room:1", false},
      {",\"channels\":[\"room:\"]", "room:1", false},
      {",\"channels\":[\"room:{id\"]", "room:1", false},
      {",\"channels\":[\"Room:1\"]", "room:1", false},
      {",\"channels\":\"room:1\"", "room:1", false},
      {",\"channels\":{\"room:1\":true}", "room:1", false},
      {",\"channels\":[[\"room:1\"]]", "room:1", false},
      {",\"channels\":[1,null,\"room:1\"]", "room:1", true},
      {",\"channels\":[\"room:\\u0031\"]", "room:1", true},
      {",\"channels\":[]", "room:1", false},
      {",\"channels\":null", "room:1", false},
      {"", "room:1", false},
      {"", "open:1", true},
  };
  struct token_app app;
  token_app_start(&app);
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    struct memory_peer peer;
    char target[128];
    const char *token = token_of(&app, "ann", 100, rows[i].claim);
    snprintf(target, sizeof target, "/sse?channel=%s", rows[i].channel);
    int status = token_get(&app, &peer, target, token, "");
    if (status != (rows[i].is_granted ? 200 : 403)) fail_msg("%s on %s: %d", rows[i].claim, rows[i].channel, status);
    if (!rows[i].is_granted) assert_true(token_got(&peer, "\"reason\":\"the token does not grant this channel\""));
    memory_peer_close(&peer);
  }
  assert_int_equal(app.asked[MW_REQUEST_AUTHORIZE], 0);
  token_app_finish(&app);
}

/* A newer token may grant less; what the app subscribed stays. */
static void ends_what_is_not_granted_any_more(void **state) {
  (void)state;
  struct token_app app;
  struct memory_peer peer;
  char text[MW_TOKEN_MAX + 64];
  token_app_start(&app);
  token_connect(&app, &peer, token_of(&app, "ann", 100, ",\"channels\":[\"room:{id}\"]"));
  token_ask(&peer, "{\"subscribe\":\"room:1\",\"ref\":1}");
  token_ask(&peer, "{\"subscribe\":\"room:2\",\"ref\":1}");
  token_ask(&peer, "{\"subscribe\":\"open:3\",\"ref\":1}");
  struct mw_client *client = mw_client_next(app.server, NULL);
  assert_int_equal(mw_client_subscribe(app.server, client, "room:4", 6), 0);
  mw_client_unref(client);
  server_settle(app.server);
  snprintf(text, sizeof text, "{\"token\":\"%s\",\"ref\":2}", token_of(&app, "ann", 100, ",\"channels\":[\"room:2\"]"));
  assert_string_equal(token_ask(&peer, text), "{\"event\":\"moonwire:unsubscribed\",\"data\":{\"channel\":\"room:1\",\"code\":"
                                              "\"forbidden\",\"reason\":\"the token does not grant this channel\"}}");
  assert_non_null(strstr(token_next(&peer), "{\"ref\":2,\"ok\":"));
  static const char *const channels[] = {"room:1", "room:2", "open:3", "room:4"};
  for (size_t i = 0; i < COUNT_OF(channels); i++) token_app_publish(&app, channels[i], (int)i);
  server_settle(app.server);
  for (int i = 1; i < 4; i++) {
    snprintf(text, sizeof text, "{\"n\":%d}", i);
    assert_non_null(strstr(token_next(&peer), text));
  }
  memory_peer_close(&peer);
  token_app_finish(&app);
}

int main(void) {
  const struct CMUnitTest tests[] = {TEST(closes_everything_of_a_user),
                                     TEST(closes_what_is_still_connecting),
                                     TEST(uses_tickets_once),
                                     TEST(forgets_tickets),
                                     TEST(refuses_tickets),
                                     TEST(bounds_tickets),
                                     TEST(grants_channels),
                                     TEST(ends_what_is_not_granted_any_more)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
