/* The end of a token on open connections: the client is notified, may renew, and is closed. */
#include <stdlib.h>

#include "test/support.h"
#include "test/support/token/token_app.h"

enum { LIVES = 100, NOTICE = 20 }; /* seconds of a token; a fifth of them */

/* ---- WebSockets ------------------------------------------------------------------------------ */

static void ends_a_websocket(void **state) {
  (void)state;
  struct token_app app;
  struct memory_peer peer;
  token_app_start(&app);
  const char *answer = token_connect(&app, &peer, token_of(&app, "ann", LIVES, ""));
  assert_non_null(strstr(answer, ",\"expires\":100}}"));
  token_app_pass(&app, LIVES - NOTICE - 2);
  memory_peer_expect(&peer, NULL);
  token_app_pass(&app, 3);
  memory_peer_expect(&peer, "{\"event\":\"moonwire:expiring\",\"data\":{\"expires\":21}}");
  token_app_pass(&app, NOTICE - 2);
  memory_peer_expect(&peer, NULL);
  token_app_pass(&app, 2);
  memory_peer_expect_close(&peer, 4401);
  memory_peer_expect(&peer, NULL);
  assert_string_equal(app.reasons, "expired; ");
  memory_peer_close(&peer);
  token_app_finish(&app);
}

static const char *verb_of(const char *token) {
  static char text[MW_TOKEN_MAX + 64];
  snprintf(text, sizeof text, "{\"token\":\"%s\",\"ref\":1}", token);
  return text;
}

static void renews_a_websocket(void **state) {
  (void)state;
  static const char *const ways[] = {"moonwire.1", "authorization", "query", "cookie"};
  for (size_t i = 0; i < COUNT_OF(ways); i++) {
    struct token_app app;
    struct memory_peer peer;
    char text[MW_TOKEN_MAX + 64];
    token_app_start(&app);
    const char *token = token_of(&app, "ann", LIVES, "");
    if (i == 0) token_connect(&app, &peer, token);
    if (i == 1) assert_int_equal(token_upgrade(&app, &peer, "/ws", token, ""), 101);
    snprintf(text, sizeof text, i == 2 ? "/ws?token=%s" : "Cookie: a=b; session=%s\r\n", token);
    if (i == 2) assert_int_equal(token_upgrade(&app, &peer, text, NULL, ""), 101);
    if (i == 3) assert_int_equal(token_upgrade(&app, &peer, "/ws", NULL, text), 101);
    token_app_pass(&app, LIVES - 10);
    memory_peer_expect(&peer, "{\"event\":\"moonwire:expiring\",\"data\":{\"expires\":21}}");
    const char *answer = token_ask(&peer, verb_of(token_of(&app, "ann", 2 * LIVES, ",\"level\":2")));
    assert_non_null(strstr(answer, ",\"expires\":200}}"));
    struct mw_client *client = mw_client_next(app.server, NULL);
    assert_non_null(strstr(mw_client_user(client).ptr, "\"level\":2"));
    mw_client_unref(client);
    token_app_pass(&app, LIVES);
    memory_peer_expect(&peer, NULL);
    token_app_pass(&app, 80);
    memory_peer_expect(&peer, "{\"event\":\"moonwire:expiring\",\"data\":{\"expires\":41}}");
    token_app_pass(&app, 30);
    memory_peer_expect_close(&peer, 4401);
    memory_peer_close(&peer);
    token_app_finish(&app);
  }
}

