/* Everyone who publishes, joins, or reads a history, with an orderer that answers later, out of turn,
 * and sometimes refuses. */
#include <string.h>

#include "server/server.h"
#include "test/support.h"
#include "test/support/late_orderer.h"
#include "test/support/memory_peer.h"

#define KEY "Authorization: Bearer secret\r\n"
#define FULL "\"code\":\"unavailable\",\"reason\":\"redis is full: raise its maxmemory, or keep fewer messages\""
#define CLOSED "\"code\":\"unavailable\",\"reason\":\"the server is stopping\""

struct fixture {
  struct mw_server *server;
  struct late_orderer late;
  struct memory_peer back_end, sender, listener;
  struct mw_request *asked;
};

static void on_request(void *context, struct mw_request *request) {
  (void)context;
  mw_request_accept(request, NULL, 0);
}

static void start(struct fixture *fixture) {
  struct mw_config_options options;
  struct mw_config *config;
  static const struct mw_event_rule events[] = {{.event = "kept", .relay = true, .keep = true},
                                                {.event = "fleeting", .relay = true}};
  struct mw_channel_options channel = {
      .events = events, .event_count = 2, .history_size = 10, .history_readable = true, .hooks = MW_HOOK_AUTHORIZE};
  struct mw_channel_options free_channel = {.history_size = 10, .history_readable = true};
  mw_config_options_init(&options);
  options.publish_key = "secret";
  options.on_request = on_request;
  options.limits.waiting = 8;
  assert_int_equal(mw_config_new(&config, &options, NULL), 0);
  assert_int_equal(mw_config_channel(config, "room:{id}", &channel, NULL), 0);
  assert_int_equal(mw_config_channel(config, "free:{id}", &free_channel, NULL), 1);
  assert_int_equal(mw_server_new(&fixture->server, &(struct mw_server_options){.config = config}, NULL), 0);
  mw_config_unref(config);
  mw_server_advance(fixture->server, 1);
  late_orderer_begin(&fixture->late, fixture->server);
  memory_peer_open(&fixture->back_end, fixture->server);
  memory_peer_open(&fixture->sender, fixture->server);
  memory_peer_upgrade(&fixture->sender, NULL);
  memory_peer_frame(&fixture->sender, WS_OPCODE_TEXT, BYTES("{\"subscribe\":\"room:1\"}"));
}

static void finish(struct fixture *fixture) {
  memory_peer_close(&fixture->back_end);
  memory_peer_close(&fixture->sender);
  server_finish(fixture->server);
  assert_int_equal(fixture->late.interest_count, 0);
}

static void post(struct memory_peer *peer, const char *target, const char *fields, const char *body) {
  char head[512];
  snprintf(head, sizeof head, "POST %s HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n%sContent-Length: %zu\r\n\r\n",
           target, fields, strlen(body));
  memory_peer_send_text(peer, head);
  memory_peer_send_text(peer, body);
}

/* Replaces the digits of every id by "#": the last three characters tell them apart. */
static const char *body_of(struct fixture *fixture, struct memory_peer *peer) {
  static char text[8192];
  server_settle(fixture->server);
  const char *received = memory_peer_take(peer), *body = strstr(received, "\r\n\r\n");
  snprintf(text, sizeof text, "%s", body ? body + 4 : received);
  return text;
}

static void publish_next(struct fixture *fixture, size_t i) {
  late_orderer_publish(&fixture->late, i);
  server_settle(fixture->server);
}

static void answers_one_later(void **state) {
  (void)state;
  struct fixture fixture;
  start(&fixture);
  post(&fixture.back_end, "/publish", KEY, "{\"channel\":\"room:1\",\"data\":1}");
  assert_string_equal(body_of(&fixture, &fixture.back_end), "");
  assert_int_equal(fixture.late.count, 1);
  publish_next(&fixture, 0);
  assert_non_null(strstr(body_of(&fixture, &fixture.back_end), "{\"id\":\""));
  post(&fixture.back_end, "/publish", KEY, "{\"channel\":\"room:1\",\"data\":1}");
  late_orderer_refuse(&fixture.late, 0, MW_EBROKER_FULL);
  assert_string_equal(body_of(&fixture, &fixture.back_end), "{\"error\":{" FULL "}}\n");
  finish(&fixture);
}

/* A peer that has ended its side waits for the answer of its publish, also after an earlier answer
 * was written. */
