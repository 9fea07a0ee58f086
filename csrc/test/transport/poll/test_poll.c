/* GET /poll: what is there at once, what comes while it waits, where the next goes on, and clients
 * that last from poll to poll. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test/support.h"
#include "test/support/memory_peer.h"

enum { PEERS = 3 };

struct fixture {
  struct mw_server *server;
  struct memory_peer peers[PEERS];
  char trace[1024]; /* "connect; authorize room:1; " */
  unsigned refuse;  /* bits of request types */
  const char *code; /* of refusals; NULL: "forbidden" */
  unsigned keep;
  struct mw_request *kept[4];
  size_t kept_count;
  char ids[64][MW_ID_MAX]; /* of what was published */
  size_t id_count;
};

static struct fixture fixture;

static const char *const words[] = {"authenticate", "authorize", "open",    "join",       "leave", "close",
                                    "http",         "message",   "connect", "disconnect", "stream"};

static void answer(struct mw_request *request) {
  enum mw_request_type type = mw_request_type(request);
  if (fixture.refuse & (1u << type)) {
    mw_request_refuse(request, 403, fixture.code ? fixture.code : "forbidden", "not you");
  } else if (type == MW_REQUEST_AUTHENTICATE) {
    struct mw_bytes token = mw_request_http(request)->token;
    char user[64];
    int len = snprintf(user, sizeof user, "{\"id\":\"%.*s\"}", (int)token.len, token.ptr ? token.ptr : "");
    if (token.len > 0) {
      mw_request_accept(request, user, (size_t)len);
    } else {
      mw_request_refuse(request, 401, "unauthorized", "a token, please");
    }
  } else if (type == MW_REQUEST_JOIN) {
    mw_request_accept(request, "{\"topic\":\"tea\"}", 15);
  } else {
    mw_request_accept(request, NULL, 0);
  }
}

static void on_request(void *context, struct mw_request *request) {
  (void)context;
  struct mw_bytes channel = mw_request_channel(request);
  size_t len = strlen(fixture.trace);
  snprintf(fixture.trace + len, sizeof fixture.trace - len, "%s%s%.*s; ", words[mw_request_type(request)],
           channel.len > 0 ? " " : "", (int)channel.len, channel.ptr ? channel.ptr : "");
  if (fixture.keep & (1u << mw_request_type(request))) {
    assert_true(fixture.kept_count < COUNT_OF(fixture.kept));
    fixture.kept[fixture.kept_count++] = request;
  } else {
    answer(request);
  }
}

static const char *asked(void) {
  static char taken[sizeof fixture.trace];
  memcpy(taken, fixture.trace, sizeof taken);
  fixture.trace[0] = '\0';
  return taken;
}

static void answer_kept(void) {
  assert_true(fixture.kept_count > 0);
  struct mw_request *request = fixture.kept[--fixture.kept_count];
  answer(request);
  server_settle(fixture.server);
}

static void start_with(void (*set)(struct mw_config_options *options)) {
  enum { ALL = MW_HOOK_AUTHORIZE | MW_HOOK_OPEN | MW_HOOK_JOIN | MW_HOOK_LEAVE | MW_HOOK_CLOSE };
  static const struct mw_event_rule events[] = {{.event = "say"}, {.event = "typing", .relay = true}};
  static const struct {
    const char *pattern;
    struct mw_channel_options options;
  } kinds[] = {{"room:{x}", {.events = events, .event_count = 2, .history_size = 5}},
               {"last:{x}", {.history_size = 1, .history_replay = 1}},
               {"bare:{x}", {.hooks = 0}},
               {"hooks:{x}", {.hooks = ALL, .events = events, .event_count = 2, .history_size = 5}},
               {"big:{x}", {.history_size = 20000}}};
  struct mw_config_options options;
  struct mw_config *config;
  fixture = (struct fixture){NULL};
  mw_config_options_init(&options);
  options.on_request = on_request;
  options.limits.message_size = 1 << 20;
  if (set) set(&options);
  assert_int_equal(mw_config_new(&config, &options, NULL), 0);
  for (size_t i = 0; i < COUNT_OF(kinds); i++)
    assert_int_equal(mw_config_channel(config, kinds[i].pattern, &kinds[i].options, NULL), (int)i);
  assert_int_equal(mw_config_origin(config, "https://listed.example", NULL), 0);
  assert_int_equal(mw_server_new(&fixture.server, &(struct mw_server_options){.config = config}, NULL), 0);
  mw_config_unref(config);
  for (size_t i = 0; i < PEERS; i++) memory_peer_open(&fixture.peers[i], fixture.server);
  mw_server_advance(fixture.server, 0);
}

static void start(void) { start_with(NULL); }

static void finish(void) {
  for (size_t i = 0; i < PEERS; i++) memory_peer_close(&fixture.peers[i]);
  server_finish(fixture.server);
}

static void set_hooks(struct mw_config_options *options) { options->connects = options->disconnects = true; }
static void set_authenticate(struct mw_config_options *options) { options->authenticate = true; }

static void publish_quietly(const char *channel, const char *data, bool is_volatile) {
  struct mw_publish message = {
      .channel = {channel, strlen(channel)}, .event = {"m", 1}, .data = {data, strlen(data)}, .is_volatile = is_volatile};
  char id[MW_ID_MAX];
  assert_int_equal(mw_publish(fixture.server, &message, id, NULL), 0);
  if (!is_volatile) memcpy(fixture.ids[fixture.id_count++ % COUNT_OF(fixture.ids)], id, sizeof id);
}

static void publish(const char *channel, const char *data) {
  publish_quietly(channel, data, false);
  server_settle(fixture.server);
}

static const char *id_of(size_t i) { return fixture.ids[i % COUNT_OF(fixture.ids)]; }

static void set(char *out, size_t size, const char *from) {
  assert_true(strlen(from) < size);
  memcpy(out, from, strlen(from) + 1);
}
#define SET(array, from) set((array), sizeof(array), (from))

static void get_with(struct memory_peer *peer, const char *query, const char *fields) {
  struct buffer text = {0};
  buffer_append_format(&text, "GET /poll?%s HTTP/1.1\r\nHost: test\r\n%s\r\n", query, fields);
  memory_peer_send(peer, buffer_bytes(&text));
  buffer_deinit(&text);
}

static void get(struct memory_peer *peer, const char *query) { get_with(peer, query, ""); }

/* Polls on from an id. */
static void get_since(struct memory_peer *peer, const char *query, const char *since) {
  struct buffer text = {0};
  buffer_append_format(&text, "%s&since=%s", query, since);
  buffer_append_char(&text, '\0');
  get(peer, text.data);
  buffer_deinit(&text);
}