/* Each is refused, and the connection lasts as long as its own token. */
static void refuses_renewals(void **state) {
  (void)state;
  struct token_app app;
  struct memory_peer peer, quiet;
  token_app_start(&app);
  token_connect(&app, &peer, token_of(&app, "ann", LIVES, ""));
  token_connect(&app, &quiet, token_of(&app, "bea", 10 * LIVES, ""));
  const struct {
    const char *token, *answer;
  } rows[] = {
      {"", "{\"ref\":1,\"error\":{\"code\":\"unauthorized\",\"reason\":\"a token is required\"}}"},
      {"a.b", "{\"ref\":1,\"error\":{\"code\":\"unauthorized\",\"reason\":\"malformed token: three parts in base64url, "
              "separated by dots, are required\"}}"},
      {"eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbm4ifQ.",
       "{\"ref\":1,\"error\":{\"code\":\"unauthorized\",\"reason\":\"no key is for the algorithm (\\\"alg\\\") and the key id "
       "(\\\"kid\\\") of the token\"}}"},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) assert_string_equal(token_ask(&peer, verb_of(rows[i].token)), rows[i].answer);
  assert_string_equal(token_ask(&peer, verb_of(token_of(&app, "bea", LIVES, ""))),
                      "{\"ref\":1,\"error\":{\"code\":\"forbidden\",\"reason\":\"the token belongs to another user\"}}");
  assert_string_equal(token_ask(&peer, verb_of(token_of(&app, "ann", -1, ""))),
                      "{\"ref\":1,\"error\":{\"code\":\"token_expired\",\"reason\":\"the token has expired\"}}");
  assert_string_equal(token_ask(&peer, "{\"ping\":true,\"ref\":2}"), "{\"ref\":2,\"ok\":true}");
  token_app_pass(&app, LIVES + 1);
  memory_peer_expect(&peer, "{\"event\":\"moonwire:expiring\",\"data\":{\"expires\":21}}");
  memory_peer_expect_close(&peer, 4401);
  memory_peer_expect(&quiet, NULL);
  memory_peer_close(&peer);
  memory_peer_close(&quiet);
  token_app_finish(&app);
}

static void ends_a_raw_websocket(void **state) {
  (void)state;
  struct token_app app;
  struct memory_peer peer, refused;
  token_app_start(&app);
  assert_int_equal(token_upgrade(&app, &refused, "/raw", NULL, ""), 401);
  assert_int_equal(token_upgrade(&app, &peer, "/raw", token_of(&app, "ann", LIVES, ""), ""), 101);
  token_app_pass(&app, LIVES - 1);
  memory_peer_expect(&peer, NULL);
  token_app_pass(&app, 2);
  memory_peer_expect_close(&peer, 4401);
  memory_peer_close(&peer);
  memory_peer_close(&refused);
  token_app_finish(&app);
}

/* ---- Event streams --------------------------------------------------------------------------- */

static void ends_an_event_stream(void **state) {
  (void)state;
  struct token_app app;
  struct memory_peer peer;
  token_app_start(&app);
  assert_int_equal(token_get(&app, &peer, "/sse?channel=open:a", token_of(&app, "ann", LIVES, ""), ""), 200);
  token_app_pass(&app, LIVES - NOTICE + 1);
  assert_true(token_got(&peer, "event: moonwire:expiring\ndata: {\"expires\":21}\n"));
  assert_false(memory_peer_ended(&peer) || token_got(&peer, "\r\n0\r\n\r\n"));
  token_app_pass(&app, NOTICE);
  assert_true(token_got(&peer, "\r\n0\r\n\r\n"));
  memory_peer_close(&peer);
  /* With the same URL, it is refused permanently; with a valid token it goes on. */
  assert_int_equal(token_get(&app, &peer, "/sse?channel=open:a", token_of(&app, "ann", 0, ""), ""), 401);
  assert_true(token_got(&peer, "\"token_expired\""));
  memory_peer_close(&peer);
  token_app_finish(&app);
}