static void answers_one_that_has_ended_its_side(void **state) {
  (void)state;
  static const char requests[] = "GET /health HTTP/1.1\r\nHost: a\r\n\r\nPOST /publish HTTP/1.1\r\nHost: a\r\n" KEY
                                 "Content-Length: 20\r\n\r\n{\"channel\":\"room:1\"}";
  struct fixture fixture;
  start(&fixture);
  assert_int_equal(mw_memory_write(fixture.back_end.memory, requests, sizeof requests - 1), 0);
  mw_memory_finish(fixture.back_end.memory);
  server_settle(fixture.server);
  assert_int_equal(fixture.late.count, 1);
  assert_non_null(strstr(memory_peer_take(&fixture.back_end), "{\"status\":\"ok\"}"));
  assert_false(memory_peer_ended(&fixture.back_end));
  publish_next(&fixture, 0);
  assert_non_null(strstr(body_of(&fixture, &fixture.back_end), "{\"id\":\""));
  assert_true(memory_peer_ended(&fixture.back_end));
  finish(&fixture);
}

/* Answers are in the order of the items, whichever way they came; each bad item is refused by
 * itself. */
static void answers_in_input_order(void **state) {
  (void)state;
  struct fixture fixture;
  start(&fixture);
  post(&fixture.back_end, "/publish", KEY,
       "[1,{\"channel\":\"room:1\",\"volatile\":true},{\"channel\":\"hall\"},{\"channel\":\"room:2\"},{\"channel\":\"room:3\"}]");
  assert_int_equal(fixture.late.count, 3);
  publish_next(&fixture, 2);
  late_orderer_refuse(&fixture.late, 1, MW_EBROKER_FULL);
  assert_string_equal(body_of(&fixture, &fixture.back_end), "");
  publish_next(&fixture, 0);
  const char *body = body_of(&fixture, &fixture.back_end);
  const char *before = "[{\"error\":{\"code\":\"bad_request\",\"reason\":\"a publish must be a JSON object\"}},{},"
                       "{\"error\":{\"code\":\"not_found\",\"reason\":\"no pattern matches the channel \\\"hall\\\"\"}},"
                       "{\"error\":{" FULL "}},{\"id\":\"";
  assert_int_equal(strncmp(body, before, strlen(before)), 0);
  assert_string_equal(body + strlen(body) - 4, "\"}]\n");
  finish(&fixture);
}

/* Lines, of which the first is known and the others wait; the request is over before its publishes
 * are. */
static void outlives_its_requester(void **state) {
  (void)state;
  struct fixture fixture;
  start(&fixture);
  post(&fixture.back_end, "/publish", KEY, "{}\n{\"channel\":\"room:1\"}\n{\"channel\":\"room:1\",\"idempotency_key\":\"a\"}\n");
  assert_int_equal(fixture.late.count, 2);
  memory_peer_close(&fixture.back_end);
  server_settle(fixture.server);
  publish_next(&fixture, 0);
  publish_next(&fixture, 0);
  memory_peer_open(&fixture.back_end, fixture.server);
  post(&fixture.back_end, "/publish", KEY, "{\"channel\":\"room:1\",\"idempotency_key\":\"a\"}");
  assert_int_equal(fixture.late.count, 0);
  assert_non_null(strstr(body_of(&fixture, &fixture.back_end), "{\"id\":\""));
  finish(&fixture);
}

/* Of those with one key the first is published; when it is refused, the next one is tried. */
static void waits_for_the_first_with_its_key(void **state) {
  (void)state;
  struct fixture fixture;
  struct memory_peer others[2];
  static const char body[] = "{\"channel\":\"room:1\",\"idempotency_key\":\"k\"}";
  start(&fixture);
  post(&fixture.back_end, "/publish", KEY, body);
  for (int i = 0; i < 2; i++) {
    memory_peer_open(&others[i], fixture.server);
    post(&others[i], "/publish", KEY, body);
  }
  assert_int_equal(fixture.late.count, 1);
  late_orderer_refuse(&fixture.late, 0, MW_EBROKER_FULL);
  assert_string_equal(body_of(&fixture, &fixture.back_end), "{\"error\":{" FULL "}}\n");
  assert_int_equal(fixture.late.count, 1);
  publish_next(&fixture, 0);
  char first[128];
  snprintf(first, sizeof first, "%s", body_of(&fixture, &others[0]));
  assert_non_null(strstr(first, "{\"id\":\""));
  assert_string_equal(body_of(&fixture, &others[1]), first);
  for (int i = 0; i < 2; i++) memory_peer_close(&others[i]);
  finish(&fixture);
}