/* The body of the answer that has come, with that status; "" if none has. */
static const char *body_of(struct memory_peer *peer, int status) {
  const char *text = memory_peer_take(peer);
  if (text[0] == '\0') return text;
  if (atoi(text + strlen("HTTP/1.1 ")) != status) print_error("%s\n", text);
  assert_int_equal(atoi(text + strlen("HTTP/1.1 ")), status);
  assert_non_null(strstr(text, "\r\nCache-Control: no-store\r\n"));
  return strstr(text, "\r\n\r\n") + 4;
}

/* The answer, in short: what is in "messages" as the data of each with its channel, behind the
 * other members but the id. */
static const char *summary(struct memory_peer *peer) {
  static char out[2048];
  const char *body = body_of(peer, 200);
  if (body[0] == '\0') return "nothing";
  const char *messages = strstr(body, "\"messages\":[");
  assert_non_null(messages);
  out[0] = '\0';
  if (strstr(body, "\"recovered\":true")) strcat(out, "recovered ");
  if (strstr(body, "\"recovered\":false")) strcat(out, "not recovered ");
  const char *gaps = strstr(body, "\"gaps\":[");
  if (gaps[8] != ']') snprintf(out + strlen(out), sizeof out - strlen(out), "gaps(%.*s) ", (int)strcspn(gaps + 8, "]"), gaps + 8);
  for (const char *at = messages; (at = strstr(at, "\"data\":"));) {
    at += 7;
    size_t len = strlen(out);
    snprintf(out + len, sizeof out - len, "%.*s ", (int)strcspn(at, "}"), at);
  }
  assert_string_equal(body + strlen(body) - 3, "]}\n");
  return out;
}

/* The id, or another member that is a string, of an answer. */
static const char *member(const char *body, const char *name) {
  static char values[4][64];
  static size_t next;
  char key[32], *out = values[next++ % COUNT_OF(values)];
  snprintf(key, sizeof key, "\"%s\":\"", name);
  const char *at = strstr(body, key);
  assert_non_null(at);
  at += strlen(key);
  snprintf(out, sizeof values[0], "%.*s", (int)strcspn(at, "\""), at);
  return out;
}

/* Becomes a client of a channel: its id. */
static const char *become(struct memory_peer *peer, const char *query) {
  static char id[64];
  get(peer, query);
  SET(id, member(body_of(peer, 200), "client"));
  return id;
}

static const char *query_as(const char *client, const char *more) {
  static char query[256];
  snprintf(query, sizeof query, "client=%s&%s", client, more);
  return query;
}

/* ---- Without client= ------------------------------------------------------------------------- */

static void answers_newcomers_at_once(void **state) {
  (void)state;
  start();
  struct memory_peer *peer = &fixture.peers[0];
  get(peer, "channel=room:1");
  char expected[8192];
  const char *body = body_of(peer, 200), *first = member(body, "id");
  snprintf(expected, sizeof expected, "{\"id\":\"%s\",\"gaps\":[],\"messages\":[]}\n", first);
  assert_string_equal(body, expected);
  publish("last:1", "1");
  publish("last:1", "2");
  publish("room:1", "3");
  get(peer, "channel=room:1&channel=last:1&channel=last:1");
  body = body_of(peer, 200);
  snprintf(expected, sizeof expected,
           "{\"id\":\"%s\",\"gaps\":[],\"messages\":[{\"channel\":\"last:1\",\"event\":\"m\",\"id\":\"%s\",\"data\":2}]}\n",
           id_of(2), id_of(1));
  assert_string_equal(body, expected);
  finish();
}

static void merges_by_position(void **state) {
  (void)state;
  start();
  struct memory_peer *peer = &fixture.peers[0];
  publish("room:1", "1");
  publish("room:2", "2");
  publish("room:3", "3");
  publish("room:1", "4");
  publish("room:2", "5");
  get_since(peer, "channel=room:2&channel=room:1", id_of(0));
  assert_string_equal(summary(peer), "recovered 2 4 5 ");
  get(peer, "channel=room:1&channel=room:2&channel=room:3&since=0");
  assert_string_equal(summary(peer), "recovered 1 2 3 4 5 ");
  get_since(peer, "wait=0&channel=room:1", id_of(3));
  assert_string_equal(summary(peer), "recovered ");
  finish();
}

static void waits_for_what_comes(void **state) {
  (void)state;
  start();
  struct memory_peer *peer = &fixture.peers[0], *other = &fixture.peers[1];
  publish("room:1", "1");
  get_since(peer, "channel=room:1&channel=bare:1", id_of(0));
  get_since(other, "channel=room:1&channel=bare:1", id_of(0));
  assert_string_equal(summary(peer), "nothing");
  publish("room:2", "0");
  assert_string_equal(summary(peer), "nothing");
  /* All of one turn, also what no history keeps, and what one has let go already. */
  publish_quietly("bare:1", "2", false);
  publish_quietly("room:1", "3", true);
  for (int i = 0; i < 8; i++) publish_quietly("room:1", "4", false);
  server_settle(fixture.server);
  const char *body = body_of(peer, 200);
  assert_string_equal(member(body, "id"), id_of(fixture.id_count - 1));
  assert_string_equal(summary(other), "recovered 2 3 4 4 4 4 4 4 4 4 ");
  finish();
}

static void ends_waiting_in_time(void **state) {
  (void)state;
  start();
  struct memory_peer *peer = &fixture.peers[0];
  publish("room:1", "1");
  get_since(peer, "channel=room:1&wait=5", id_of(0));
  publish("room:2", "2");
  mw_server_advance(fixture.server, 4000);
  assert_string_equal(summary(peer), "nothing");
  mw_server_advance(fixture.server, 2000);
  const char *body = body_of(peer, 200);
  assert_string_equal(member(body, "id"), id_of(1)); /* nothing was missed up to there */
  assert_non_null(strstr(body, "\"recovered\":true,\"gaps\":[],\"messages\":[]}"));
  /* Not longer than limits.poll_ms, whatever is requested; and the same connection goes on. */
  get_since(peer, "channel=room:1&wait=99999999999999999999999", id_of(0));
  mw_server_advance(fixture.server, 29000);
  assert_string_equal(summary(peer), "nothing");
  mw_server_advance(fixture.server, 2000);
  assert_string_equal(summary(peer), "recovered ");
  finish();
}