static void renews_an_event_stream(void **state) {
  (void)state;
  struct token_app app;
  struct memory_peer peer;
  char client[64], answer[1024], token[MW_TOKEN_MAX];
  token_app_start(&app);
  assert_int_equal(token_get(&app, &peer, "/sse?channel=open:a&envelope=1", token_of(&app, "ann", LIVES, ""), ""), 200);
  assert_true(token_got(&peer, ",\"expires\":100,"));
  token_find(peer.in.data, "\"client\":\"", client);
  token_app_pass(&app, LIVES - 5);
  assert_true(token_got(&peer, "{\"event\":\"moonwire:expiring\",\"data\":{\"expires\":21}}"));
  snprintf(token, sizeof token, "%s", token_of(&app, "bea", LIVES, ""));
  assert_int_equal(token_send(&app, client, token, verb_of(token), answer), 403);
  snprintf(token, sizeof token, "%s", token_of(&app, "ann", LIVES, ""));
  assert_int_equal(token_send(&app, client, token, verb_of(token), answer), 200);
  assert_non_null(strstr(answer, ",\"expires\":100}}"));
  token_app_pass(&app, LIVES - NOTICE - 2);
  assert_false(token_got(&peer, "\r\n0\r\n\r\n"));
  token_app_publish(&app, "open:a", 1);
  server_settle(app.server);
  assert_true(token_got(&peer, "{\"n\":1}"));
  token_app_pass(&app, NOTICE + 4);
  assert_true(token_got(&peer, "\r\n0\r\n\r\n"));
  memory_peer_close(&peer);
  token_app_finish(&app);
}

/* ---- Polls ----------------------------------------------------------------------------------- */

static void ends_a_polling_client(void **state) {
  (void)state;
  struct token_app app;
  struct memory_peer peer;
  char client[64], target[256], token[MW_TOKEN_MAX], since[64];
  token_app_start(&app);
  snprintf(token, sizeof token, "%s", token_of(&app, "ann", LIVES, ""));
  assert_int_equal(token_get(&app, &peer, "/poll?channel=open:a&client=", token, ""), 200);
  token_find(peer.in.data, "\"client\":\"", client);
  token_find(peer.in.data, "{\"id\":\"", since);
  memory_peer_close(&peer);
  snprintf(target, sizeof target, "/poll?channel=open:a&client=%s&since=%s&wait=500", client, since);
  assert_int_equal(token_get(&app, &peer, target, token, ""), 0);
  token_app_pass(&app, LIVES - NOTICE + 1);
  assert_true(token_got(&peer, "{\"event\":\"moonwire:expiring\",\"data\":{\"expires\":21}}"));
  memory_peer_close(&peer);
  assert_int_equal(token_get(&app, &peer, target, token, ""), 0);
  token_app_pass(&app, NOTICE);
  assert_true(token_got(&peer, "HTTP/1.1 401 "));
  assert_true(token_got(&peer, "\"token_expired\""));
  assert_string_equal(app.reasons, "expired; ");
  memory_peer_close(&peer);
  assert_int_equal(token_get(&app, &peer, target, token, ""), 401);
  memory_peer_close(&peer);
  token_app_finish(&app);
}

static void renews_a_polling_client(void **state) {
  (void)state;
  struct token_app app;
  struct memory_peer peer;
  char client[64], target[256], token[MW_TOKEN_MAX], since[64], answer[1024];
  token_app_start(&app);
  snprintf(token, sizeof token, "%s", token_of(&app, "ann", LIVES, ""));
  assert_int_equal(token_get(&app, &peer, "/poll?channel=open:a&client=", token, ""), 200);
  token_find(peer.in.data, "\"client\":\"", client);
  token_find(peer.in.data, "{\"id\":\"", since);
  memory_peer_close(&peer);
  token_app_pass(&app, LIVES - 5);
  snprintf(token, sizeof token, "%s", token_of(&app, "ann", LIVES, ""));
  assert_int_equal(token_send(&app, client, token, verb_of(token), answer), 200);
  assert_non_null(strstr(answer, ",\"expires\":100}}"));
  token_app_pass(&app, 50);
  snprintf(target, sizeof target, "/poll?channel=open:a&client=%s&since=%s&wait=0", client, since);
  assert_int_equal(token_get(&app, &peer, target, token, ""), 200);
  assert_true(token_got(&peer, client));
  memory_peer_close(&peer);
  assert_string_equal(app.reasons, "");
  /* A poll whose own token is newer gets what there is, and its successor is a new client. */
  snprintf(target, sizeof target, "/poll?channel=open:a&client=%s&since=%s&wait=500", client, since);
  assert_int_equal(token_get(&app, &peer, target, token_of(&app, "ann", 5 * LIVES, ""), ""), 0);
  token_app_pass(&app, LIVES);
  assert_true(token_got(&peer, "HTTP/1.1 200 "));
  assert_string_equal(app.reasons, "expired; ");
  memory_peer_close(&peer);
  token_app_finish(&app);
}