/* An event that is relayed: its acknowledgement comes with its id. Others are carried out in the
 * meantime. */
static void acknowledges_relayed_events_later(void **state) {
  (void)state;
  struct fixture fixture;
  enum ws_opcode opcode;
  struct bytes text;
  start(&fixture);
  memory_peer_frame(&fixture.sender, WS_OPCODE_TEXT, BYTES("{\"send\":\"room:1\",\"event\":\"kept\",\"ref\":1}"));
  memory_peer_frame(&fixture.sender, WS_OPCODE_TEXT, BYTES("{\"send\":\"room:1\",\"event\":\"fleeting\",\"ref\":2}"));
  memory_peer_frame(&fixture.sender, WS_OPCODE_TEXT, BYTES("{\"send\":\"room:1\",\"event\":\"kept\",\"ref\":3}"));
  memory_peer_ask(&fixture.sender, "{\"ping\":true,\"ref\":4}", "{\"ref\":4,\"ok\":true}");
  assert_int_equal(fixture.late.count, 3);
  late_orderer_refuse(&fixture.late, 2, MW_EBROKER_FULL);
  server_settle(fixture.server);
  memory_peer_expect(&fixture.sender, "{\"ref\":3,\"error\":{" FULL "}}");
  publish_next(&fixture, 1);
  memory_peer_expect(&fixture.sender, "{\"ref\":2,\"ok\":true}");
  publish_next(&fixture, 0);
  assert_true(memory_peer_next_frame(&fixture.sender, &opcode, &text));
  assert_non_null(strstr(text.ptr, "{\"ref\":1,\"ok\":{\"id\":\""));
  memory_peer_frame(&fixture.sender, WS_OPCODE_TEXT, BYTES("{\"send\":\"room:1\",\"event\":\"kept\",\"ref\":5}"));
  memory_peer_close(&fixture.sender);
  server_settle(fixture.server);
  publish_next(&fixture, 0);
  memory_peer_open(&fixture.sender, fixture.server);
  finish(&fixture);
}

/* POST /send: the sender has no client, and is authorized for this one; with a key, the script's
 * thread publishes. */
static void answers_sends_later(void **state) {
  (void)state;
  struct fixture fixture;
  static const char *const bodies[] = {
      "{\"send\":\"room:1\",\"event\":\"kept\",\"ref\":1}",
      "{\"send\":\"room:1\",\"event\":\"kept\",\"ref\":1,\"idempotency_key\":\"x\"}",
  };
  start(&fixture);
  for (int i = 0; i < 2; i++) {
    post(&fixture.back_end, "/send", "", bodies[i]);
    assert_string_equal(body_of(&fixture, &fixture.back_end), "");
    assert_int_equal(fixture.late.count, 1);
    late_orderer_refuse(&fixture.late, 0, MW_EBROKER_FULL);
    assert_non_null(strstr(body_of(&fixture, &fixture.back_end), FULL));
    post(&fixture.back_end, "/send", "", bodies[i]);
    publish_next(&fixture, 0);
    assert_non_null(strstr(body_of(&fixture, &fixture.back_end), "{\"ref\":1,\"ok\":{\"id\":\""));
  }
  finish(&fixture);
}

struct published {
  int count, status;
  char id[MW_ID_MAX];
};

static void on_done(void *context, int status, const char *id) {
  struct published *outcome = context;
  outcome->count++;
  outcome->status = status;
  snprintf(outcome->id, sizeof outcome->id, "%s", id);
}

static void reports_to_the_host(void **state) {
  (void)state;
  struct fixture fixture;
  struct published outcome = {0};
  char id[MW_ID_MAX] = "?";
  struct mw_publish publish = {.channel = {"room:1", 6}, .on_done = on_done, .context = &outcome};
  start(&fixture);
  assert_int_equal(mw_publish(fixture.server, &publish, id, NULL), MW_PENDING);
  assert_string_equal(id, "");
  publish_next(&fixture, 0);
  assert_int_equal(outcome.count, 1);
  assert_int_equal(outcome.status, 0);
  assert_int_equal(strlen(outcome.id), ID_LEN);
  assert_int_equal(mw_publish(fixture.server, &publish, NULL, NULL), MW_PENDING);
  late_orderer_refuse(&fixture.late, 0, MW_EBROKER_FULL);
  assert_int_equal(outcome.count, 2);
  assert_int_equal(outcome.status, MW_EBROKER_FULL);
  assert_string_equal(outcome.id, "");
  publish.on_done = NULL;
  assert_int_equal(mw_publish(fixture.server, &publish, NULL, NULL), MW_PENDING);
  publish_next(&fixture, 0);
  finish(&fixture);
}