static void names_gaps(void **state) {
  (void)state;
  start();
  struct memory_peer *peer = &fixture.peers[0];
  for (int i = 0; i < 8; i++) publish(i % 4 == 3 ? "room:2" : "room:1", i == 7 ? "8" : "1");
  get_since(peer, "channel=room:1&channel=room:2", "00000000-0000000000000001");
  assert_string_equal(summary(peer), "not recovered gaps(\"room:1\",\"room:2\") 1 1 1 1 1 1 8 ");
  get_since(peer, "channel=room:1&channel=room:2", "rubbish");
  assert_string_equal(summary(peer), "not recovered gaps(\"room:1\",\"room:2\") 1 1 1 1 1 1 8 ");
  publish("bare:1", "1");
  get_since(peer, "channel=bare:1&channel=room:1", id_of(7));
  assert_string_equal(summary(peer), "not recovered gaps(\"bare:1\") ");
  for (int i = 0; i < 5; i++) publish("room:2", "2");
  get_since(peer, "channel=room:1&channel=room:2", id_of(6));
  assert_string_equal(summary(peer), "not recovered gaps(\"room:2\") 2 2 2 2 2 ");
  struct mw_stats stats;
  mw_server_stats(fixture.server, &stats);
  assert_int_equal(stats.gaps, 6);
  assert_int_equal(stats.polls, 4);
  finish();
}

/* Publishes the last message of a channel. */
static void publish_last(const char *channel, const char *data) {
  struct mw_publish last = {.channel = {channel, strlen(channel)}, .data = {data, strlen(data)}, .is_final = true};
  char id[MW_ID_MAX];
  assert_int_equal(mw_publish(fixture.server, &last, id, NULL), 0);
  memcpy(fixture.ids[fixture.id_count++ % COUNT_OF(fixture.ids)], id, sizeof id);
  server_settle(fixture.server);
}

/* As a summary has it, which cuts at the first brace. */
#define END(channel) "{\"channel\":\"" channel "\" "

/* Also if the last message is none of what is told. */
static void tells_each_end(void **state) {
  (void)state;
  start();
  struct memory_peer *peer = &fixture.peers[0];
  publish("room:2", "0");
  publish_last("bare:1", "1");
  publish("room:2", "2");
  publish_last("room:1", "3");
  /* new subscribers get no messages here */
  get(peer, "channel=bare:1&channel=room:2&channel=room:1");
  assert_string_equal(summary(peer), END("bare:1") END("room:1"));
  get(peer, "channel=bare:1&channel=room:2&channel=room:1&since=0");
  assert_string_equal(summary(peer), "recovered 0 " END("bare:1") "2 3 " END("room:1"));
  get_since(peer, "channel=bare:1&channel=room:2", id_of(0));
  assert_string_equal(summary(peer), "not recovered gaps(\"bare:1\") " END("bare:1") "2 ");
  get(peer, "channel=bare:1&channel=room:2&since=rubbish");
  assert_string_equal(summary(peer), "not recovered gaps(\"bare:1\",\"room:2\") 0 " END("bare:1") "2 ");
  /* Once. */
  get_since(peer, "channel=bare:1&channel=room:2&wait=0", id_of(2));
  assert_string_equal(summary(peer), "recovered ");
  get_since(peer, "channel=bare:1", id_of(1));
  assert_string_equal(body_of(peer, 204), "");
  finish();
}

static void set_short_answers(struct mw_config_options *options) { options->limits.replay = 2; }

static void tells_ends_once_over_short_answers(void **state) {
  (void)state;
  start_with(set_short_answers);
  struct memory_peer *peer = &fixture.peers[0];
  publish("room:2", "0");
  publish("room:2", "1");
  publish_last("bare:1", "2");
  publish("room:2", "3");
  publish("room:2", "4");
  publish_last("room:2", "5");
  char since[64];
  static const char *const answers[] = {"recovered 0 1 " END("bare:1"), "recovered 3 4 ", "recovered 5 " END("room:2")};
  SET(since, "0");
  for (size_t i = 0; i < COUNT_OF(answers); i++) {
    get_since(peer, "channel=bare:1&channel=room:2", since);
    const char *body = body_of(peer, 200);
    SET(since, member(body, "id"));
    get_since(peer, "channel=bare:1&channel=room:2", i == 0 ? "0" : id_of(i == 1 ? 2 : 4));
    assert_string_equal(summary(peer), answers[i]);
  }
  get_since(peer, "channel=bare:1&channel=room:2", since);
  assert_string_equal(body_of(peer, 204), "");
  /* While they wait: the end belongs to the last message, whatever the limit. */
  const char *client = become(&fixture.peers[1], "channel=room:3&client=");
  get_since(peer, "channel=room:3", id_of(5));
  get_since(&fixture.peers[1], query_as(client, ""), id_of(5));
  publish_quietly("room:3", "6", false);
  publish_last("room:3", "7");
  assert_string_equal(summary(peer), "recovered 6 7 " END("room:3"));
  assert_string_equal(summary(&fixture.peers[1]), "recovered 6 7 " END("room:3"));
  finish();
}

static void says_when_it_is_over(void **state) {
  (void)state;
  start();
  struct memory_peer *peer = &fixture.peers[0], *other = &fixture.peers[1];
  publish("room:1", "1");
  char client[64];
  SET(client, become(other, "channel=room:1&client="));
  get_since(peer, "channel=room:1", id_of(0));
  get_since(other, query_as(client, "channel=room:1"), id_of(0));
  struct mw_publish last = {.channel = {"room:1", 6}, .data = {"2", 1}, .is_final = true};
  char id[MW_ID_MAX];
  assert_int_equal(mw_publish(fixture.server, &last, id, NULL), 0);
  server_settle(fixture.server);
  static const char end[] = "\"data\":2},{\"event\":\"moonwire:end\",\"data\":{\"channel\":\"room:1\"}}]}";
  const char *body = body_of(peer, 200);
  assert_string_equal(member(body, "id"), id);
  assert_non_null(strstr(body, end));
  assert_non_null(strstr(body_of(other, 200), end));
  /* Whoever comes later is told as well; whoever has seen it needs not come again. */
  get_since(peer, "channel=room:1", id_of(0));
  assert_non_null(strstr(body_of(peer, 200), end));
  get_since(peer, "channel=room:1", id);
  assert_string_equal(body_of(peer, 204), "");
  get_since(other, query_as(client, "channel=room:1"), id);
  assert_string_equal(body_of(other, 204), "");
  get_since(peer, "channel=room:1&client=", id);
  assert_string_equal(body_of(peer, 204), "");
  get_since(peer, "channel=room:1&channel=room:2", id);
  assert_string_equal(summary(peer), "nothing");
  /* It restarts. */
  publish("room:1", "3");
  assert_string_equal(summary(peer), "recovered 3 ");
  finish();
}

