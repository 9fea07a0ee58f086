#include <stdlib.h>

#include "server/server.h"
#include "test/support.h"
#include "test/support/host.h"

enum { STREAM = 1u << MW_REQUEST_STREAM };

static struct host host;
static struct peer peer;

static int define(struct mw_config *config) { return mw_config_stream(config, "GET", "/raw/{x}", NULL); }
static void set(struct mw_config_options *options) { options->limits.outbox = 100000; }

static int begin(void **state) {
  int status = support_setup(state);
  assert_int_equal(host_begin(&host, &(struct host_options){.define = define, .set = set}), 0);
  peer_connect(&peer, &host);
  return status;
}

static int end(void **state) {
  peer_close(&peer);
  host_end(&host);
  while (host.kept_count > 0) host_answer(&host);
  return support_teardown(state);
}

static int send_event(const char *id, const char *event, const char *data) {
  struct mw_stream_event from = {.retry_ms = -1};
  if (id) from.id = (struct mw_bytes){id, strlen(id)};
  if (event) from.event = (struct mw_bytes){event, strlen(event)};
  if (data) from.data = (struct mw_bytes){data, strlen(data)};
  return mw_stream_send(host.streams[host.stream_count - 1], &from);
}

static void begin_stream(void) {
  peer_get(&peer, "/raw/1", "");
  host_until(&host, host.stream_count > 0 && peer_stream(&peer));
}

static void sends_events_as_they_are(void **state) {
  (void)state;
  begin_stream();
  assert_non_null(strstr(peer.in, "\r\nContent-Type: text/event-stream\r\n"));
  assert_int_equal(send_event("7", "tick", "a\nb"), 0);
  assert_int_equal(send_event(NULL, NULL, "not JSON"), 0);
  assert_int_equal(mw_stream_send(host.streams[0], &(struct mw_stream_event){.retry_ms = 500}), 0);
  host_until(&host, strstr(peer_stream(&peer), "retry: 500\n\n"));
  assert_non_null(strstr(peer_stream(&peer), "event: tick\ndata: a\ndata: b\nid: 7\n\ndata: not JSON\n\nretry: 500\n\n"));
}

static void refuses_what_would_break_the_stream(void **state) {
  (void)state;
  static char long_id[MW_STREAM_ID_MAX + 1];
  static const struct mw_stream_event bad[] = {
      {.id = {"a\nb", 3}, .retry_ms = -1},
      {.id = {"a\rb", 3}, .retry_ms = -1},
      {.id = {"a\0b", 3}, .retry_ms = -1},
      {.event = {"a\nb", 3}, .retry_ms = -1},
      {.event = {"a\rb", 3}, .retry_ms = -1},
      {.event = {"a\0b", 3}, .retry_ms = -1},
      {.data = {"\xff", 1}, .retry_ms = -1},
      {.event = {"\xff", 1}, .retry_ms = -1},
      /* No client can return with these: it sends another id, or is refused, which ends it. */
      {.id = {" a", 2}, .retry_ms = -1},
      {.id = {"a ", 2}, .retry_ms = -1},
      {.id = {" ", 1}, .retry_ms = -1},
      {.id = {"a\tb", 3}, .retry_ms = -1},
      {.id = {"a\fb", 3}, .retry_ms = -1},
      {.id = {"a\ab", 3}, .retry_ms = -1},
      {.id = {"a\x7f", 2}, .retry_ms = -1},
      {.id = {"\x1b[1m", 4}, .retry_ms = -1},
      {.id = {"\xc3\xa9", 2}, .retry_ms = -1},
      {.id = {"\xf0\x9f\x8c\x99", 4}, .retry_ms = -1},
      {.id = {"a\x80", 2}, .retry_ms = -1},
      {.id = {long_id, MW_STREAM_ID_MAX + 1}, .retry_ms = -1},
  };
  static const struct mw_stream_event good[] = {
      {.id = {"", 0}, .retry_ms = -1},  {.id = {"!", 1}, .retry_ms = -1},   {.id = {"a b", 3}, .retry_ms = -1},
      {.id = {"~", 1}, .retry_ms = -1}, {.id = {"a:b", 3}, .retry_ms = -1}, {.id = {long_id, MW_STREAM_ID_MAX}, .retry_ms = -1},
  };
  memset(long_id, 'x', sizeof long_id);
  begin_stream();
  for (size_t i = 0; i < COUNT_OF(bad); i++) assert_int_equal(mw_stream_send(host.streams[0], &bad[i]), MW_EINVAL);
  for (size_t i = 0; i < COUNT_OF(good); i++) assert_int_equal(mw_stream_send(host.streams[0], &good[i]), 0);
  assert_int_equal(send_event(NULL, NULL, "fine"), 0);
  host_until(&host, strcmp(peer_events(&peer), "fine ") == 0);
}