/* More publishes than limits.waiting are not pending; what is not ordered in time is answered, and
 * may be published later. */
static void bounds_what_is_pending(void **state) {
  (void)state;
  struct fixture fixture;
  struct mw_publish publish = {.channel = {"room:1", 6}};
  start(&fixture);
  post(&fixture.back_end, "/publish", KEY, "{\"channel\":\"room:1\",\"data\":1}");
  for (int i = 0; i < 7; i++) assert_int_equal(mw_publish(fixture.server, &publish, NULL, NULL), MW_PENDING);
  assert_int_equal(mw_publish(fixture.server, &publish, NULL, NULL), MW_EWAITING);
  for (int i = 0; i < 40; i++) {
    mw_server_advance(fixture.server, 1000);
    server_settle(fixture.server);
  }
  assert_non_null(strstr(body_of(&fixture, &fixture.back_end), "the messages were not ordered in time"));
  while (fixture.late.count > 0) publish_next(&fixture, 0);
  finish(&fixture);
}

/* Whatever is pending when the server stops, or is freed, ends as closed. */
static void ends_what_is_pending(void **state) {
  (void)state;
  for (int stops = 0; stops < 2; stops++) {
    struct fixture fixture;
    struct memory_peer second, third;
    struct published outcome = {0};
    struct mw_publish publish = {.channel = {"room:1", 6}, .on_done = on_done, .context = &outcome};
    start(&fixture);
    memory_peer_open(&second, fixture.server);
    memory_peer_open(&third, fixture.server);
    post(&fixture.back_end, "/publish", KEY, "[{\"channel\":\"room:1\"},{\"channel\":\"room:1\",\"idempotency_key\":\"k\"}]");
    post(&second, "/publish", KEY, "{\"channel\":\"room:1\",\"idempotency_key\":\"k\"}");
    post(&third, "/send", "", "{\"send\":\"room:1\",\"event\":\"kept\",\"ref\":1,\"idempotency_key\":\"x\"}");
    memory_peer_frame(&fixture.sender, WS_OPCODE_TEXT, BYTES("{\"send\":\"room:1\",\"event\":\"kept\",\"ref\":1}"));
    assert_int_equal(mw_publish(fixture.server, &publish, NULL, NULL), MW_PENDING);
    assert_int_equal(fixture.late.count, 5);
    if (stops) {
      mw_server_stop(fixture.server, NULL, NULL);
      server_settle(fixture.server);
      assert_int_equal(outcome.count, 0);
      mw_server_advance(fixture.server, 3600 * 1000);
      server_settle(fixture.server);
      assert_int_equal(outcome.count, 1);
      assert_int_equal(outcome.status, MW_ECLOSED);
      assert_string_equal(body_of(&fixture, &fixture.back_end), "[{\"error\":{" CLOSED "}},{\"error\":{" CLOSED "}}]\n");
      assert_string_equal(body_of(&fixture, &second), "{\"error\":{" CLOSED "}}\n");
      assert_non_null(strstr(body_of(&fixture, &third), CLOSED));
    }
    memory_peer_close(&fixture.back_end);
    memory_peer_close(&fixture.sender);
    memory_peer_close(&second);
    memory_peer_close(&third);
    mw_server_free(fixture.server);
    assert_int_equal(outcome.count, 1);
    assert_int_equal(outcome.status, MW_ECLOSED);
  }
}

/* The orderer comes back with a new epoch, whose positions are lower: nobody loses anything without
 * notice. */