/* A since of the future is of another life; one that was handed out a moment ago is not, even if
 * the hub has not seen it. */
static void knows_the_future(void **state) {
  (void)state;
  start();
  struct memory_peer *peer = &fixture.peers[0];
  publish("room:1", "1");
  char future[MW_ID_MAX];
  memcpy(future, id_of(0), sizeof future);
  future[strlen(future) - 1] = '9';
  get_since(peer, "channel=room:1", future);
  assert_string_equal(summary(peer), "not recovered gaps(\"room:1\") 1 ");
  publish_quietly("room:1", "2", false);
  get_since(peer, "channel=room:1&wait=0", id_of(1));
  assert_string_equal(summary(peer), "recovered ");
  finish();
}

static void goes_on_where_it_was_cut_short(void **state) {
  (void)state;
  start();
  struct memory_peer *peer = &fixture.peers[0];
  for (int i = 0; i < 12345; i++) publish_quietly(i % 3 ? "big:1" : "big:2", "7", false);
  server_settle(fixture.server);
  char since[64] = "0";
  size_t got = 0, polls = 0;
  for (bool more = true; more; polls++) {
    get_since(peer, "channel=big:1&channel=big:2", since);
    const char *body = body_of(peer, 200);
    /* 256 KiB of messages, with commas, and a head. */
    assert_true(strlen(body) <= (256 << 10) + 10000);
    more = strstr(body, "\"more\":true,") != NULL;
    assert_true(!more || strlen(body) > (255 << 10));
    for (const char *at = body; (at = strstr(at, "\"data\":7")); at++) got++;
    SET(since, member(body, "id"));
  }
  assert_int_equal(got, 12345);
  assert_int_equal(polls, 4);
  assert_string_equal(since, id_of(12344));
  finish();
}

static void cuts_what_comes_at_once(void **state) {
  (void)state;
  start();
  struct memory_peer *peer = &fixture.peers[0];
  publish("big:1", "0");
  get_since(peer, "channel=big:1", id_of(0));
  static char large[(1 << 20) - 100];
  memset(large, '1', sizeof large - 1);
  for (int i = 0; i < 20; i++) publish_quietly("big:1", large, false);
  server_settle(fixture.server);
  const char *body = body_of(peer, 200);
  /* One in any case, and two would be too much. */
  assert_string_equal(member(body, "id"), id_of(1));
  assert_non_null(strstr(body, "\"more\":true,"));
  for (size_t n = 2; n <= 20; n++) {
    get_since(peer, "channel=big:1", id_of(n - 1));
    body = body_of(peer, 200);
    assert_string_equal(member(body, "id"), id_of(n));
    assert_int_equal(strstr(body, "\"more\":true,") != NULL, n < 20);
  }
  finish();
}

static void refuses(void **state) {
  (void)state;
  start();
  struct memory_peer *peer = &fixture.peers[0];
  get(peer, "");
  assert_non_null(strstr(body_of(peer, 400), "a channel is required"));
  get(peer, "client=");
  assert_non_null(strstr(body_of(peer, 400), "a channel is required"));
  get(peer, "channel=nowhere");
  body_of(peer, 404);
  static const char *const waits[] = {"-1", "", "1.5", "x", "0x1"};
  for (size_t i = 0; i < COUNT_OF(waits); i++) {
    char query[64];
    snprintf(query, sizeof query, "channel=room:1&wait=%s", waits[i]);
    get(peer, query);
    assert_non_null(strstr(body_of(peer, 400), "whole seconds"));
  }
  get_with(peer, "channel=room:1", "Origin: https://evil.example\r\n");
  body_of(peer, 403);
  get_with(peer, "channel=room:1", "Origin: https://listed.example\r\nIf-None-Match: *\r\n");
  const char *text = memory_peer_take(peer);
  assert_memory_equal(text, "HTTP/1.1 200 ", 13);
  assert_non_null(strstr(text, "\r\nAccess-Control-Allow-Origin: https://listed.example\r\n"));
  memory_peer_send_text(peer, "OPTIONS /poll HTTP/1.1\r\nHost: test\r\nOrigin: https://listed.example\r\n\r\n");
  text = memory_peer_take(peer);
  assert_non_null(strstr(text, "Access-Control-Allow-Methods: GET"));
  memory_peer_send_text(peer, "HEAD /poll?channel=room:1&client= HTTP/1.1\r\nHost: test\r\n\r\n");
  text = memory_peer_take(peer);
  assert_memory_equal(text, "HTTP/1.1 200 ", 13);
  assert_string_equal(strstr(text, "\r\n\r\n") + 4, "");
  assert_string_equal(asked(), "");
  finish();
}

static void notices_a_peer_that_goes(void **state) {
  (void)state;
  start();
  struct memory_peer *peer = &fixture.peers[0];
  publish("room:1", "1");
  get_since(peer, "channel=room:1&channel=room:2", id_of(0));
  assert_int_equal(mw_channel_count(fixture.server, "room:2", 6, NULL), 1);
  mw_memory_finish(peer->memory);
  server_settle(fixture.server);
  assert_int_equal(mw_channel_count(fixture.server, "room:2", 6, NULL), 0);
  assert_true(mw_memory_ended(peer->memory));
  finish();
}

static void answers_what_is_sent_ahead(void **state) {
  (void)state;
  start();
  struct memory_peer *peer = &fixture.peers[0];
  publish("room:1", "1");
  char text[4096];
  snprintf(text, sizeof text,
           "GET /health HTTP/1.1\r\nHost: test\r\n\r\nGET /poll?channel=room:1&since=%s HTTP/1.1\r\nHost: test\r\n\r\n"
           "GET /health HTTP/1.1\r\nHost: test\r\n\r\n",
           id_of(0));
  memory_peer_send_text(peer, text);
  assert_non_null(strstr(memory_peer_take(peer), "\"ok\""));
  publish("room:1", "2");
  const char *got = memory_peer_take(peer);
  assert_non_null(strstr(got, "\"data\":2"));
  assert_non_null(strstr(strstr(got, "\"data\":2"), "\"ok\""));
  finish();
}

static void answers_all_when_it_stops(void **state) {
  (void)state;
  start();
  struct memory_peer *peer = &fixture.peers[0], *other = &fixture.peers[1];
  publish("room:1", "1");
  get_since(peer, "channel=room:1", id_of(0));
  get(other, "channel=room:1&client=");
  const char *client = member(body_of(other, 200), "client");
  char query[128];
  snprintf(query, sizeof query, "channel=room:1&client=%s", client);
  get_since(other, query, id_of(0));
  assert_string_equal(summary(other), "nothing");
  publish_quietly("room:1", "2", false);
  mw_server_stop(fixture.server, NULL, NULL);
  server_settle(fixture.server);
  assert_string_equal(summary(peer), "recovered 2 ");
  assert_string_equal(summary(other), "recovered 2 ");
  assert_true(mw_memory_ended(peer->memory));
  finish();
}

