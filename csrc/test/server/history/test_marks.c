/* What a client is told when it returns after a while, on every transport: of a gap where it missed
 * something that is gone, and of none where it did not. And what a server answers that cannot keep
 * a message. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "test/support.h"
#include "test/support/memory_peer.h"

#define KEY "Authorization: Bearer secret\r\n"
#define JSON "Content-Type: application/json\r\n"

enum transport { SSE, ENVELOPE, WEBSOCKET, MOONWIRE_1, POLL, POLL_CLIENT, TRANSPORTS };
static const char *const names[] = {"SSE", "envelope", "WebSocket", "moonwire.1", "poll", "poll client"};

static struct mw_server *server;
static struct memory_peer peer;
static struct mw_limits limits;

static void start(void) {
  static const struct mw_event_rule events[] = {{.event = "say", .relay = true, .keep = true}};
  static const struct {
    const char *pattern;
    struct mw_channel_options options;
  } kinds[] = {{"inbox:{x}", {.history_size = 10}},
               {"brief:{x}", {.history_size = 10, .history_ttl_ms = 5000}},
               {"bare:{x}", {.hooks = 0}},
               {"said:{x}", {.history_size = 10, .events = events, .event_count = 1}},
               {"other:{x}", {.hooks = 0}}};
  struct mw_config_options options;
  struct mw_config *config;
  mw_config_options_init(&options);
  options.limits = limits;
  options.publish_key = "secret";
  assert_int_equal(mw_config_new(&config, &options, NULL), 0);
  for (size_t i = 0; i < COUNT_OF(kinds); i++)
    assert_int_equal(mw_config_channel(config, kinds[i].pattern, &kinds[i].options, NULL), (int)i);
  assert_int_equal(mw_server_new(&server, &(struct mw_server_options){.config = config}, NULL), 0);
  mw_config_unref(config);
  mw_server_advance(server, 1);
  memory_peer_open(&peer, server);
}

static int begin(void **state) {
  int status = support_setup(state);
  mw_limits_init(&limits);
  return status;
}

static void finish(void) {
  memory_peer_close(&peer);
  server_finish(server);
}

static void reconnect(void) {
  memory_peer_close(&peer);
  server_settle(server);
  memory_peer_open(&peer, server);
}

static void pass(uint64_t seconds) {
  mw_server_advance(server, seconds * 1000);
  server_settle(server);
}

static struct mw_stats stats(void) {
  struct mw_stats now;
  mw_server_stats(server, &now);
  return now;
}

static int try_publish(const char *channel, char id[MW_ID_MAX]) {
  struct mw_publish message = {.channel = {channel, strlen(channel)}, .data = {"1", 1}};
  return mw_publish(server, &message, id, NULL);
}

/* The id; it holds for the next seven calls. */
static const char *publish(const char *channel) {
  static char ids[8][MW_ID_MAX];
  static size_t next;
  char *id = ids[next++ % COUNT_OF(ids)];
  assert_int_equal(try_publish(channel, id), 0);
  server_settle(server);
  return id;
}

static void publish_final(const char *channel) {
  struct mw_publish message = {.channel = {channel, strlen(channel)}, .data = {"1", 1}, .is_final = true};
  assert_int_equal(mw_publish(server, &message, NULL, NULL), 0);
  server_settle(server);
}

/* ---- Returning ------------------------------------------------------------------------------- */

static char query[512], told[512];

/* "channel=a&channel=b" from "a b". */
static void write_query(const char *channels) {
  char copy[256], *rest = copy;
  snprintf(copy, sizeof copy, "%s", channels);
  query[0] = '\0';
  for (char *name; (name = strtok_r(rest, " ", &rest));) {
    size_t len = strlen(query);
    snprintf(query + len, sizeof query - len, "%schannel=%s", len > 0 ? "&" : "", name);
  }
}

static void note(const char *name, size_t len) {
  size_t at = strlen(told);
  snprintf(told + at, sizeof told - at, "%s%.*s", at > 0 ? " " : "", (int)len, name);
}