static void set_small_head(struct mw_config_options *options) { options->limits.head = 400; }

/* An id must leave room for the rest of the request that brings it back. */
static void an_id_fits_into_a_head(void **state) {
  (void)state;
  char id[102];
  memset(id, 'i', sizeof id);
  id[101] = '\0';
  peer_close(&peer);
  host_end(&host);
  assert_int_equal(host_begin(&host, &(struct host_options){.define = define, .set = set_small_head}), 0);
  peer_connect(&peer, &host);
  begin_stream();
  assert_int_equal(send_event(id, NULL, "x"), MW_EINVAL);
  id[100] = '\0';
  assert_int_equal(send_event(id, NULL, "x"), 0);
}

static void ends_behind_what_was_sent(void **state) {
  (void)state;
  begin_stream();
  for (unsigned n = 0; n < 50; n++) assert_int_equal(send_event(NULL, NULL, "x"), 0);
  mw_stream_close(host.streams[0]);
  mw_stream_close(host.streams[0]);
  assert_int_equal(send_event(NULL, NULL, "too late"), MW_ECLOSED);
  host_until(&host, peer_ended(&peer) && host.streams_closed);
  assert_int_equal(peer_count(&peer, "data: x\n"), 50);
  assert_memory_equal(peer.in + peer.len - 5, "0\r\n\r\n", 5);
  assert_false(peer.reset);
  assert_int_equal(host.streams_closed, 1);
}

static void tells_that_the_peer_has_gone(void **state) {
  (void)state;
  begin_stream();
  peer_close(&peer);
  host_until(&host, host.streams_closed);
  assert_int_equal(send_event(NULL, NULL, "x"), MW_ECLOSED);
  mw_stream_close(host.streams[0]);
  host_settle(&host);
  assert_int_equal(host.streams_closed, 1);
}

static void letting_go_closes(void **state) {
  (void)state;
  begin_stream();
  assert_int_equal(send_event(NULL, NULL, "last"), 0);
  mw_stream_unref(host.streams[0]);
  mw_stream_unref(NULL);
  host.stream_count = 0;
  host_until(&host, peer_ended(&peer));
  assert_non_null(strstr(peer_stream(&peer), "data: last\n\n"));
  host_until(&host, mw_live("request") == 0);
  assert_int_equal(host.streams_closed, 0); /* whoever let go wants to hear nothing */
}

static void may_begin_later_or_not_at_all(void **state) {
  (void)state;
  static const char body[] = "no such thing";
  struct mw_response response = {.status = 404, .body = {body, sizeof body - 1}, .content_type = {"text/plain", 10}};
  host.keep = STREAM;
  peer_get(&peer, "/raw/1", "");
  host_until(&host, host.kept_count == 1);
  host_settle(&host);
  assert_false(peer_has(&peer, "HTTP"));
  host_answer(&host);
  host_until(&host, peer_stream(&peer));
  assert_int_equal(send_event(NULL, NULL, "x"), 0);
  host_until(&host, strcmp(peer_events(&peer), "x ") == 0);
  peer_close(&peer);
  peer_connect(&peer, &host);
  peer_get(&peer, "/raw/2", "");
  host_until(&host, host.kept_count == 1);
  assert_int_equal(mw_request_respond(host.kept[0], &response, NULL), 0);
  host.kept_count = 0;
  host_until(&host, peer_has(&peer, body));
  assert_memory_equal(peer.in, "HTTP/1.1 404 ", 13);
}