static void asks_who_and_what(void **state) {
  (void)state;
  start_with(set_authenticate);
  struct memory_peer *peer = &fixture.peers[0];
  get(peer, "channel=hooks:1");
  body_of(peer, 401);
  assert_string_equal(asked(), "authenticate; ");
  get(peer, "channel=hooks:1&channel=room:1&token=ann");
  assert_string_equal(summary(peer), "");
  assert_string_equal(asked(), "authenticate; authorize hooks:1; ");
  fixture.refuse = 1u << MW_REQUEST_AUTHORIZE;
  get(peer, "channel=room:1&channel=hooks:1&token=ann");
  assert_non_null(strstr(body_of(peer, 403), "not you"));
  fixture.refuse = 0;
  /* Gone while the app thinks. */
  fixture.keep = 1u << MW_REQUEST_AUTHORIZE;
  get(peer, "channel=hooks:1&token=ann");
  mw_memory_finish(peer->memory);
  server_settle(fixture.server);
  answer_kept();
  assert_int_equal(mw_channel_count(fixture.server, "hooks:1", 7, NULL), 0);
  /* Too late. */
  get(&fixture.peers[1], "channel=hooks:1&token=ann");
  mw_server_advance(fixture.server, 32000);
  const char *text = memory_peer_take(&fixture.peers[1]);
  assert_memory_equal(text, "HTTP/1.1 503 ", 13);
  assert_non_null(strstr(text, "\r\nRetry-After: "));
  answer_kept();
  finish();
}

/* ---- With client= ---------------------------------------------------------------------------- */

static void lasts_from_poll_to_poll(void **state) {
  (void)state;
  start_with(set_hooks);
  struct memory_peer *peer = &fixture.peers[0];
  get(peer, "channel=hooks:1&channel=room:1&client=&since=0");
  const char *body = body_of(peer, 200);
  assert_non_null(strstr(body, "\"recovered\":true,\"client\":\""));
  assert_non_null(
      strstr(body, "\"channels\":{\"hooks:1\":{\"data\":{\"topic\":\"tea\"}},\"room:1\":{}},\"gaps\":[],\"messages\":[]}"));
  char client[64], since[64];
  SET(client, member(body, "client"));
  SET(since, member(body, "id"));
  assert_string_equal(asked(), "connect; authorize hooks:1; open hooks:1; join hooks:1; ");
  struct mw_client *found = mw_client_find(fixture.server, client, strlen(client));
  assert_non_null(found);
  assert_memory_equal(mw_client_transport(found).ptr, "poll", 4);
  mw_client_unref(found);
  /* Between polls nothing is lost that has an id. */
  publish("hooks:1", "1");
  publish("room:1", "2");
  get_since(peer, query_as(client, "channel=hooks:1&channel=room:1"), since);
  body = body_of(peer, 200);
  assert_null(strstr(body, "\"channels\""));
  assert_string_equal(member(body, "client"), client);
  assert_non_null(strstr(body, "\"data\":1}"));
  get_since(peer, query_as(client, "channel=hooks:1&channel=room:1"), id_of(1));
  assert_string_equal(summary(peer), "nothing");
  assert_int_equal(mw_channel_count(fixture.server, "room:1", 6, NULL), 1);
  publish("room:1", "3");
  assert_string_equal(summary(peer), "recovered 3 ");
  assert_string_equal(asked(), "");
  /* It has gone when it does not poll. */
  mw_server_advance(fixture.server, 29000);
  assert_string_equal(asked(), "");
  struct mw_stats stats;
  mw_server_stats(fixture.server, &stats);
  assert_int_equal(stats.poll_clients, 1);
  assert_int_equal(stats.connections, PEERS);
  mw_server_advance(fixture.server, 3000);
  assert_string_equal(asked(), "leave hooks:1; close hooks:1; disconnect; ");
  mw_server_stats(fixture.server, &stats);
  server_settle(fixture.server);
  mw_server_stats(fixture.server, &stats);
  assert_int_equal(stats.poll_clients, 0);
  /* Who comes too late is someone new, and has missed nothing all the same. */
  publish("room:1", "4");
  get_since(peer, query_as(client, "channel=hooks:1&channel=room:1"), id_of(2));
  body = body_of(peer, 200);
  assert_string_not_equal(member(body, "client"), client);
  assert_non_null(strstr(body, "\"recovered\":true"));
  assert_non_null(strstr(body, "\"data\":4"));
  finish();
}

static void does_not_expire_while_it_waits(void **state) {
  (void)state;
  start_with(set_hooks);
  struct memory_peer *peer = &fixture.peers[0];
  publish("room:1", "1");
  const char *client = become(peer, "channel=room:1&client=");
  for (int i = 0; i < 4; i++) {
    get_since(peer, query_as(client, "channel=room:1"), id_of(0));
    assert_string_equal(summary(peer), "nothing");
    mw_server_advance(fixture.server, 31000);
    assert_string_equal(summary(peer), "recovered ");
  }
  assert_string_equal(asked(), "connect; ");
  finish();
}

static void follows_the_query(void **state) {
  (void)state;
  start_with(set_hooks);
  struct memory_peer *peer = &fixture.peers[0];
  char client[64];
  SET(client, become(peer, "channel=hooks:1&client="));
  asked();
  publish("room:1", "1");
  get_since(peer, query_as(client, "channel=hooks:2&channel=room:1"), "0");
  assert_string_equal(summary(peer), "recovered 1 ");
  assert_string_equal(asked(), "leave hooks:1; close hooks:1; authorize hooks:2; open hooks:2; join hooks:2; ");
  /* No channel in the query: those that it has. */
  get_since(peer, query_as(client, "wait=0"), "0");
  assert_string_equal(summary(peer), "recovered 1 ");
  /* What the app gave is not the query's to take. */
  struct mw_client *found = mw_client_find(fixture.server, client, strlen(client));
  assert_int_equal(mw_client_subscribe(fixture.server, found, "room:9", 6), 0);
  server_settle(fixture.server);
  publish("room:9", "9");
  get_since(peer, query_as(client, "channel=hooks:2"), id_of(0));
  assert_string_equal(summary(peer), "recovered 9 ");
  assert_string_equal(asked(), "");
  /* One forbidden channel refuses the whole poll. */
  fixture.refuse = 1u << MW_REQUEST_AUTHORIZE;
  get_since(peer, query_as(client, "channel=hooks:3&channel=room:1"), id_of(0));
  assert_non_null(strstr(body_of(peer, 403), "not you"));
  get(peer, "channel=hooks:3&channel=room:1&client=");
  assert_non_null(strstr(body_of(peer, 403), "not you"));
  assert_string_equal(asked(), "leave hooks:2; close hooks:2; authorize hooks:3; connect; authorize hooks:3; disconnect; ");
  /* With the app's status, whatever its word for it. */
  fixture.refuse = 1u << MW_REQUEST_JOIN;
  fixture.code = "crowded";
  get(peer, "channel=hooks:3&client=");
  assert_non_null(strstr(body_of(peer, 403), "\"code\":\"crowded\""));
  mw_client_unref(found);
  finish();
}