/* The channels in events of that name, as they come. */
static void note_events(const char *text, const char *event) {
  for (const char *at = text; (at = strstr(at, event));) {
    const char *line = strstr(at, "\"channel\":\"");
    assert_non_null(line);
    at = line + strlen("\"channel\":\"");
    note(at, strcspn(at, "\""));
  }
}

static void return_by_stream(bool envelope, const char *since) {
  struct buffer text = {0};
  buffer_append_format(&text, "GET /sse?%s%s HTTP/1.1\r\nHost: t\r\nLast-Event-ID: %s\r\n\r\n", query,
                       envelope ? "&envelope=1" : "", since);
  memory_peer_send(&peer, buffer_bytes(&text));
  buffer_deinit(&text);
  const char *answer = memory_peer_take(&peer);
  assert_memory_equal(answer, "HTTP/1.1 20", 11);
  note_events(answer, "moonwire:gap");
  if (envelope && strstr(answer, "moonwire:open"))
    assert_non_null(strstr(answer, told[0] ? "\"recovered\":false" : "\"recovered\":true"));
}

static void return_by_socket(const char *protocol, const char *channels, const char *since) {
  char copy[256], *rest = copy, verb[256];
  snprintf(copy, sizeof copy, "%s", channels);
  memory_peer_upgrade(&peer, protocol);
  if (protocol) memory_peer_frame(&peer, WS_OPCODE_TEXT, BYTES("{\"connect\":{}}"));
  memory_peer_take(&peer);
  for (char *name; (name = strtok_r(rest, " ", &rest));) {
    snprintf(verb, sizeof verb, "{\"subscribe\":\"%s\",\"since\":\"%s\",\"ref\":1}", name, since);
    memory_peer_frame(&peer, WS_OPCODE_TEXT, bytes_string(verb));
    const char *answer = memory_peer_take(&peer);
    if (strstr(answer, "\"recovered\":false"))
      note(name, strlen(name));
    else
      assert_non_null(strstr(answer, "\"recovered\":true"));
  }
}

static void return_by_poll(bool as_client, const char *since) {
  struct buffer text = {0};
  buffer_append_format(&text, "GET /poll?%s&wait=0&since=%s%s HTTP/1.1\r\nHost: t\r\n\r\n", query, since,
                       as_client ? "&client=" : "");
  memory_peer_send(&peer, buffer_bytes(&text));
  buffer_deinit(&text);
  const char *answer = memory_peer_take(&peer);
  assert_memory_equal(answer, "HTTP/1.1 20", 11);
  if (memcmp(answer, "HTTP/1.1 204", 12) == 0) return;
  const char *gaps = strstr(answer, "\"gaps\":[");
  assert_non_null(gaps);
  for (const char *at = gaps + 8; *at == '"' || *at == ',';) {
    if (*at == ',') at++;
    note(at + 1, strcspn(at + 1, "\""));
    at += strcspn(at + 1, "\"") + 2;
  }
  assert_non_null(strstr(answer, told[0] ? "\"recovered\":false" : "\"recovered\":true"));
}

/* A client that polls stays for a while: not here. */
static void end_clients(void) {
  struct mw_client *client = NULL;
  while ((client = mw_client_next(server, client))) mw_client_close(server, client, 1000, "");
  server_settle(server);
}

/* The channels of which a client is told that something is missing. */
static const char *gaps_of(enum transport transport, const char *channels, const char *since) {
  uint64_t before = stats().gaps;
  size_t count = 0;
  told[0] = '\0';
  reconnect();
  write_query(channels);
  switch (transport) {
    case SSE:
    case ENVELOPE: return_by_stream(transport == ENVELOPE, since); break;
    case WEBSOCKET:
    case MOONWIRE_1: return_by_socket(transport == MOONWIRE_1 ? "moonwire.1" : NULL, channels, since); break;
    case POLL:
    case POLL_CLIENT: return_by_poll(transport == POLL_CLIENT, since); break;
    case TRANSPORTS: break;
  }
  for (const char *at = told; *at; at++) count += *at == ' ' || at == told;
  assert_int_equal(stats().gaps - before, count);
  if (transport == POLL_CLIENT) end_clients();
  reconnect();
  return told;
}