static void who_left_before_it_began_is_known(void **state) {
  (void)state;
  struct mw_stream *stream = NULL;
  host.keep = STREAM;
  peer_get(&peer, "/raw/1", "");
  host_until(&host, host.kept_count == 1);
  peer_close(&peer);
  host_until(&host, strstr(host.trace, "cancel stream"));
  assert_int_equal(mw_request_stream(host.kept[0], NULL, &stream, NULL, NULL, NULL), MW_ECLOSED);
  host.kept_count = 0;
  host_until(&host, mw_live("request") == 0);
}

/* It leaves in the very turn in which the app begins: the stream is there, and over. */
static void who_leaves_as_it_begins_is_told(void **state) {
  (void)state;
  host.keep = STREAM;
  peer_get(&peer, "/raw/1", "");
  host_until(&host, host.kept_count == 1);
  peer_close(&peer);
  host_answer(&host);
  assert_int_equal(host.stream_count, 1);
  host_until(&host, host.streams_closed);
  assert_int_equal(send_event(NULL, NULL, "x"), MW_ECLOSED);
}

static void a_reader_that_is_too_slow_is_cut_off(void **state) {
  (void)state;
  static char data[50001];
  struct mw_stats stats;
  memset(data, 'x', sizeof data - 1);
  begin_stream();
  host_until(&host, send_event(NULL, NULL, data) == MW_ECLOSED);
  mw_server_stats(host.server, &stats);
  assert_int_equal(stats.slow_closed, 1);
  assert_int_equal(host.streams_closed, 1);
  host_until(&host, peer_ended(&peer));
}

static void a_silent_stream_shows_that_it_lives(void **state) {
  (void)state;
  host_pass(&host, 1);
  begin_stream();
  size_t len = strlen(peer_stream(&peer));
  host_pass(&host, 14000);
  assert_int_equal(strlen(peer_stream(&peer)), len);
  host_pass(&host, 2500);
  assert_string_equal(peer_stream(&peer) + len, ":\n");
  host_pass(&host, 10000);
  assert_int_equal(send_event(NULL, NULL, "x"), 0);
  host_settle(&host);
  host_pass(&host, 10000);
  /* what is said puts the next one off */
  assert_string_equal(peer_stream(&peer) + len, ":\ndata: x\n\n");
}

static void a_freed_server_ends_its_streams(void **state) {
  (void)state;
  begin_stream();
  mw_server_free(host.server);
  host.server = NULL;
  assert_int_equal(host.streams_closed, 1);
  assert_int_equal(send_event(NULL, NULL, "x"), MW_ECLOSED);
  mw_stream_close(host.streams[0]);
}

/* The app has begun it, and the worker does not know yet. */
static void also_those_that_have_hardly_begun(void **state) {
  (void)state;
  host.keep = STREAM;
  peer_get(&peer, "/raw/1", "");
  host_until(&host, host.kept_count == 1);
  host_answer(&host);
  assert_int_equal(host.stream_count, 1);
  mw_server_free(host.server);
  host.server = NULL;
  assert_int_equal(host.streams_closed, 1);
  assert_int_equal(send_event(NULL, NULL, "x"), MW_ECLOSED);
}

static struct mw_stream *pair[2];
static unsigned pair_closed;
static void on_one_closed(void *context) {
  (void)context;
  pair_closed++;
  mw_stream_close(pair[0]);
  mw_stream_close(pair[1]);
}

