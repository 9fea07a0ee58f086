/* Raw streams that answer requests with bodies: their heads, and the channels that they follow. */
#include "server/server.h"
#include "test/support.h"
#include "test/support/host.h"

enum { STREAM = 1u << MW_REQUEST_STREAM };

static struct host host;
static struct peer peer;

static int define(struct mw_config *config) {
  struct mw_channel_options kept = {.history_size = 100},
                            hooked = {.history_size = 100, .hooks = MW_HOOK_OPEN | MW_HOOK_AUTHORIZE};
  if (mw_config_channel(config, "kept:{x}", &kept, NULL) < 0) return MW_EINVAL;
  if (mw_config_channel(config, "hooked:{x}", &hooked, NULL) < 0) return MW_EINVAL;
  int status = mw_config_stream(config, "POST", "/ask", NULL);
  return status < 0 ? status : mw_config_own_origins(config, status);
}

static int begin(void **state) {
  int status = support_setup(state);
  assert_int_equal(host_begin(&host, &(struct host_options){.define = define}), 0);
  host.keep = STREAM;
  peer_connect(&peer, &host);
  return status;
}

static int end(void **state) {
  peer_close(&peer);
  host_end(&host);
  while (host.kept_count > 0) host_answer(&host);
  return support_teardown(state);
}

static void post(const char *fields) {
  peer_send(&peer, "POST /ask HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n");
  peer_send(&peer, fields);
  peer_send(&peer, "\r\nwhat");
}

static struct mw_http_field field(const char *name, const char *value) {
  return (struct mw_http_field){.name = {name, strlen(name)}, .value = {value, strlen(value)}};
}

/* What cannot be sent leaves the request to be answered in another way. */
static void checks_the_head(void **state) {
  (void)state;
  static const int statuses[] = {0, 100, 101, 199, 204, 205, 304, 600, -1};
  const struct mw_http_field bad[] = {
      field("X-A", "a\r\nX-B: b"),  field("X-A", "a\nb"), field("X A", "a"),           field("", "a"),
      field("Content-Type", "a/b"), field("date", "now"), field("connection", "close")};
  struct mw_stream *stream = NULL;
  struct mw_error error;
  post("");
  host_until(&host, host.kept_count == 1);
  struct mw_request *request = host.kept[0];
  assert_memory_equal(mw_request_http(request)->body.ptr, "what", 4);
  for (size_t i = 0; i < COUNT_OF(statuses); i++) {
    error.text[0] = '\0';
    struct mw_response head = {.status = statuses[i]};
    assert_int_equal(mw_request_stream(request, &head, &stream, NULL, NULL, &error), MW_EINVAL);
    assert_non_null(strstr(error.text, "status"));
    assert_int_equal(mw_request_stream(request, &head, &stream, NULL, NULL, NULL), MW_EINVAL);
  }
  for (size_t i = 0; i < COUNT_OF(bad); i++) {
    error.text[0] = '\0';
    struct mw_response head = {.status = 200, .fields = &bad[i], .field_count = 1};
    assert_int_equal(mw_request_stream(request, &head, &stream, NULL, NULL, &error), MW_EINVAL);
    assert_non_null(strstr(error.text, "header"));
  }
  struct mw_response body = {.status = 200, .body = {"x", 1}}, type = {.status = 200, .content_type = {"a/b", 3}};
  assert_int_equal(mw_request_stream(request, &body, &stream, NULL, NULL, &error), MW_EINVAL);
  assert_int_equal(mw_request_stream(request, &type, &stream, NULL, NULL, &error), MW_EINVAL);
  const struct mw_http_field good[] = {field("X-A", "one"), field("cache-control", "private"), field("X-A", "two")};
  struct mw_response head = {.status = 202, .fields = good, .field_count = 3};
  assert_int_equal(mw_request_stream(request, &head, &stream, NULL, NULL, &error), 0);
  host.kept_count = 0;
  host_until(&host, peer_has(&peer, "\r\n\r\n"));
  assert_memory_equal(peer.in, "HTTP/1.1 202 ", 13);
  assert_non_null(strstr(peer.in, "\r\nX-A: one\r\n"));
  assert_non_null(strstr(peer.in, "\r\nX-A: two\r\n"));
  assert_non_null(strstr(peer.in, "\r\ncache-control: private\r\n"));
  assert_null(strstr(peer.in, "no-transform"));
  assert_non_null(strstr(peer.in, "\r\nContent-Type: text/event-stream\r\n"));
  mw_stream_unref(stream);
  host_until(&host, peer_ended(&peer));
}

static void refuses_other_origins(void **state) {
  (void)state;
  post("Origin: http://b\r\n");
  host_until(&host, peer_has(&peer, "option origins"));
  assert_memory_equal(peer.in, "HTTP/1.1 403 ", 13);
  post("Origin: http://a\r\n");
  host_until(&host, host.kept_count == 1);
  host_answer(&host);
  host_until(&host, peer_has(&peer, "HTTP/1.1 200 "));
}

/* ---- Following ------------------------------------------------------------------------------- */

static struct mw_stream *stream;
static struct mw_follow *follow;
static int outcome;

static void on_done(void *context, int status) {
  (void)context;
  outcome = status;
}

static void begin_answer(void) {
  stream = NULL;
  follow = NULL;
  outcome = 1;
  post("");
  host_until(&host, host.kept_count == 1);
  assert_int_equal(mw_request_stream(host.kept[0], NULL, &stream, NULL, NULL, NULL), 0);
  host.kept_count = 0;
  host_until(&host, peer_stream(&peer));
}

static void end_answer(void) {
  mw_follow_unref(follow);
  mw_stream_unref(stream);
  host_settle(&host);
}