/* The same on all of them, regardless of the order in which a transport tells it. */
static void expect_gaps_at(const char *channels, const char *since, const char *expected, int line) {
  char kept[MW_ID_MAX];
  snprintf(kept, sizeof kept, "%s", since);
  for (enum transport transport = 0; transport < TRANSPORTS; transport++) {
    const char *gaps = gaps_of(transport, channels, kept);
    bool same = strlen(gaps) == strlen(expected);
    char copy[256], *rest = copy;
    snprintf(copy, sizeof copy, "%s", expected);
    for (char *name; (name = strtok_r(rest, " ", &rest));) same = same && strstr(gaps, name);
    if (same) continue;
    print_error("%s of %s since %s: expected gaps of \"%s\", got \"%s\"\n", names[transport], channels, kept, expected, gaps);
    _fail(__FILE__, line);
  }
}
#define expect_gaps(channels, since, expected) expect_gaps_at((channels), (since), (expected), __LINE__)

static void quiet_inboxes_stay_quiet(void **state) {
  (void)state;
  start();
  const char *since = publish("inbox:busy");
  expect_gaps("inbox:ann", since, "");
  publish("other:1");
  pass(12);
  publish("other:2");
  expect_gaps("inbox:ann", since, "");
  expect_gaps("inbox:ann brief:ann bare:ann inbox:busy", since, "");
  for (unsigned n = 0; n < 1000; n++) {
    char name[32];
    snprintf(name, sizeof name, "other:%u", n);
    assert_int_equal(try_publish(name, NULL), 0);
  }
  pass(26 * 3600);
  expect_gaps("inbox:ann brief:ann bare:ann inbox:busy", since, "");
  assert_int_equal(stats().floor_gaps, 0);
  assert_int_equal(stats().channels, 1);
  assert_int_equal(stats().marks, 1000);
  finish();
}

static void what_was_missed_is_told_of_that_channel_alone(void **state) {
  (void)state;
  start();
  publish("bare:before");
  publish("brief:before");
  const char *since = publish("inbox:a");
  publish("bare:missed");
  publish("brief:missed");
  publish("inbox:a");
  expect_gaps("inbox:a bare:before bare:missed brief:before brief:missed bare:never", since, "bare:missed");
  for (int day = 0; day < 3; day++) {
    pass(24 * 3600);
    expect_gaps("inbox:a bare:before bare:missed brief:before brief:missed bare:never", since, "bare:missed brief:missed");
  }
  const char *now = publish("inbox:a");
  expect_gaps("inbox:a bare:before bare:missed brief:before brief:missed bare:never", now, "");
  expect_gaps("inbox:a bare:missed brief:missed", "0", "");
  assert_int_equal(stats().floor_gaps, 0);
  finish();
}

static void ids_that_say_nothing_are_gaps(void **state) {
  (void)state;
  start();
  publish("inbox:a");
  pass(60);
  /* of another life of the server */
  expect_gaps("inbox:a bare:never", "zzzzzzzz-0000000000000001", "inbox:a bare:never");
  expect_gaps("bare:never", "rubbish", "bare:never");
  char future[MW_ID_MAX];
  snprintf(future, sizeof future, "%s", publish("inbox:a"));
  memset(future + strlen(future) - 6, '9', 6);
  expect_gaps("inbox:a", future, "inbox:a");
  finish();
}