static void ends_a_poll_without_a_client(void **state) {
  (void)state;
  struct token_app app;
  struct memory_peer peer;
  char target[256], token[MW_TOKEN_MAX], since[64];
  token_app_start(&app);
  snprintf(token, sizeof token, "%s", token_of(&app, "ann", LIVES, ""));
  assert_int_equal(token_get(&app, &peer, "/poll?channel=open:a", token, ""), 200);
  token_find(peer.in.data, "{\"id\":\"", since);
  memory_peer_close(&peer);
  snprintf(target, sizeof target, "/poll?channel=open:a&since=%s&wait=500", since);
  assert_int_equal(token_get(&app, &peer, target, token, ""), 0);
  token_app_pass(&app, LIVES - 1);
  assert_int_equal(memory_peer_fetch(&peer).len, 0);
  token_app_pass(&app, 2);
  assert_true(token_got(&peer, "HTTP/1.1 200 "));
  memory_peer_close(&peer);
  assert_int_equal(token_get(&app, &peer, target, token, ""), 401);
  memory_peer_close(&peer);
  token_app_finish(&app);
}

/* ---- In the middle of a replay --------------------------------------------------------------- */

enum { REPLAYED = 9000 };

/* Notes which of {"n":0}, {"n":1}, … were received: each once, and in order. Returns the number of
 * the next one. */
static int count_on(struct bytes in, int next) {
  static const char mark[] = "{\"n\":";
  for (size_t i = 0; i + sizeof mark < in.len; i++) {
    if (memcmp(in.ptr + i, mark, sizeof mark - 1) != 0) continue;
    char *end;
    long n = strtol(in.ptr + i + sizeof mark - 1, &end, 10);
    if (*end == '}') assert_int_equal(n, next++);
  }
  return next;
}

static void last_id(struct bytes in, const char *before, char out[64]) {
  const char *at = NULL, *found = in.ptr;
  while ((found = strstr(found, before)) != NULL) at = found++;
  assert_non_null(at);
  token_find(at, before, out);
}

static void fill(struct token_app *app) {
  for (int i = 0; i < REPLAYED; i++) {
    token_app_publish(app, "open:a", i);
    if (i % 500 == 0) server_settle(app->server);
  }
  server_settle(app->server);
}

/* The peer reads 64 KiB of about 900, and the token expires. */
static void ends_an_event_stream_in_a_replay(void **state) {
  (void)state;
  struct token_app app;
  struct memory_peer peer;
  char request[MW_TOKEN_MAX + 128], id[64], target[128];
  token_app_start(&app);
  fill(&app);
  memory_peer_open(&peer, app.server);
  snprintf(request, sizeof request, "GET /sse?channel=open:a&since=0 HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer %s\r\n\r\n",
           token_of(&app, "ann", LIVES, ""));
  memory_peer_send_text(&peer, request);
  token_app_pass(&app, LIVES + 1);
  /* Reading, it gets what was written before the end, and the end. */
  buffer_append_char(&peer.in, ' ');
  memory_peer_fetch(&peer);
  buffer_append_char(&peer.in, '\0');
  assert_non_null(strstr(peer.in.data, "\r\n0\r\n\r\n"));
  assert_string_equal(app.reasons, "expired; ");
  int next = count_on(buffer_bytes(&peer.in), 0);
  assert_true(next > 0 && next < REPLAYED);
  last_id(buffer_bytes(&peer.in), "\nid: ", id);
  memory_peer_close(&peer);
  snprintf(target, sizeof target, "Last-Event-ID: %s\r\n", id);
  assert_int_equal(token_get(&app, &peer, "/sse?channel=open:a&since=0", token_of(&app, "ann", LIVES, ""), target), 200);
  assert_int_equal(count_on(memory_peer_fetch(&peer), next), REPLAYED);
  assert_false(token_got(&peer, "moonwire:gap"));
  memory_peer_close(&peer);
  token_app_finish(&app);
}