static int follow_channel(const char *name, const char *since, bool until_final) {
  struct mw_follow_options options = {.channel = {name, strlen(name)}, .until_final = until_final};
  if (since) options.since = (struct mw_bytes){since, strlen(since)};
  return mw_stream_follow(stream, &options, &follow, on_done, NULL);
}

static void publish_final(const char *channel, const char *data) {
  struct mw_publish push = {.channel = {channel, strlen(channel)}, .data = {data, strlen(data)}, .is_final = true};
  assert_int_equal(mw_publish(host.server, &push, NULL, NULL), 0);
}

static size_t subscriptions(void) {
  struct mw_stats stats;
  mw_server_stats(host.server, &stats);
  return (size_t)stats.subscriptions;
}

static void follows_to_the_final_message(void **state) {
  (void)state;
  assert_int_equal(host_publish(&host, "hooked:a", "1"), 0);
  begin_answer();
  assert_int_equal(follow_channel("hooked:a", NULL, true), 0);
  host_until(&host, peer_has(&peer, "data: 1\n"));
  assert_int_equal(host_publish(&host, "hooked:a", "2"), 0);
  host_until(&host, peer_has(&peer, "data: 2\n"));
  assert_int_equal(outcome, 1);
  publish_final("hooked:a", "3");
  host_until(&host, outcome != 1);
  assert_int_equal(outcome, 0);
  host_until(&host, peer_has(&peer, "data: 3\n"));
  assert_int_equal(subscriptions(), 0);
  /* no hook was called, and the app alone says what follows */
  assert_null(strstr(host.trace, "open"));
  assert_null(strstr(host.trace, "authorize"));
  host_settle(&host);
  assert_null(strstr(peer.in, "moonwire:"));
  end_answer();
  host_until(&host, peer_ended(&peer));
}

static void refuses_what_cannot_be_followed(void **state) {
  (void)state;
  begin_answer();
  assert_int_equal(follow_channel("none:a", NULL, true), MW_ENOTFOUND);
  assert_int_equal(follow_channel("", NULL, true), MW_EINVAL);
  assert_int_equal(follow_channel("kept:a", NULL, true), 0);
  struct mw_follow *first = follow;
  assert_int_equal(follow_channel("kept:b", NULL, true), MW_ELIMIT);
  follow = first;
  end_answer();
  peer_close(&peer);
  peer_connect(&peer, &host);
  begin_answer();
  mw_stream_close(stream);
  assert_int_equal(follow_channel("kept:a", NULL, true), MW_ECLOSED);
  follow = NULL;
  end_answer();
}

static void is_released_and_begins_again(void **state) {
  (void)state;
  begin_answer();
  assert_int_equal(follow_channel("kept:a", NULL, false), 0);
  host_until(&host, subscriptions() == 1);
  mw_follow_unref(follow);
  assert_int_equal(follow_channel("kept:b", NULL, false), 0);
  assert_int_equal(host_publish(&host, "kept:a", "1"), 0);
  assert_int_equal(host_publish(&host, "kept:b", "2"), 0);
  host_until(&host, peer_has(&peer, "data: 2\n"));
  assert_int_equal(outcome, 1);
  /* Released before the worker has it. */
  mw_follow_unref(follow);
  assert_int_equal(follow_channel("kept:b", NULL, false), 0);
  mw_follow_unref(follow);
  follow = NULL;
  host_until(&host, subscriptions() == 0);
  end_answer();
  assert_int_equal(outcome, 1);
}

static void ends_with_the_peer(void **state) {
  (void)state;
  begin_answer();
  assert_int_equal(follow_channel("kept:a", NULL, true), 0);
  host_until(&host, subscriptions() == 1);
  peer_close(&peer);
  host_until(&host, outcome != 1);
  assert_int_equal(outcome, MW_ECLOSED);
  assert_int_equal(subscriptions(), 0);
  end_answer();
}

static void ends_with_the_stream(void **state) {
  (void)state;
  begin_answer();
  assert_int_equal(follow_channel("kept:a", NULL, true), 0);
  mw_stream_close(stream);
  host_until(&host, outcome != 1);
  assert_int_equal(outcome, MW_ECLOSED);
  end_answer();
}

static void a_freed_server_releases_it(void **state) {
  (void)state;
  begin_answer();
  assert_int_equal(follow_channel("kept:a", NULL, true), 0);
  mw_follow_unref(follow);
  follow = NULL;
  assert_int_equal(follow_channel("kept:b", NULL, true), 0);
  end_answer();
}

static void tells_a_gap_of_an_unknown_id(void **state) {
  (void)state;
  assert_int_equal(host_publish(&host, "kept:a", "1"), 0);
  begin_answer();
  assert_int_equal(follow_channel("kept:a", "another-000000000001", true), 0);
  host_until(&host, peer_has(&peer, "data: 1\n"));
  const char *gap = strstr(peer.in, "event: moonwire:gap\ndata: {\"channel\":\"kept:a\"}\n\n");
  assert_non_null(gap);
  assert_true(gap < strstr(peer.in, "data: 1\n"));
  end_answer();
}

#define ANSWERS_TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void) {
  mw_log_to(MW_LOG_ERROR, NULL, NULL);
  const struct CMUnitTest tests[] = {
      ANSWERS_TEST(checks_the_head),
      ANSWERS_TEST(refuses_other_origins),
      ANSWERS_TEST(follows_to_the_final_message),
      ANSWERS_TEST(refuses_what_cannot_be_followed),
      ANSWERS_TEST(is_released_and_begins_again),
      ANSWERS_TEST(ends_with_the_peer),
      ANSWERS_TEST(ends_with_the_stream),
      ANSWERS_TEST(a_freed_server_releases_it),
      ANSWERS_TEST(tells_a_gap_of_an_unknown_id),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