static void begins_a_new_epoch(void **state) {
  (void)state;
  struct fixture fixture;
  struct memory_peer poll;
  struct published outcome = {0};
  struct mw_publish publish = {.channel = {"room:1", 6}, .on_done = on_done, .context = &outcome};
  char old[MW_ID_MAX], text[256];
  enum ws_opcode opcode;
  struct bytes frame;
  start(&fixture);
  for (int i = 0; i < 2; i++) {
    assert_int_equal(mw_publish(fixture.server, &publish, NULL, NULL), MW_PENDING);
    publish_next(&fixture, 0);
  }
  memcpy(old, outcome.id, sizeof old);
  memory_peer_open(&poll, fixture.server);
  snprintf(text, sizeof text, "GET /poll?channel=room:1&since=%s&wait=30 HTTP/1.1\r\nHost: a\r\n\r\n", old);
  memory_peer_send_text(&poll, text);
  server_settle(fixture.server);
  assert_string_equal(memory_peer_take(&poll), "");
  assert_int_equal(mw_publish(fixture.server, &publish, NULL, NULL), MW_PENDING);
  late_orderer_begin_epoch(&fixture.late, "otherone", 5000);
  publish_next(&fixture, 0);
  assert_memory_equal(outcome.id, "otherone-", 9);
  assert_true(memory_peer_ended(&fixture.sender));
  /* it polls again, with its old id */
  const char *refusal = memory_peer_take(&poll);
  assert_non_null(strstr(refusal, "HTTP/1.1 503"));
  assert_non_null(strstr(refusal, "the histories have restarted; poll again"));
  memory_peer_close(&poll);
  memory_peer_close(&fixture.sender);
  assert_int_equal(store_find(&fixture.server->store, BYTES("room:1"))->history.count, 1);
  memory_peer_open(&fixture.sender, fixture.server);
  memory_peer_upgrade(&fixture.sender, NULL);
  snprintf(text, sizeof text, "{\"subscribe\":\"room:1\",\"since\":\"%s\",\"ref\":1}", old);
  memory_peer_frame(&fixture.sender, WS_OPCODE_TEXT, bytes_string(text));
  assert_true(memory_peer_next_frame(&fixture.sender, &opcode, &frame));
  assert_non_null(strstr(frame.ptr, "\"recovered\":false"));
  /* One of the new epoch is complete. */
  memory_peer_close(&fixture.sender);
  memory_peer_open(&fixture.sender, fixture.server);
  memory_peer_upgrade(&fixture.sender, NULL);
  snprintf(text, sizeof text, "{\"subscribe\":\"room:1\",\"since\":\"%s\",\"ref\":1}", outcome.id);
  memory_peer_frame(&fixture.sender, WS_OPCODE_TEXT, bytes_string(text));
  assert_true(memory_peer_next_frame(&fixture.sender, &opcode, &frame));
  assert_non_null(strstr(frame.ptr, "\"recovered\":true"));
  finish(&fixture);
}

/* Each way to publish reports who has refused the message, and what to do. */
static void tells_who_has_refused(void **state) {
  (void)state;
  static const struct {
    int status;
    const char *line, *code, *reason;
    bool is_temporary;
  } refusals[] = {
      {MW_EUNAVAILABLE, "HTTP/1.1 503", "unavailable", "the queue is full: limits.queue", true},
      {MW_EBROKER_READONLY, "HTTP/1.1 503", "unavailable", "redis is a replica, which cannot publish: connect to the primary",
       true},
      {MW_EBROKER_UNSURE, "HTTP/1.1 503", "unavailable", "redis has not confirmed the message in time, and may have published it",
       true},
      {MW_ETOOLARGE, "HTTP/1.1 413", "too_large", "the message is larger than the broker accepts", false},
      {MW_EBROKER_UNREPLICATED, "HTTP/1.1 504", "unreplicated",
       "published, but it may be lost: fewer replicas than wait_replicas have confirmed it", false},
  };
  char text[400], expected[300];
  const struct {
    const char *target, *fields, *body;
  } ways[] = {{"/publish", KEY, "{\"channel\":\"room:1\",\"data\":1}"},
              {"/send", "", "{\"send\":\"room:1\",\"event\":\"kept\"}"},
              {"/send", "", text}};
  struct fixture fixture;
  start(&fixture);
  for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
    snprintf(expected, sizeof expected, "\"error\":{\"code\":\"%s\",\"reason\":\"%s\"}}", refusals[i].code, refusals[i].reason);
    for (size_t way = 0; way < sizeof ways / sizeof ways[0]; way++) {
      /* an answer is kept for its key */
      snprintf(text, sizeof text, "{\"send\":\"room:1\",\"event\":\"kept\",\"idempotency_key\":\"%zu\"}", i);
      post(&fixture.back_end, ways[way].target, ways[way].fields, ways[way].body);
      server_settle(fixture.server);
      late_orderer_refuse(&fixture.late, 0, refusals[i].status);
      server_settle(fixture.server);
      const char *received = memory_peer_take(&fixture.back_end);
      assert_non_null(strstr(received, refusals[i].line));
      assert_non_null(strstr(received, expected));
      assert_int_equal(strstr(received, "\r\nRetry-After: ") != NULL, refusals[i].is_temporary);
    }
    memory_peer_frame(&fixture.sender, WS_OPCODE_TEXT, BYTES("{\"send\":\"room:1\",\"event\":\"kept\",\"ref\":1}"));
    late_orderer_refuse(&fixture.late, 0, refusals[i].status);
    server_settle(fixture.server);
    snprintf(text, sizeof text, "{\"ref\":1,%s", expected);
    memory_peer_expect(&fixture.sender, text);
  }
  finish(&fixture);
}