static void gets_what_is_for_it_alone(void **state) {
  (void)state;
  start();
  struct memory_peer *peer = &fixture.peers[0];
  publish("room:1", "0");
  char client[64];
  SET(client, become(peer, "channel=room:1&client="));
  struct mw_client *found = mw_client_find(fixture.server, client, strlen(client));
  struct mw_publish push = {.event = {"hint", 4}, .data = {"2", 1}};
  publish("room:1", "1");
  assert_int_equal(mw_client_send(fixture.server, found, &push, NULL), 0);
  server_settle(fixture.server);
  publish("room:1", "3");
  publish_quietly("room:1", "4", true);
  server_settle(fixture.server);
  get_since(peer, query_as(client, ""), id_of(0));
  assert_string_equal(summary(peer), "recovered 1 2 3 4 "); /* each in its place */
  get_since(peer, query_as(client, ""), id_of(2));
  assert_string_equal(summary(peer), "nothing");
  assert_int_equal(mw_client_send(fixture.server, found, &push, NULL), 0);
  server_settle(fixture.server);
  assert_string_equal(summary(peer), "recovered 2 ");
  /* Its own words do not come back to it; those of others do. */
  struct mw_publish own = {.channel = {"room:1", 6}, .event = {"m", 1}, .data = {"5", 1}, .except = found};
  assert_int_equal(mw_publish(fixture.server, &own, NULL, NULL), 0);
  get_since(peer, query_as(client, "wait=0"), id_of(2));
  assert_string_equal(summary(peer), "recovered ");
  get_since(peer, "channel=room:1", id_of(2));
  assert_string_equal(summary(peer), "recovered 5 ");
  /* Put out of a channel it is told. */
  assert_int_equal(mw_client_unsubscribe(fixture.server, found, "room:1", 6, "kicked", "enough"), 0);
  server_settle(fixture.server);
  get_since(peer, query_as(client, ""), id_of(2));
  assert_non_null(strstr(body_of(peer, 200), "\"event\":\"moonwire:unsubscribed\""));
  assert_int_equal(mw_channel_count(fixture.server, "room:1", 6, NULL), 0);
  /* The app ends it: who waits is answered. */
  get_since(peer, query_as(client, ""), id_of(2));
  assert_int_equal(mw_client_close(fixture.server, found, 4403, "out"), 0);
  server_settle(fixture.server);
  assert_non_null(strstr(body_of(peer, 403), "\"reason\":\"out\""));
  assert_int_equal(mw_client_send(fixture.server, found, &push, NULL), MW_ECLOSED);
  mw_client_unref(found);
  finish();
}

static void bounds_what_waits_for_it(void **state) {
  (void)state;
  start_with(set_hooks);
  struct memory_peer *peer = &fixture.peers[0];
  const char *client = become(peer, "channel=room:1&client=");
  struct mw_client *found = mw_client_find(fixture.server, client, strlen(client));
  static char large[100 << 10];
  memset(large, '1', sizeof large - 1);
  /* Of what is volatile, only as much is kept as leaves room. */
  for (int i = 0; i < 30; i++) publish_quietly("room:1", large, true);
  server_settle(fixture.server);
  asked();
  get(peer, query_as(client, ""));
  assert_in_range(strlen(body_of(peer, 200)), sizeof large, 2 * sizeof large);
  /* Small ones weigh what their places do. */
  for (int i = 0; i < 4000; i++) publish_quietly("room:1", "1", true);
  get(peer, query_as(client, ""));
  size_t count = 0;
  for (const char *at = body_of(peer, 200); (at = strstr(at, "\"data\":1")); at++) count++;
  assert_in_range(count, 100, 600);
  struct mw_publish push = {.event = {"hint", 4}, .data = {large, sizeof large - 1}};
  for (int i = 0; i < 5; i++) assert_int_equal(mw_client_send(fixture.server, found, &push, NULL), 0);
  server_settle(fixture.server);
  assert_string_equal(asked(), "");
  for (int i = 0; i < 8; i++) mw_client_send(fixture.server, found, &push, NULL);
  server_settle(fixture.server);
  assert_string_equal(asked(), "disconnect; ");
  struct mw_stats stats;
  mw_server_stats(fixture.server, &stats);
  assert_int_equal(stats.slow_closed, 1);
  mw_client_unref(found);
  finish();
}

/* For a client, too, the subscription is over with its channel; what it has not seen, it still
 * gets. */