static void volatile_and_private_messages_do_not_count(void **state) {
  (void)state;
  start();
  const char *since = publish("inbox:a");
  struct mw_publish message = {.channel = {"bare:a", 6}, .data = {"1", 1}, .is_volatile = true};
  memory_peer_upgrade(&peer, NULL);
  memory_peer_frame(&peer, WS_OPCODE_TEXT, BYTES("{\"subscribe\":\"bare:a\"}"));
  assert_int_equal(mw_publish(server, &message, NULL, NULL), 0);
  server_settle(server);
  assert_non_null(strstr(memory_peer_take(&peer), "\"data\":1"));
  reconnect();
  assert_int_equal(mw_publish(server, &message, NULL, NULL), 0);
  pass(12);
  expect_gaps("bare:a", since, "");
  finish();
}

static char logged[1000];

static void keep_log(void *context, enum mw_log_level level, const char *text, size_t text_len) {
  (void)context, (void)level;
  size_t len = strlen(logged);
  snprintf(logged + len, sizeof logged - len, "%.*s\n", (int)text_len, text);
}

/* Of those that were dropped not everything is known: that is told, counted, and holds for their
 * kind alone. */
static void what_is_not_known_stays_a_gap(void **state) {
  (void)state;
  limits.marks = 20;
  start();
  publish("brief:kept");
  pass(10);
  const char *since = publish("inbox:a");
  for (unsigned n = 0; n < 100; n++) {
    char name[32];
    snprintf(name, sizeof name, "bare:%u", n);
    assert_int_equal(try_publish(name, NULL), 0);
  }
  pass(12);
  assert_int_equal(stats().marks, 20);
  expect_gaps("inbox:a inbox:never brief:kept brief:never other:never", since, "");
  assert_int_equal(stats().floor_gaps, 0);
  expect_gaps("bare:1 bare:never other:never", since, "bare:1 bare:never");
  assert_int_equal(stats().floor_gaps, 2 * TRANSPORTS);
  logged[0] = '\0';
  mw_log_to(MW_LOG_WARNING, keep_log, NULL);
  pass(1);
  mw_log_to(MW_LOG_ERROR + 1, NULL, NULL);
  assert_non_null(strstr(logged, "limits.marks"));
  const char *now = publish("inbox:a");
  expect_gaps("bare:1 bare:99 bare:never", now, "");
  expect_gaps("bare:99", since, "bare:99"); /* this one is known */
  assert_int_equal(stats().floor_gaps, 2 * TRANSPORTS);
  finish();
}

/* Restarted, ended and forgotten: who has seen the end gets 204, or the end again, and no gap. */
static void an_end_is_known_as_long_as_its_mark(void **state) {
  (void)state;
  start();
  const char *before = publish("inbox:a");
  publish_final("bare:game");
  const char *after = publish("inbox:a");
  assert_int_equal(stats().channels, 1);
  pass(26 * 3600);
  reconnect();
  char text[256];
  snprintf(text, sizeof text, "GET /sse?channel=bare:game HTTP/1.1\r\nHost: t\r\nLast-Event-ID: %s\r\n\r\n", after);
  memory_peer_send_text(&peer, text);
  assert_memory_equal(memory_peer_take(&peer), "HTTP/1.1 204", 12);
  reconnect();
  memory_peer_send_text(&peer, "GET /sse?channel=bare:game HTTP/1.1\r\nHost: t\r\n\r\n");
  assert_non_null(strstr(memory_peer_take(&peer), "moonwire:end"));
  assert_true(memory_peer_ended(&peer));
  expect_gaps("bare:game inbox:a", before, "bare:game");
  expect_gaps("bare:game inbox:a", after, "");
  publish("bare:game"); /* begins again */
  expect_gaps("bare:game", after, "bare:game");
  reconnect();
  memory_peer_send_text(&peer, "GET /sse?channel=bare:game HTTP/1.1\r\nHost: t\r\n\r\n");
  assert_null(strstr(memory_peer_take(&peer), "moonwire:end"));
  assert_false(memory_peer_ended(&peer));
  finish();
}

/* A stream that joins a channel later has its own id, which is newer than all that it might have
 * missed. */