/* ---- Joining --------------------------------------------------------------------------------- */

/* The orderer knows of two messages of a channel that the store has not seen. */
static const uint64_t positions[] = {200, 300};

static void write_text(const struct fixture *fixture, char text[256], const char *format) {
  struct epoch epoch = bus_epoch(&fixture->server->bus);
  char id[MW_ID_MAX] = "";
  id_write(id, &epoch, 100);
  id[ID_LEN] = '\0';
  snprintf(text, 256, format, id);
}

static void start_waiting(struct fixture *fixture) {
  struct mw_publish publish = {.channel = {"room:9", 6}};
  start(fixture);
  assert_int_equal(mw_publish(fixture->server, &publish, NULL, NULL), MW_PENDING);
  publish_next(fixture, 0); /* the newest position is not 0 */
  memory_peer_fetch(&fixture->sender);
  buffer_clear(&fixture->sender.in);
  late_orderer_wait(&fixture->late);
}

static void confirm(struct fixture *fixture, int status) {
  late_orderer_confirm(&fixture->late, status);
  server_settle(fixture->server);
}

static void hand_page(struct fixture *fixture) {
  late_orderer_hand_page(&fixture->late, positions, 2, 100);
  server_settle(fixture->server);
}

static bool waits_for(const struct fixture *fixture, bool is_fetch) {
  return fixture->late.wait_count == 1 && fixture->late.waits[0].is_fetch == is_fetch;
}

/* With and without hooks: a client is in the channel when its messages come, and its history is
 * there. What it sends in the meantime waits. */
static void joins_wait_for_interest_and_history(void **state) {
  (void)state;
  static const char *const requests[] = {"{\"subscribe\":\"room:2\",\"since\":\"%s\",\"ref\":1}",
                                         "{\"subscribe\":\"free:2\",\"since\":\"%s\",\"ref\":1}"};
  for (int i = 0; i < 2; i++) {
    struct fixture fixture;
    struct bytes frame;
    enum ws_opcode opcode;
    char text[256];
    start_waiting(&fixture);
    write_text(&fixture, text, requests[i]);
    memory_peer_frame(&fixture.sender, WS_OPCODE_TEXT, bytes_string(text));
    memory_peer_frame(&fixture.sender, WS_OPCODE_TEXT, BYTES("{\"ping\":true,\"ref\":2}"));
    memory_peer_expect(&fixture.sender, NULL);
    assert_true(waits_for(&fixture, false));
    confirm(&fixture, 0);
    memory_peer_expect(&fixture.sender, NULL);
    assert_true(waits_for(&fixture, true));
    hand_page(&fixture);
    assert_true(memory_peer_next_frame(&fixture.sender, &opcode, &frame));
    assert_non_null(strstr(frame.ptr, "\"recovered\":true"));
    memory_peer_expect(&fixture.sender, "{\"ref\":2,\"ok\":true}");
    for (int k = 0; k < 2; k++) {
      snprintf(text, sizeof text, "\"data\":%llu}", (unsigned long long)positions[k]);
      assert_true(memory_peer_next_frame(&fixture.sender, &opcode, &frame));
      assert_non_null(strstr(frame.ptr, text));
    }
    assert_int_equal(fixture.late.interest_count, 2);
    memory_peer_ask(&fixture.sender, i == 0 ? "{\"unsubscribe\":\"room:2\",\"ref\":3}" : "{\"unsubscribe\":\"free:2\",\"ref\":3}",
                    "{\"ref\":3,\"ok\":true}");
    assert_int_equal(fixture.late.interest_count, 1);
    finish(&fixture);
  }
}

/* The orderer refuses, or the client is gone when it answers: nothing is left. */
static void gives_up_joining(void **state) {
  (void)state;
  for (int way = 0; way < 4; way++) {
    struct fixture fixture;
    start_waiting(&fixture);
    memory_peer_frame(&fixture.sender, WS_OPCODE_TEXT, BYTES("{\"subscribe\":\"free:2\",\"ref\":1}"));
    if (way % 2 == 1) confirm(&fixture, 0);
    if (way < 2) {
      confirm(&fixture, MW_EBROKER_FULL);
      memory_peer_expect(&fixture.sender, "{\"ref\":1,\"error\":{" FULL "}}");
    } else {
      memory_peer_close(&fixture.sender);
      server_settle(fixture.server);
      while (fixture.late.wait_count > 0) confirm(&fixture, 0);
      memory_peer_open(&fixture.sender, fixture.server);
    }
    assert_int_equal(fixture.late.interest_count, way < 2 ? 1 : 0);
    finish(&fixture);
  }
}