static void leaves_what_has_ended(void **state) {
  (void)state;
  start_with(set_hooks);
  struct memory_peer *peer = &fixture.peers[0], *sender = &fixture.peers[1];
  /* ends while no one polls; ends while one waits */
  static const char *const channels[] = {"hooks:1", "hooks:2"};
  for (size_t i = 0; i < COUNT_OF(channels); i++) {
    const char *channel = channels[i], *got;
    char query[64], client[64], fields[128], verb[128], expected[128];
    snprintf(query, sizeof query, "channel=%s&channel=room:1", channel);
    publish("room:1", "0");
    snprintf(expected, sizeof expected, "%s&client=", query);
    SET(client, become(peer, expected));
    snprintf(fields, sizeof fields, "X-Moonwire-Client: %s\r\n", client);
    size_t first = fixture.id_count - 1;
    asked();
    if (i == 1) get_since(peer, query_as(client, query), id_of(first));
    publish_last(channel, "1");
    snprintf(expected, sizeof expected, "leave %s; close %s; ", channel, channel);
    assert_string_equal(asked(), expected);
    assert_int_equal(mw_channel_count(fixture.server, channel, strlen(channel), NULL), 0);
    snprintf(verb, sizeof verb, "{\"send\":\"%s\",\"event\":\"say\",\"ref\":1}", channel);
    assert_int_equal(memory_peer_post(sender, "/send", fields, bytes_string(verb), &got), 403);
    assert_non_null(strstr(got, "not_subscribed"));
    snprintf(expected, sizeof expected, "recovered 1 " END("%s"), channel);
    if (i == 1) assert_string_equal(summary(peer), expected);
    /* However often it asks, as long as it has not seen it; and without asking for the channel. */
    get_since(peer, query_as(client, query), id_of(first));
    assert_string_equal(summary(peer), expected);
    get_since(peer, query_as(client, ""), id_of(first));
    assert_string_equal(summary(peer), expected);
    /* It is not joined again by the same query, nor does that keep it from waiting. */
    get_since(peer, query_as(client, query), id_of(first + 1));
    publish(channel, "2");
    assert_string_equal(summary(peer), "nothing");
    publish("room:1", "3");
    snprintf(expected, sizeof expected, "not recovered gaps(\"%s\") 3 ", channel);
    assert_string_equal(summary(peer), expected); /* it would go on behind 2 */
    assert_string_equal(asked(), "");
    /* What is behind the end is none of what it was subscribed to. */
    get_since(peer, query_as(client, "wait=0"), id_of(first));
    snprintf(expected, sizeof expected, "recovered 1 " END("%s") "3 ", channel);
    assert_string_equal(summary(peer), expected);
    /* It has begun anew. */
    get_since(peer, query_as(client, query), id_of(first + 1));
    body_of(peer, 200);
    snprintf(expected, sizeof expected, "authorize %s; open %s; join %s; ", channel, channel, channel);
    assert_string_equal(asked(), expected);
    get_since(peer, query_as(client, query), id_of(first + 1));
    assert_string_equal(summary(peer), "recovered 2 3 ");
    mw_server_advance(fixture.server, 32000);
    asked();
  }
  finish();
}

static void tells_ends_to_clients_by_every_way(void **state) {
  (void)state;
  start_with(set_hooks);
  struct memory_peer *peer = &fixture.peers[0], *sender = &fixture.peers[1];
  publish("room:1", "0");
  publish_last("hooks:1", "1");
  char client[64], fields[128];
  const char *got;
  /* A new subscriber. */
  get(peer, "channel=hooks:1&channel=room:1&client=");
  const char *body = body_of(peer, 200);
  SET(client, member(body, "client"));
  assert_non_null(strstr(body, "\"channels\":{\"hooks:1\":{\"data\":{\"topic\":\"tea\"}},\"room:1\":{}}"));
  assert_non_null(strstr(body, "\"messages\":[{\"event\":\"moonwire:end\",\"data\":{\"channel\":\"hooks:1\"}}]"));
  assert_string_equal(asked(), "connect; authorize hooks:1; open hooks:1; join hooks:1; leave hooks:1; close hooks:1; ");
  /* By a verb: at once, and what it had seen before does not matter. */
  snprintf(fields, sizeof fields, "X-Moonwire-Client: %s\r\n", client);
  get_since(peer, query_as(client, ""), id_of(1));
  assert_string_equal(summary(peer), "nothing");
  assert_int_equal(memory_peer_post(sender, "/send", fields, BYTES("{\"subscribe\":\"hooks:1\",\"ref\":1}"), &got), 200);
  assert_string_equal(summary(peer), "recovered " END("hooks:1"));
  assert_string_equal(asked(), "authorize hooks:1; open hooks:1; join hooks:1; leave hooks:1; close hooks:1; ");
  /* By its own last word, which does not come back to it: while it waits, and later. */
  struct mw_client *found = mw_client_find(fixture.server, client, strlen(client));
  struct mw_publish own = {.channel = {"room:1", 6}, .data = {"2", 1}, .except = found, .is_final = true};
  get_since(peer, query_as(client, ""), id_of(1));
  assert_int_equal(mw_publish(fixture.server, &own, NULL, NULL), 0);
  server_settle(fixture.server);
  assert_string_equal(summary(peer), "recovered " END("room:1"));
  get_since(peer, query_as(client, ""), id_of(1));
  assert_string_equal(summary(peer), "recovered " END("room:1"));
  mw_client_unref(found);
  finish();
}

static void lets_two_polls_be(void **state) {
  (void)state;
  start();
  struct memory_peer *older = &fixture.peers[0], *newer = &fixture.peers[1];
  publish("room:1", "1");
  char client[64];
  SET(client, become(older, "channel=room:1&client="));
  struct mw_client *found = mw_client_find(fixture.server, client, strlen(client));
  get_since(older, query_as(client, "channel=room:1"), id_of(0));
  get_since(newer, query_as(client, "channel=room:1"), id_of(0));
  const char *body = body_of(older, 200);
  assert_string_equal(member(body, "id"), id_of(0));
  assert_string_equal(summary(newer), "nothing");
  struct mw_publish push = {.event = {"hint", 4}, .data = {"2", 1}};
  assert_int_equal(mw_client_send(fixture.server, found, &push, NULL), 0);
  publish("room:1", "3");
  assert_string_equal(summary(newer), "recovered 2 3 ");
  /* Nothing is taken away by it: each gets what its own id asks for. */
  get_since(older, query_as(client, "channel=room:1"), id_of(0));
  assert_string_equal(summary(older), "recovered 3 ");
  /* The newer one goes: the client stays. */
  get_since(newer, query_as(client, ""), id_of(1));
  mw_memory_finish(newer->memory);
  server_settle(fixture.server);
  get_since(older, query_as(client, ""), id_of(0));
  assert_string_equal(summary(older), "recovered 3 ");
  mw_client_unref(found);
  finish();
}

static void is_of_one_user(void **state) {
  (void)state;
  start_with(set_authenticate);
  struct memory_peer *peer = &fixture.peers[0];
  char client[64];
  SET(client, become(peer, "channel=room:1&client=&token=ann"));
  publish("room:1", "1");
  get_since(peer, query_as(client, "token=bob"), "0");
  assert_non_null(strstr(body_of(peer, 403), "another user"));
  get_since(peer, query_as(client, "channel=room:1"), "0");
  body_of(peer, 401);
  get_since(peer, query_as(client, "token=ann"), "0");
  assert_string_equal(summary(peer), "recovered 1 ");
  /* No one else's id helps: neither of one that has gone, nor of a WebSocket. */
  get_since(peer, query_as("nobody", "channel=room:1&token=bob"), "0");
  assert_string_not_equal(member(body_of(peer, 200), "client"), client);
  finish();
}