static void joining_by_send_is_no_return(void **state) {
  (void)state;
  struct memory_peer other;
  const char *answer;
  start();
  publish("bare:a");
  memory_peer_send_text(&peer, "GET /sse?channel=inbox:a&envelope=1 HTTP/1.1\r\nHost: t\r\n\r\n");
  const char *client = strstr(memory_peer_take(&peer), "\"client\":\"");
  assert_non_null(client);
  char fields[128];
  snprintf(fields, sizeof fields, JSON "X-Moonwire-Client: %.*s\r\n", (int)strcspn(client + 10, "\""), client + 10);
  memory_peer_open(&other, server);
  assert_int_equal(memory_peer_post(&other, "/send", fields, BYTES("{\"subscribe\":\"bare:a\"}"), &answer), 200);
  assert_null(strstr(answer, "recovered"));
  assert_int_equal(memory_peer_post(&other, "/send", fields, BYTES("{\"unsubscribe\":\"bare:a\"}"), &answer), 200);
  assert_int_equal(stats().channels, 1);
  assert_int_equal(stats().gaps, 0);
  memory_peer_close(&other);
  finish();
}

/* ---- Vanishing ------------------------------------------------------------------------------- */

static void churn_does_not_use_up_the_channels(void **state) {
  (void)state;
  limits.channels = 3;
  limits.verb_rate = (struct mw_rate){0};
  start();
  memory_peer_upgrade(&peer, NULL);
  for (unsigned n = 0; n < 1000; n++) {
    char verb[64];
    snprintf(verb, sizeof verb, "{\"subscribe\":\"%s:%u\",\"ref\":1}", n % 2 ? "bare" : "inbox", n);
    memory_peer_frame(&peer, WS_OPCODE_TEXT, bytes_string(verb));
    snprintf(verb, sizeof verb, "{\"unsubscribe\":\"%s:%u\",\"ref\":2}", n % 2 ? "bare" : "inbox", n);
    memory_peer_frame(&peer, WS_OPCODE_TEXT, bytes_string(verb));
    const char *answer = memory_peer_take(&peer);
    assert_null(strstr(answer, "\"error\""));
    assert_int_equal(stats().channels, 0);
  }
  bool exists = true;
  assert_int_equal(mw_channel_count(server, "bare:1", 6, &exists), 0);
  assert_false(exists);
  assert_int_equal(stats().marks, 0);
  finish();
}

/* One that polls comes and goes with each poll. */
static void polls_leave_nothing_behind(void **state) {
  (void)state;
  limits.channels = 2;
  start();
  for (unsigned n = 0; n < 20; n++) {
    char text[128];
    snprintf(text, sizeof text, "GET /poll?channel=bare:%u&channel=inbox:%u&wait=0 HTTP/1.1\r\nHost: t\r\n\r\n", n, n);
    memory_peer_send_text(&peer, text);
    assert_memory_equal(memory_peer_take(&peer), "HTTP/1.1 200", 12);
    assert_int_equal(stats().channels, 0);
  }
  finish();
}

/* ---- What cannot be kept --------------------------------------------------------------------- */

static int post_publish(const char *body, const char **answer) {
  return memory_peer_post(&peer, "/publish", KEY JSON, bytes_string(body), answer);
}