/* All channels of a stream together; a poll without a client. */
static void waits_on_every_transport(void **state) {
  (void)state;
  struct fixture fixture;
  struct memory_peer poll;
  char text[256];
  start_waiting(&fixture);
  memory_peer_open(&poll, fixture.server);
  write_text(&fixture, text, "GET /sse?channel=free:2&channel=room:3&since=%s HTTP/1.1\r\nHost: a\r\n\r\n");
  memory_peer_send_text(&fixture.back_end, text);
  assert_string_equal(memory_peer_take(&fixture.back_end), "");
  assert_int_equal(fixture.late.waits[0].count, 2);
  confirm(&fixture, 0);
  hand_page(&fixture);
  const char *stream = memory_peer_take(&fixture.back_end);
  assert_non_null(strstr(stream, "data: 200\n"));
  assert_non_null(strstr(stream, "data: 300\n"));
  assert_int_equal(fixture.late.interest_count, 3);
  write_text(&fixture, text, "GET /poll?channel=free:4&since=%s HTTP/1.1\r\nHost: a\r\n\r\n");
  memory_peer_send_text(&poll, text);
  assert_string_equal(memory_peer_take(&poll), "");
  confirm(&fixture, 0);
  hand_page(&fixture);
  assert_non_null(strstr(memory_peer_take(&poll), "\"data\":300}"));
  assert_int_equal(fixture.late.interest_count, 3);
  memory_peer_close(&poll);
  finish(&fixture);
}

/* The app subscribes a client, which receives what was published in the meantime, unless that is in
 * no history. What ends the subscription comes after it. */
static void what_the_app_subscribes_waits(void **state) {
  (void)state;
  for (int way = 0; way < 4; way++) {
    struct fixture fixture;
    struct mw_publish publish = {.channel = {"room:5", 6}, .data = {"5", 1}};
    struct bytes frame;
    enum ws_opcode opcode;
    start_waiting(&fixture);
    struct mw_client *client = mw_client_next(fixture.server, NULL);
    assert_int_equal(mw_client_subscribe(fixture.server, client, "room:5", 6), 0);
    server_settle(fixture.server);
    assert_true(waits_for(&fixture, false));
    assert_int_equal(mw_publish(fixture.server, &publish, NULL, NULL), MW_PENDING);
    publish_next(&fixture, 0);
    if (way == 1) assert_int_equal(mw_client_unsubscribe(fixture.server, client, "room:5", 6, NULL, NULL), 0);
    server_settle(fixture.server);
    assert_int_equal(fixture.late.wait_count, way == 1 ? 2 : 1);
    if (way == 2) memory_peer_close(&fixture.sender);
    confirm(&fixture, way == 3 ? MW_EBROKER_FULL : 0);
    while (fixture.late.wait_count > 0) confirm(&fixture, 0);
    if (way == 0) {
      assert_true(memory_peer_next_frame(&fixture.sender, &opcode, &frame));
      assert_non_null(strstr(frame.ptr, "\"data\":5"));
    } else if (way == 1) {
      assert_true(memory_peer_next_frame(&fixture.sender, &opcode, &frame));
      if (strstr(frame.ptr, "\"data\":5")) assert_true(memory_peer_next_frame(&fixture.sender, &opcode, &frame));
      assert_non_null(strstr(frame.ptr, "moonwire:unsubscribed"));
    } else if (way == 3) {
      assert_true(memory_peer_ended(&fixture.sender));
    }
    mw_client_unref(client);
    assert_int_equal(fixture.late.interest_count, way == 0 ? 2 : way == 1 ? 1 : 0);
    if (way == 2) memory_peer_open(&fixture.sender, fixture.server);
    finish(&fixture);
  }
}

/* The cursor of a client that polls may be from a server that is ahead: the poll waits until this one has
 * reached it, before it tells a gap. */