static void acts_by_send(void **state) {
  (void)state;
  start();
  struct memory_peer *peer = &fixture.peers[0], *sender = &fixture.peers[1];
  publish("hooks:1", "0");
  char client[64], fields[128];
  const char *got;
  SET(client, become(peer, "channel=hooks:1&client="));
  snprintf(fields, sizeof fields, "X-Moonwire-Client: %s\r\n", client);
  assert_int_equal(memory_peer_post(sender, "/send", fields, BYTES("{\"send\":\"hooks:1\",\"event\":\"say\",\"ref\":1}"), &got),
                   200);
  assert_int_equal(memory_peer_post(sender, "/send", fields, BYTES("{\"send\":\"room:1\",\"event\":\"say\",\"ref\":1}"), &got),
                   403);
  assert_int_equal(memory_peer_post(sender, "/send", fields, BYTES("{\"subscribe\":\"room:1\"}"), &got), 200);
  asked();
  /* A verb that is with the app holds the join of a poll, and the other way round. */
  fixture.keep = 1u << MW_REQUEST_MESSAGE;
  memory_peer_send_text(sender, "");
  char text[512];
  const char *verb = "{\"send\":\"hooks:1\",\"event\":\"say\"}";
  snprintf(text, sizeof text, "POST /send HTTP/1.1\r\nHost: test\r\n%sContent-Length: %zu\r\n\r\n%s", fields, strlen(verb), verb);
  memory_peer_send_text(sender, text);
  get_since(peer, query_as(client, "channel=hooks:1&channel=hooks:2&wait=0"), id_of(0));
  assert_string_equal(asked(), "message hooks:1; ");
  assert_string_equal(summary(peer), "nothing");
  answer_kept();
  assert_string_equal(asked(), "authorize hooks:2; open hooks:2; join hooks:2; ");
  assert_string_equal(summary(peer), "recovered ");
  /* What was subscribed to by a verb stays. */
  publish("room:1", "1");
  get_since(peer, query_as(client, "channel=hooks:1&wait=0"), id_of(0));
  assert_string_equal(summary(peer), "recovered 1 ");
  finish();
}

/* Two polls that join the same channel: the app is asked once. */
static void joins_once(void **state) {
  (void)state;
  start();
  struct memory_peer *peer = &fixture.peers[0], *other = &fixture.peers[1], *third = &fixture.peers[2];
  publish("room:1", "0");
  char client[64];
  SET(client, become(peer, "channel=room:1&client="));
  fixture.keep = 1u << MW_REQUEST_JOIN;
  get_since(peer, query_as(client, "channel=hooks:1"), id_of(0));
  get_since(other, query_as(client, "channel=hooks:1"), id_of(0));
  get_since(third, query_as(client, "channel=hooks:1"), id_of(0));
  mw_memory_finish(third->memory);
  server_settle(fixture.server);
  answer_kept();
  assert_non_null(strstr(body_of(peer, 200), "\"topic\""));
  assert_string_equal(summary(other), "nothing"); /* waits */
  assert_string_equal(asked(), "authorize hooks:1; open hooks:1; join hooks:1; ");
  /* The client ends while one joins. */
  get_since(peer, query_as(client, "channel=hooks:1&channel=hooks:2"), id_of(0));
  struct mw_client *found = mw_client_find(fixture.server, client, strlen(client));
  mw_client_close(fixture.server, found, 4403, "out");
  server_settle(fixture.server);
  assert_memory_equal(memory_peer_take(peer), "HTTP/1.1 403 ", 13);
  answer_kept();
  assert_non_null(strstr(asked(), "leave hooks:2; "));
  mw_client_unref(found);
  finish();
}

/* The app speaks to a client that is still coming. */
static void holds_what_comes_early(void **state) {
  (void)state;
  start_with(set_hooks);
  struct memory_peer *peer = &fixture.peers[0];
  fixture.keep = 1u << MW_REQUEST_CONNECT;
  get(peer, "channel=room:1&client=");
  struct mw_client *client = mw_request_client(fixture.kept[0]);
  struct mw_publish push = {.event = {"welcome", 7}, .data = {"1", 1}};
  assert_int_equal(mw_client_send(fixture.server, client, &push, NULL), 0);
  answer_kept();
  char id[64];
  const char *body = body_of(peer, 200);
  SET(id, member(body, "client"));
  if (!strstr(body, "welcome")) {
    get_since(peer, query_as(id, ""), "0");
    assert_string_equal(summary(peer), "recovered 1 ");
  }
  /* Gone before it came. */
  get(peer, "channel=hooks:1&client=");
  asked();
  mw_memory_finish(peer->memory);
  server_settle(fixture.server);
  answer_kept();
  assert_string_equal(asked(), "disconnect; ");
  finish();
}

/* The server ends with everything in progress. */
static void leaves_nothing_behind(void **state) {
  (void)state;
  start_with(set_hooks);
  fixture.keep = 1u << MW_REQUEST_JOIN;
  publish("room:1", "1");
  const char *client = become(&fixture.peers[0], "channel=room:1&client=");
  get_since(&fixture.peers[0], query_as(client, "channel=room:1"), id_of(0));
  get_since(&fixture.peers[1], query_as(client, "channel=hooks:1"), id_of(0));
  get_since(&fixture.peers[2], "channel=room:1", id_of(0));
  publish_quietly("room:1", "2", false);
  for (size_t i = 0; i < PEERS; i++) memory_peer_close(&fixture.peers[i]);
  mw_server_free(fixture.server);
  answer(fixture.kept[0]);
}

int main(void) {
  static const struct CMUnitTest tests[] = {
      TEST(answers_newcomers_at_once),
      TEST(merges_by_position),
      TEST(waits_for_what_comes),
      TEST(ends_waiting_in_time),
      TEST(tells_each_end),
      TEST(tells_ends_once_over_short_answers),
      TEST(says_when_it_is_over),
      TEST(names_gaps),
      TEST(knows_the_future),
      TEST(goes_on_where_it_was_cut_short),
      TEST(cuts_what_comes_at_once),
      TEST(refuses),
      TEST(notices_a_peer_that_goes),
      TEST(answers_what_is_sent_ahead),
      TEST(answers_all_when_it_stops),
      TEST(asks_who_and_what),
      TEST(lasts_from_poll_to_poll),
      TEST(does_not_expire_while_it_waits),
      TEST(follows_the_query),
      TEST(gets_what_is_for_it_alone),
      TEST(bounds_what_waits_for_it),
      TEST(leaves_what_has_ended),
      TEST(tells_ends_to_clients_by_every_way),
      TEST(lets_two_polls_be),
      TEST(is_of_one_user),
      TEST(acts_by_send),
      TEST(joins_once),
      TEST(holds_what_comes_early),
      TEST(leaves_nothing_behind),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