static void what_cannot_be_kept_gets_no_id(void **state) {
  (void)state;
  struct memory_peer listener;
  const char *answer;
  char id[MW_ID_MAX], since[MW_ID_MAX];
  limits.channels = 2;
  start();
  snprintf(since, sizeof since, "%s", publish("other:x"));
  memory_peer_open(&listener, server);
  memory_peer_upgrade(&listener, NULL);
  memory_peer_ask(&listener, "{\"subscribe\":\"bare:1\",\"ref\":1,\"since\":\"0\"}",
                  (snprintf(query, sizeof query, "{\"ref\":1,\"ok\":{\"id\":\"%s\",\"recovered\":true}}", since), query));
  memory_peer_frame(&listener, WS_OPCODE_TEXT, BYTES("{\"subscribe\":\"bare:2\"}"));
  memory_peer_take(&listener);
  assert_int_equal(stats().channels, 2);
  uint64_t published = stats().published;
  assert_int_equal(post_publish("{\"channel\":\"inbox:a\"}", &answer), 503);
  assert_non_null(strstr(answer, "\"code\":\"unavailable\""));
  assert_non_null(strstr(answer, "limits.channels"));
  assert_int_equal(
      post_publish("[{\"channel\":\"inbox:a\"},{\"channel\":\"other:a\"},{\"channel\":\"inbox:b\",\"volatile\":true}]", &answer),
      200);
  assert_non_null(strstr(answer, "[{\"error\":{\"code\":\"unavailable\""));
  assert_non_null(strstr(answer, "}},{\"id\":\""));
  assert_non_null(strstr(answer, "\"},{}]"));
  struct mw_error error = {""};
  struct mw_publish message = {.channel = {"inbox:a", 7}, .data = {"1", 1}};
  assert_int_equal(mw_publish(server, &message, id, &error), MW_EUNAVAILABLE);
  assert_non_null(strstr(error.text, "limits.channels"));
  /* Relayed: by POST /send without a client; who is subscribed has the channel already. */
  assert_int_equal(memory_peer_post(&peer, "/send", JSON, BYTES("{\"send\":\"said:a\",\"event\":\"say\"}"), &answer), 503);
  assert_non_null(strstr(answer, "\"code\":\"unavailable\""));
  assert_int_equal(stats().published, published + 2);
  /* Refused, so no one missed it; and it can be tried again when there is room. */
  memory_peer_frame(&listener, WS_OPCODE_TEXT, BYTES("{\"unsubscribe\":\"bare:1\"}"));
  expect_gaps("inbox:a", since, "");
  expect_gaps("said:a", since, "");
  assert_int_equal(post_publish("{\"channel\":\"inbox:a\"}", &answer), 200);
  expect_gaps("inbox:a", since, "");
  memory_peer_close(&listener);
  finish();
}

/* A retry with the same key is carried out. */
static void a_refused_publish_can_be_tried_again(void **state) {
  (void)state;
  static const char body[] = "{\"channel\":\"inbox:a\",\"idempotency_key\":\"k\"}";
  const char *answer;
  limits.channels = 1;
  start();
  publish("brief:a");
  assert_int_equal(post_publish(body, &answer), 503);
  pass(7);
  assert_int_equal(post_publish(body, &answer), 200);
  assert_int_equal(stats().channels, 1);
  finish();
}

/* Many at once, before the hub has seen the first of them. */
static void each_of_many_is_kept_or_refused(void **state) {
  (void)state;
  enum { COUNT = 50, ROOM = 20 };
  struct buffer body = {0};
  const char *answer;
  limits.channels = ROOM;
  start();
  for (unsigned n = 0; n < COUNT; n++) buffer_append_format(&body, "{\"channel\":\"inbox:%u\",\"data\":%u}\n", n, n);
  assert_int_equal(
      memory_peer_post(&peer, "/publish", KEY "Content-Type: application/x-ndjson\r\n", buffer_bytes(&body), &answer), 200);
  buffer_deinit(&body);
  size_t ids = 0;
  for (const char *at = answer; (at = strstr(at, "{\"id\":")); at++) ids++;
  assert_int_equal(ids, ROOM);
  assert_int_equal(stats().channels, ROOM);
  for (unsigned n = 0; n < COUNT; n++) {
    char name[32];
    bool exists;
    snprintf(name, sizeof name, "inbox:%u", n);
    mw_channel_count(server, name, strlen(name), &exists);
    assert_int_equal(exists, n < ROOM);
  }
  finish();
}