/* The peer reads 64 KiB, the client is renewed by a POST, and the rest follows. */
static void renews_an_event_stream_in_a_replay(void **state) {
  (void)state;
  struct token_app app;
  struct memory_peer peer;
  char request[MW_TOKEN_MAX + 128], id[64], token[MW_TOKEN_MAX], answer[1024];
  token_app_start(&app);
  fill(&app);
  memory_peer_open(&peer, app.server);
  snprintf(request, sizeof request,
           "GET /sse?channel=open:a&since=0&envelope=1 HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer %s\r\n\r\n",
           token_of(&app, "ann", LIVES, ""));
  memory_peer_send_text(&peer, request);
  struct mw_client *client = mw_client_next(app.server, NULL);
  assert_non_null(client);
  struct mw_bytes name = mw_client_id(client);
  snprintf(id, sizeof id, "%.*s", (int)name.len, name.ptr);
  assert_null(mw_client_next(app.server, client));
  token_app_pass(&app, LIVES - 5);
  snprintf(token, sizeof token, "%s", token_of(&app, "ann", LIVES, ""));
  assert_int_equal(token_send(&app, id, token, verb_of(token), answer), 200);
  token_app_pass(&app, 10);
  assert_string_equal(app.reasons, "");
  assert_int_equal(count_on(memory_peer_fetch(&peer), 0), REPLAYED);
  assert_false(token_got(&peer, "\r\n0\r\n\r\n"));
  assert_false(token_got(&peer, "moonwire:gap"));
  memory_peer_close(&peer);
  token_app_finish(&app);
}

/* Between two polls of a replay, by a POST. The polls themselves need valid tokens, too. */
static void renews_a_polling_client_in_a_replay(void **state) {
  (void)state;
  struct token_app app;
  struct memory_peer peer;
  char client[64] = "", token[MW_TOKEN_MAX], target[256], id[64] = "0", answer[1024];
  int next = 0;
  token_app_start(&app);
  fill(&app);
  snprintf(token, sizeof token, "%s", token_of(&app, "ann", LIVES, ""));
  for (int i = 0; i < 100 && next < REPLAYED; i++) {
    snprintf(target, sizeof target, "/poll?channel=open:a&client=%s&since=%s&wait=0", client, id);
    assert_int_equal(token_get(&app, &peer, target, token, ""), 200);
    next = count_on(buffer_bytes(&peer.in), next);
    token_find(strstr(peer.in.data, "\r\n\r\n"), "{\"id\":\"", id);
    token_find(peer.in.data, "\"client\":\"", client);
    assert_false(token_got(&peer, "\"gaps\":[\""));
    memory_peer_close(&peer);
    if (i != 0) continue;
    assert_true(next < REPLAYED);
    token_app_pass(&app, LIVES - 5);
    snprintf(token, sizeof token, "%s", token_of(&app, "ann", LIVES, ""));
    assert_int_equal(token_send(&app, client, token, verb_of(token), answer), 200);
    token_app_pass(&app, 10);
  }
  assert_int_equal(next, REPLAYED);
  assert_string_equal(app.reasons, ""); /* it is the same client */
  token_app_finish(&app);
}