/* What an app does then, such as closing the others, is safe. */
static void the_end_of_one_may_end_another(void **state) {
  (void)state;
  struct peer other;
  host.keep = STREAM;
  peer_connect(&other, &host);
  peer_get(&peer, "/raw/1", "");
  peer_get(&other, "/raw/2", "");
  host_until(&host, host.kept_count == 2);
  for (size_t i = 0; i < 2; i++) assert_int_equal(mw_request_stream(host.kept[i], NULL, &pair[i], on_one_closed, NULL, NULL), 0);
  host.kept_count = 0;
  host_until(&host, peer_stream(&peer) && peer_stream(&other));
  pair_closed = 0;
  mw_server_free(host.server);
  host.server = NULL;
  assert_int_equal(pair_closed, 2);
  mw_stream_unref(pair[0]);
  mw_stream_unref(pair[1]);
  peer_close(&other);
}

/* A handler that has not begun its stream when the server stops may do so, and the stream ends with
 * that. */
static void one_that_begins_late_ends_with_the_server(void **state) {
  (void)state;
  host.keep = STREAM;
  peer_get(&peer, "/raw/1", "");
  host_until(&host, host.kept_count == 1);
  host_stop(&host);
  host_settle(&host);
  assert_int_equal(host.stops, 0);
  host_answer(&host);
  assert_int_equal(host.stream_count, 1);
  assert_int_equal(send_event(NULL, NULL, "x"), 0);
  host_until(&host, peer_ended(&peer) && host.streams_closed == 1);
  host_until(&host, host.stops == 1);
  assert_memory_equal(peer.in, "HTTP/1.1 200 OK\r\n", 17);
}

/* Any status but 200 ends an EventSource permanently, so what will pass is told as a stream that
 * ends. */
static void what_will_pass_is_put_off(void **state) {
  (void)state;
  unsigned retry;
  host.keep = STREAM;
  host.yields = true;
  host_pass(&host, 1);
  for (unsigned way = 0; way < 3; way++) {
    peer_get(&peer, "/raw/1", "");
    host_until(&host, host.kept_count == 1);
    if (way == 0) mw_request_refuse(host.kept[0], 503, "unavailable", "later");
    if (way == 0) host.kept_count = 0;
    if (way == 1) host_pass(&host, 33000);
    if (way == 2) host_stop(&host);
    if (way == 2) host_pass(&host, 5000); /* limits.drain_ms */
    host_until(&host, peer_ended(&peer));
    assert_memory_equal(peer.in, "HTTP/1.1 200 OK\r\n", 17);
    assert_int_equal(sscanf(peer_stream(&peer), "retry: %u\n\n", &retry), 1);
    peer_close(&peer);
    if (way < 2) peer_connect(&peer, &host);
  }
}

#define STREAMS_TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void) {
  mw_log_to(MW_LOG_ERROR, NULL, NULL);
  const struct CMUnitTest tests[] = {
      STREAMS_TEST(sends_events_as_they_are),
      STREAMS_TEST(refuses_what_would_break_the_stream),
      STREAMS_TEST(an_id_fits_into_a_head),
      STREAMS_TEST(ends_behind_what_was_sent),
      STREAMS_TEST(tells_that_the_peer_has_gone),
      STREAMS_TEST(letting_go_closes),
      STREAMS_TEST(may_begin_later_or_not_at_all),
      STREAMS_TEST(who_left_before_it_began_is_known),
      STREAMS_TEST(who_leaves_as_it_begins_is_told),
      STREAMS_TEST(a_reader_that_is_too_slow_is_cut_off),
      STREAMS_TEST(a_silent_stream_shows_that_it_lives),
      STREAMS_TEST(a_freed_server_ends_its_streams),
      STREAMS_TEST(also_those_that_have_hardly_begun),
      STREAMS_TEST(the_end_of_one_may_end_another),
      STREAMS_TEST(one_that_begins_late_ends_with_the_server),
      STREAMS_TEST(what_will_pass_is_put_off),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