/* The queue was full: the promise is taken back. */
static void what_does_not_fit_the_queue_leaves_no_channel(void **state) {
  (void)state;
  char id[MW_ID_MAX];
  limits.queue = 2000;
  start();
  int status = 0;
  unsigned count = 0;
  for (; status == 0; count += status == 0) {
    char name[32];
    snprintf(name, sizeof name, "inbox:%u", count);
    status = try_publish(name, id);
  }
  assert_int_equal(status, MW_EUNAVAILABLE);
  assert_true(count > 2);
  assert_int_equal(stats().channels, count);
  server_settle(server);
  assert_int_equal(stats().channels, count);
  finish();
}

static void count_kept(void *context, const struct mw_kept *kept) {
  (void)kept;
  ++*(size_t *)context;
}

/* What got an id is in the history, whichever allocation failed. */
static bool publish_some(void *context) {
  (void)context;
  enum { COUNT = 12 };
  static const char *const channels[] = {"inbox:a", "inbox:b", "inbox:c"};
  size_t ids[3] = {0};
  bool fine = true;
  for (unsigned n = 0; n < COUNT; n++) {
    char id[MW_ID_MAX];
    bool published = try_publish(channels[n % 3], id) == 0;
    ids[n % 3] += published;
    fine = fine && published;
    if (n % 5 == 0) server_settle(server);
  }
  server_settle(server);
  memory_fail_after(0);
  for (size_t i = 0; i < 3; i++) {
    size_t kept = 0;
    assert_int_equal(
        mw_channel_history(server, channels[i], 7, &(struct mw_history_query){.limit = 0}, count_kept, &kept, NULL, NULL), 0);
    assert_int_equal(kept, ids[i]);
  }
  return fine;
}

static void without_memory_there_is_no_id(void **state) {
  (void)state;
  size_t runs = 0;
  bool fine = false;
  for (; !fine; runs++) {
    assert_true(runs < 1000);
    start();
    memory_fail_after(runs + 1);
    fine = publish_some(NULL);
    finish();
  }
  assert_true(runs > 20);
}

static void *publish_elsewhere(void *context) {
  *(int *)context = try_publish("inbox:a", NULL);
  return NULL;
}

/* Another thread cannot ask the hub; what it published and could not be kept is a gap. */
static void another_thread_is_told_by_a_gap(void **state) {
  (void)state;
  pthread_t thread;
  int status = MW_EINVAL;
  char since[MW_ID_MAX];
  limits.channels = 1;
  start();
  snprintf(since, sizeof since, "%s", publish("brief:a"));
  assert_int_equal(pthread_create(&thread, NULL, publish_elsewhere, &status), 0);
  pthread_join(thread, NULL);
  assert_int_equal(status, 0);
  pass(7);
  expect_gaps("inbox:a", since, "inbox:a");
  expect_gaps("inbox:b", since, "");
  finish();
}

int main(void) {
  mw_log_to(MW_LOG_ERROR, NULL, NULL);
#define MARKS(name) cmocka_unit_test_setup_teardown(name, begin, support_teardown)
  const struct CMUnitTest tests[] = {
      MARKS(quiet_inboxes_stay_quiet),
      MARKS(what_was_missed_is_told_of_that_channel_alone),
      MARKS(ids_that_say_nothing_are_gaps),
      MARKS(volatile_and_private_messages_do_not_count),
      MARKS(what_is_not_known_stays_a_gap),
      MARKS(an_end_is_known_as_long_as_its_mark),
      MARKS(joining_by_send_is_no_return),
      MARKS(churn_does_not_use_up_the_channels),
      MARKS(polls_leave_nothing_behind),
      MARKS(what_cannot_be_kept_gets_no_id),
      MARKS(a_refused_publish_can_be_tried_again),
      MARKS(each_of_many_is_kept_or_refused),
      MARKS(what_does_not_fit_the_queue_leaves_no_channel),
      MARKS(without_memory_there_is_no_id),
      MARKS(another_thread_is_told_by_a_gap),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