static void a_poll_waits_for_its_cursor(void **state) {
  (void)state;
  for (int way = 0; way < 3; way++) {
    struct fixture fixture;
    struct memory_peer poll;
    char id[MW_ID_MAX] = "", text[256], client[64];
    start_waiting(&fixture);
    memory_peer_open(&poll, fixture.server);
    memory_peer_send_text(&poll, "GET /poll?channel=free:2&client= HTTP/1.1\r\nHost: a\r\n\r\n");
    server_settle(fixture.server);
    confirm(&fixture, 0);
    confirm(&fixture, 0);
    const char *answer = memory_peer_take(&poll), *named = strstr(answer, "\"client\":\"");
    assert_non_null(named);
    snprintf(client, sizeof client, "%.*s", (int)strcspn(named + 10, "\""), named + 10);
    struct epoch epoch = bus_epoch(&fixture.server->bus);
    id_write(id, &epoch, fixture.server->bus.position + 1);
    id[ID_LEN] = '\0';
    snprintf(text, sizeof text, "GET /poll?client=%s&since=%s&wait=0 HTTP/1.1\r\nHost: a\r\n\r\n", client, id);
    memory_peer_send_text(&poll, text);
    server_settle(fixture.server);
    assert_string_equal(memory_peer_take(&poll), "");
    assert_true(waits_for(&fixture, true));
    if (way == 0) {
      /* it has come in the meantime */
      struct mw_publish publish = {.channel = {"free:2", 6}};
      assert_int_equal(mw_publish(fixture.server, &publish, NULL, NULL), MW_PENDING);
      publish_next(&fixture, 0);
    }
    if (way == 2) memory_peer_close(&poll);
    confirm(&fixture, way == 1 ? MW_EBROKER_LATE : 0);
    if (way == 0) {
      answer = memory_peer_take(&poll);
      assert_non_null(strstr(answer, "HTTP/1.1 200"));
      assert_null(strstr(answer, "moonwire:gap"));
    } else if (way == 1) {
      answer = memory_peer_take(&poll);
      assert_non_null(strstr(answer, "HTTP/1.1 503"));
      assert_non_null(strstr(answer, "redis did not answer in time"));
    }
    if (way != 2) memory_peer_close(&poll);
    memory_peer_close(&fixture.back_end);
    memory_peer_close(&fixture.sender);
    server_finish(fixture.server);
    assert_int_equal(fixture.late.wait_count, 0);
  }
}

static void histories_are_fetched(void **state) {
  (void)state;
  struct fixture fixture;
  struct bytes frame;
  enum ws_opcode opcode;
  start_waiting(&fixture);
  memory_peer_frame(&fixture.sender, WS_OPCODE_TEXT, BYTES("{\"history\":\"room:1\",\"ref\":1}"));
  memory_peer_expect(&fixture.sender, NULL);
  assert_true(waits_for(&fixture, true));
  hand_page(&fixture);
  assert_true(memory_peer_next_frame(&fixture.sender, &opcode, &frame));
  assert_non_null(strstr(frame.ptr, "\"data\":200}"));
  assert_non_null(strstr(frame.ptr, "\"data\":300}"));
  memory_peer_frame(&fixture.sender, WS_OPCODE_TEXT, BYTES("{\"history\":\"room:1\",\"ref\":2}"));
  confirm(&fixture, MW_EBROKER_FULL);
  assert_true(memory_peer_next_frame(&fixture.sender, &opcode, &frame));
  assert_non_null(strstr(frame.ptr, FULL));
  /* The server ends before the answer comes. */
  memory_peer_frame(&fixture.sender, WS_OPCODE_TEXT, BYTES("{\"subscribe\":\"room:3\",\"ref\":3}"));
  assert_int_equal(fixture.late.wait_count, 1);
  memory_peer_close(&fixture.back_end);
  memory_peer_close(&fixture.sender);
  mw_server_free(fixture.server);
  assert_int_equal(fixture.late.wait_count, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {TEST(answers_one_later),
                                     TEST(answers_one_that_has_ended_its_side),
                                     TEST(answers_in_input_order),
                                     TEST(outlives_its_requester),
                                     TEST(waits_for_the_first_with_its_key),
                                     TEST(acknowledges_relayed_events_later),
                                     TEST(answers_sends_later),
                                     TEST(reports_to_the_host),
                                     TEST(tells_who_has_refused),
                                     TEST(bounds_what_is_pending),
                                     TEST(begins_a_new_epoch),
                                     TEST(joins_wait_for_interest_and_history),
                                     TEST(gives_up_joining),
                                     TEST(waits_on_every_transport),
                                     TEST(what_the_app_subscribes_waits),
                                     TEST(histories_are_fetched),
                                     TEST(a_poll_waits_for_its_cursor),
                                     TEST(ends_what_is_pending)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