static void ends_a_websocket_in_a_replay(void **state) {
  (void)state;
  for (int renews = 0; renews < 2; renews++) {
    struct token_app app;
    struct memory_peer peer;
    char text[256], id[64] = "0";
    int next = 0;
    token_app_start(&app);
    fill(&app);
    token_connect(&app, &peer, token_of(&app, "ann", LIVES, ""));
    memory_peer_frame(&peer, WS_OPCODE_TEXT, BYTES("{\"subscribe\":\"open:a\",\"since\":\"0\",\"ref\":1}"));
    token_app_pass(&app, LIVES - 5);
    if (renews) memory_peer_frame(&peer, WS_OPCODE_TEXT, bytes_string(verb_of(token_of(&app, "ann", LIVES, ""))));
    token_app_pass(&app, 6);
    enum ws_opcode opcode = WS_OPCODE_TEXT;
    struct bytes payload;
    while (memory_peer_next_frame(&peer, &opcode, &payload) && opcode == WS_OPCODE_TEXT) {
      next = count_on(payload, next);
      if (strstr(payload.ptr, "{\"n\":")) token_find(payload.ptr, "\"id\":\"", id);
    }
    if (renews) {
      assert_int_equal(opcode, WS_OPCODE_TEXT);
      assert_int_equal(next, REPLAYED);
      memory_peer_close(&peer);
      token_app_finish(&app);
      continue;
    }
    assert_int_equal(opcode, WS_OPCODE_CLOSE);
    assert_true(next > 0 && next < REPLAYED);
    memory_peer_close(&peer);
    token_connect(&app, &peer, token_of(&app, "ann", LIVES, ""));
    snprintf(text, sizeof text, "{\"subscribe\":\"open:a\",\"since\":\"%s\",\"ref\":1}", id);
    const char *answer = token_ask(&peer, text);
    assert_non_null(strstr(answer, "\"recovered\":true"));
    while (memory_peer_next_frame(&peer, &opcode, &payload)) next = count_on(payload, next);
    assert_int_equal(next, REPLAYED);
    memory_peer_close(&peer);
    token_app_finish(&app);
  }
}

/* Between two polls of a replay, whose first answer is only a part. */
static void ends_a_poll_in_a_replay(void **state) {
  (void)state;
  struct token_app app;
  struct memory_peer peer;
  char token[MW_TOKEN_MAX], target[256], id[64] = "0";
  int next = 0, refused = 0;
  token_app_start(&app);
  fill(&app);
  snprintf(token, sizeof token, "%s", token_of(&app, "ann", LIVES, ""));
  for (int i = 0; i < 100 && next < REPLAYED; i++) {
    snprintf(target, sizeof target, "/poll?channel=open:a&since=%s&wait=0", id);
    int status = token_get(&app, &peer, target, token, "");
    if (status == 401) {
      refused++;
      snprintf(token, sizeof token, "%s", token_of(&app, "ann", LIVES, ""));
    } else {
      assert_int_equal(status, 200);
      next = count_on(buffer_bytes(&peer.in), next);
      token_find(strstr(peer.in.data, "\r\n\r\n"), "{\"id\":\"", id);
      assert_false(token_got(&peer, "\"gaps\":[\""));
    }
    if (i == 0) token_app_pass(&app, LIVES);
    memory_peer_close(&peer);
  }
  assert_int_equal(next, REPLAYED);
  assert_int_equal(refused, 1);
  token_app_finish(&app);
}

/* ---- Clocks ---------------------------------------------------------------------------------- */

static void never_ends_without_exp(void **state) {
  (void)state;
  struct token_app app;
  struct memory_peer peer;
  token_app_start(&app);
  assert_non_null(strstr(token_connect(&app, &peer, token_of(&app, "ann", 100000000, "")), "\"expires\":100000000}}"));
  token_app_pass(&app, 3000);
  memory_peer_expect(&peer, NULL);
  memory_peer_close(&peer);
  token_app_finish(&app);
}

int main(void) {
  const struct CMUnitTest tests[] = {TEST(ends_a_websocket),
                                     TEST(renews_a_websocket),
                                     TEST(refuses_renewals),
                                     TEST(ends_a_raw_websocket),
                                     TEST(ends_an_event_stream),
                                     TEST(renews_an_event_stream),
                                     TEST(ends_a_polling_client),
                                     TEST(renews_a_polling_client),
                                     TEST(ends_a_poll_without_a_client),
                                     TEST(ends_an_event_stream_in_a_replay),
                                     TEST(renews_an_event_stream_in_a_replay),
                                     TEST(renews_a_polling_client_in_a_replay),
                                     TEST(ends_a_websocket_in_a_replay),
                                     TEST(ends_a_poll_in_a_replay),
                                     TEST(never_ends_without_exp)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
