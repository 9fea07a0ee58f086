#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "http/http1/http1.h"
#include "server/server.h"
#include "test/support.h"
#include "test/support/host.h"

static struct host host;
static struct peer peer;
static char folder[64];

static int define(struct mw_config *config) {
  int status = mw_config_route(config, "GET", "/app/{x}", NULL);
  if (status >= 0) status = mw_config_route(config, "POST", "/app/{x}", NULL);
  if (status >= 0) status = mw_config_channel(config, "c:{x}", &(struct mw_channel_options){.history_size = 9}, NULL);
  return status < 0 ? status : mw_config_static(config, "/files", folder, NULL, NULL);
}

static void set(struct mw_config_options *options) {
  options->publish_key = "key";
  options->limits.body = 1000;
  options->limits.waiting = 4;
}

static int begin(void **state) {
  int status = support_setup(state);
  snprintf(folder, sizeof folder, "/tmp/moonwire-http-XXXXXX");
  assert_non_null(mkdtemp(folder));
  assert_int_equal(host_begin(&host, &(struct host_options){.set = set, .define = define}), 0);
  peer_connect(&peer, &host);
  return status;
}

static int end(void **state) {
  char path[80];
  peer_close(&peer);
  host_end(&host);
  snprintf(path, sizeof path, "%s/big", folder);
  unlink(path);
  rmdir(folder);
  return support_teardown(state);
}

static const char publish_head[] = "POST /publish HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer key\r\n";

/* The bodies of the answers so far, which are paths or JSON, must come in the order of `first` and
 * `second`. */
static void assert_before(const char *first, const char *second) {
  const char *a = strstr(peer.in, first), *b = strstr(peer.in, second);
  assert_non_null(a);
  assert_non_null(b);
  assert_true(a < b);
}

static void answers_one_request_after_the_other(void **state) {
  (void)state;
  for (unsigned n = 0; n < 5; n++) {
    char target[32];
    snprintf(target, sizeof target, "/app/%u", n);
    peer_get(&peer, target, "");
    host_until(&host, peer_has(&peer, target));
  }
  assert_int_equal(peer_count(&peer, "HTTP/1.1 200 OK\r\n"), 5);
  assert_int_equal(peer_count(&peer, "Connection: keep-alive\r\n"), 5);
  peer_get(&peer, "/app/last", "Connection: close\r\n");
  host_until(&host, peer_ended(&peer));
  assert_int_equal(peer_count(&peer, "Connection: close\r\n"), 1);
  assert_false(peer.reset);
}

static void answers_what_was_sent_ahead_in_order(void **state) {
  (void)state;
  char text[8192] = "";
  for (unsigned n = 0; n < 30; n++) {
    snprintf(text + strlen(text), sizeof text - strlen(text), "GET %s/%02u HTTP/1.1\r\nHost: t\r\n\r\n",
             n % 3 ? "/missing" : "/app", n);
  }
  peer_send(&peer, text);
  host_until(&host, peer_has(&peer, "/app/27") && peer_count(&peer, "HTTP/1.1 ") == 30);
  const char *at = peer.in;
  for (unsigned n = 0; n < 30; n++) {
    assert_non_null(at = strstr(at, "HTTP/1.1 "));
    assert_memory_equal(at, n % 3 ? "HTTP/1.1 404" : "HTTP/1.1 200", 12);
    at += 9;
  }
}

static void the_answers_of_a_turn_leave_together(void **state) {
  (void)state;
  char text[8192] = "";
  for (unsigned n = 0; n < 20; n++) {
    snprintf(text + strlen(text), sizeof text - strlen(text), "%sContent-Length: 22\r\n\r\n{\"channel\":\"c:1\"   %3u",
             publish_head, n);
    text[strlen(text) - 3] = '}';
    memset(text + strlen(text) - 2, ' ', 2);
  }
  peer_send(&peer, text);
  host_until(&host, peer_has(&peer, "HTTP/1.1 200 OK\r\n"));
  assert_int_equal(peer_count(&peer, "{\"id\":\""), 20); /* one read brought all of them */
}

static void a_half_closed_peer_gets_its_answers(void **state) {
  (void)state;
  /* Whole requests; an empty line, which may follow them; the beginning of one more; a body that is
   * not all there. */
  static const char *const tails[] = {"", "\r\n", "GET /he", "POST /publish HTTP/1.1\r\nHost: t\r\nContent-Length: 9\r\n\r\n{"};
  for (size_t i = 0; i < COUNT_OF(tails); i++) {
    char text[512];
    snprintf(text, sizeof text, "GET /health HTTP/1.1\r\nHost: t\r\n\r\nGET /missing HTTP/1.1\r\nHost: t\r\n\r\n%s", tails[i]);
    peer_send(&peer, text);
    peer_end_writing(&peer);
    host_until(&host, peer_ended(&peer));
    if (peer_count(&peer, "HTTP/1.1 ") != 2) print_error("with \"%s\" behind: \"%s\"\n", tails[i], peer.in ? peer.in : "");
    assert_int_equal(peer_count(&peer, "HTTP/1.1 200"), 1);
    assert_int_equal(peer_count(&peer, "HTTP/1.1 404"), 1);
    assert_false(peer.reset);
    peer_close(&peer);
    peer_connect(&peer, &host);
  }
}

static void a_half_closed_peer_gets_its_file(void **state) {
  (void)state;
  enum { LEN = 3000000 };
  char path[80], *content = malloc(LEN);
  memset(content, 'x', LEN);
  snprintf(path, sizeof path, "%s/big", folder);
  int fd = open(path, O_CREAT | O_WRONLY, 0600);
  assert_int_equal(write(fd, content, LEN), LEN);
  close(fd);
  free(content);
  /* Alone, and after an answer that is written while the file is being opened. */
  for (unsigned ahead = 0; ahead < 2; ahead++) {
    char text[200];
    snprintf(text, sizeof text, "%sGET /files/big HTTP/1.1\r\nHost: t\r\n\r\n",
             ahead ? "GET /health HTTP/1.1\r\nHost: t\r\n\r\n" : "");
    peer_send(&peer, text);
    peer_end_writing(&peer);
    host_until(&host, peer_ended(&peer));
    assert_int_equal(peer_count(&peer, "HTTP/1.1 200 OK\r\n"), 1 + ahead);
    assert_true(peer.len > LEN && peer.len < LEN + 1000);
    assert_false(peer.reset);
    peer_close(&peer);
    peer_connect(&peer, &host);
  }
}

static void a_file_has_the_type_of_its_name(void **state) {
  (void)state;
  static const struct {
    const char *name, *type;
  } cases[] = {{"page.html", "text/html; charset=utf-8"}, {"a.b.PDF", "application/pdf"}, {"html", "application/octet-stream"}};
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    char path[100], target[100], field[100];
    snprintf(path, sizeof path, "%s/%s", folder, cases[i].name);
    close(open(path, O_CREAT | O_WRONLY, 0600));
    snprintf(target, sizeof target, "/files/%s", cases[i].name);
    snprintf(field, sizeof field, "\r\nContent-Type: %s\r\n", cases[i].type);
    peer_get(&peer, target, "");
    host_until(&host, peer_has(&peer, "HTTP") && peer_count(&peer, "\r\n\r\n") == i + 1);
    assert_int_equal(peer_count(&peer, field), 1);
    unlink(path);
  }
}

/* Asks, and does not read, until the system takes no more answers: some wait while the next request
 * has begun. Returns how many were asked for. */
static size_t fill_with_answers(void) {
  size_t asked = 0;
  peer_send(&peer, "GET /he");
  for (;;) {
    for (unsigned n = 0; n < 10; n++, asked++) peer_send(&peer, "alth HTTP/1.1\r\nHost: t\r\n\r\nGET /he");
    host_settle(&host);
    const struct conn *conn = container_of(host.server->workers[0].http.conns.next, struct conn, link);
    assert_int_equal(http1_exchange(conn)->state, EXCHANGE_IDLE);
    if (http1_exchange(conn)->subscriber.outbox) return asked;
  }
}

static void a_half_closed_peer_gets_what_is_waiting(void **state) {
  (void)state;
  size_t asked = fill_with_answers();
  peer_end_writing(&peer);
  host_settle(&host);
  host_until(&host, peer_ended(&peer));
  assert_int_equal(peer_count(&peer, "HTTP/1.1 200 OK\r\n"), asked);
  assert_false(peer.reset);
}

static void a_stop_lets_answers_out(void **state) {
  (void)state;
  size_t asked = fill_with_answers();
  host_stop(&host);
  host_settle(&host);
  host_until(&host, peer_ended(&peer) && host.stops);
  assert_int_equal(peer_count(&peer, "HTTP/1.1 200 OK\r\n"), asked);
}

/* Waiting for the peer to read is not waiting for its next request. */
static void a_slow_reader_is_no_idle_one(void **state) {
  (void)state;
  host_pass(&host, 1);
  size_t asked = fill_with_answers();
  host_pass(&host, 12000);
  host_until(&host, peer_ended(&peer) || peer_count(&peer, "HTTP/1.1 200 OK\r\n") == asked);
  assert_int_equal(peer_count(&peer, "HTTP/1.1 200 OK\r\n"), asked);
}

static void answers_later_keep_the_order(void **state) {
  (void)state;
  host.keep = 1u << MW_REQUEST_HTTP;
  peer_get(&peer, "/app/1", "");
  peer_get(&peer, "/health", "");
  peer_get(&peer, "/app/2", "");
  host_until(&host, host.kept_count == 1);
  host_settle(&host);
  assert_int_equal(host.kept_count, 1); /* one at a time: what was sent ahead waits */
  assert_false(peer_has(&peer, "HTTP"));
  host_answer(&host);
  host_until(&host, host.kept_count == 1);
  host_answer(&host);
  host_until(&host, peer_has(&peer, "/app/2"));
  assert_before("/app/1", "{\"status\":\"ok\"}");
  assert_before("{\"status\":\"ok\"}", "/app/2");
}

/* What it sent ahead is bounded: then it is not read on. */
static void nobody_sends_ahead_without_end(void **state) {
  (void)state;
  static char text[60000];
  host.keep = 1u << MW_REQUEST_HTTP;
  peer_get(&peer, "/app/1", "");
  host_until(&host, host.kept_count == 1);
  fcntl(peer.fd, F_SETFL, O_NONBLOCK);
  memset(text, '\n', sizeof text);
  for (unsigned n = 0; n < 300; n++) {
    ssize_t sent = write(peer.fd, text, sizeof text);
    (void)sent; /* the system takes some of it, we not much */
    mw_server_step(host.server);
  }
  struct conn *conn = container_of(host.server->workers[0].http.conns.next, struct conn, link);
  assert_int_equal(host.server->workers[0].http.conn_count, 1);
  assert_true(mw_live("memory") < 1000);
  assert_false(http1_exchange(conn)->subscriber.flags & SUBSCRIBER_BROKEN);
  host.keep = 0;
  host_answer(&host);
  host_until(&host, peer_has(&peer, "/app/1"));
}

static void who_leaves_while_it_waits_is_cancelled(void **state) {
  (void)state;
  host.keep = 1u << MW_REQUEST_HTTP;
  peer_get(&peer, "/app/1", "");
  host_until(&host, host.kept_count == 1);
  peer_close(&peer);
  host_until(&host, strstr(host.trace, "cancel http /app/1; "));
  assert_true(mw_request_cancelled(host.kept[0]));
  host_answer(&host); /* still owed, and ignored */
  host_settle(&host);
  assert_int_equal(mw_live("conn"), 0);
  assert_int_equal(mw_live("request"), 0);
}

static void who_waits_too_long_is_told(void **state) {
  (void)state;
  host_pass(&host, 1);
  host.keep = 1u << MW_REQUEST_HTTP;
  host.yields = true;
  peer_get(&peer, "/app/1", "");
  host_until(&host, host.kept_count == 1);
  host_pass(&host, 29000);
  assert_false(peer_has(&peer, "HTTP"));
  host_pass(&host, 3000);
  host_until(&host, peer_has(&peer, "HTTP/1.1 503 "));
  assert_int_equal(host.kept_count, 0);
  host.keep = 0;
  peer_get(&peer, "/app/2", "");
  host_until(&host, peer_has(&peer, "/app/2"));
}

static void only_so_many_may_wait(void **state) {
  (void)state;
  struct peer peers[6];
  host.keep = 1u << MW_REQUEST_HTTP;
  for (size_t i = 0; i < 6; i++) {
    peer_connect(&peers[i], &host);
    peer_get(&peers[i], "/app/1", "");
    host_until(&host, i < 4 ? host.kept_count == i + 1 : peer_has(&peers[i], "HTTP/1.1 503 "));
  }
  while (host.kept_count > 0) host_answer(&host);
  for (size_t i = 0; i < 4; i++) host_until(&host, peer_has(&peers[i], "HTTP/1.1 200 "));
  peer_get(&peers[5], "/app/2", ""); /* there is room again */
  host_until(&host, host.kept_count == 1);
  host_answer(&host);
  host_until(&host, peer_has(&peers[5], "HTTP/1.1 200 "));
  for (size_t i = 0; i < 6; i++) peer_close(&peers[i]);
}

static void slow_heads_and_bodies_are_refused(void **state) {
  (void)state;
  static const struct {
    const char *text;
    uint64_t fine_ms, late_ms;
    const char *answer;
  } cases[] = {
      {"GET /he", 9000, 2500, "HTTP/1.1 408 "},
      {"POST /app/1 HTTP/1.1\r\nHost: t\r\nContent-Length: 9\r\n\r\n1234", 29000, 2500, "HTTP/1.1 408 "},
      {"", 9000, 2500, NULL},
      {"GET /health HTTP/1.1\r\nHost: t\r\n\r\n", 74000, 2500, "HTTP/1.1 200 "},
  };
  host_pass(&host, 1);
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    peer_close(&peer);
    peer_connect(&peer, &host);
    host_settle(&host);
    peer_send(&peer, cases[i].text);
    host_settle(&host);
    host_pass(&host, cases[i].fine_ms);
    assert_false(peer_ended(&peer));
    host_pass(&host, cases[i].late_ms);
    if (cases[i].answer) assert_true(peer_has(&peer, cases[i].answer));
    host_pass(&host, 4000); /* lingering, so that it can read us */
    host_until(&host, peer_ended(&peer));
    assert_false(peer.reset);
  }
}

/* The statuses that came must be the first of those that belong to what was asked, regardless of
 * what went wrong behind them. */
static bool ask_ahead(void *context) {
  static const char asked[] = "GET /health HTTP/1.1\r\nHost: t\r\n\r\nGET /missing HTTP/1.1\r\nHost: t\r\n\r\n"
                              "OPTIONS /sse HTTP/1.1\r\nHost: t\r\n\r\nDELETE /app/1 HTTP/1.1\r\nHost: t\r\n\r\n"
                              "POST /publish HTTP/1.1\r\nHost: t\r\n\r\nGET /health HTTP/1.1\r\nHost: t\r\n\r\n";
  static const char *const expected[] = {"200", "404", "204", "405", "411", "200"};
  struct peer asker;
  size_t count = 0;
  (void)context;
  peer_connect(&asker, &host);
  peer_send(&asker, asked);
  host_until(&host, peer_ended(&asker) || peer_count(&asker, "HTTP/1.1 ") == COUNT_OF(expected));
  for (const char *at = asker.in; at && (at = strstr(at, "HTTP/1.1 ")); at++, count++) {
    assert_memory_equal(at + 9, expected[count], 3);
  }
  peer_close(&asker);
  host_until(&host, mw_live("conn") == 1);
  return count == COUNT_OF(expected);
}

static void no_answer_is_passed_over(void **state) {
  (void)state;
  host_until(&host, mw_live("conn") == 1);
  assert_true(support_fail_each(ask_ahead, NULL) > 20);
}

#define HTTP_TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void) {
  mw_log_to(MW_LOG_ERROR + 1, NULL, NULL);
  const struct CMUnitTest tests[] = {
      HTTP_TEST(answers_one_request_after_the_other),
      HTTP_TEST(answers_what_was_sent_ahead_in_order),
      HTTP_TEST(the_answers_of_a_turn_leave_together),
      HTTP_TEST(a_half_closed_peer_gets_its_answers),
      HTTP_TEST(a_half_closed_peer_gets_its_file),
      HTTP_TEST(a_file_has_the_type_of_its_name),
      HTTP_TEST(a_half_closed_peer_gets_what_is_waiting),
      HTTP_TEST(a_stop_lets_answers_out),
      HTTP_TEST(a_slow_reader_is_no_idle_one),
      HTTP_TEST(answers_later_keep_the_order),
      HTTP_TEST(nobody_sends_ahead_without_end),
      HTTP_TEST(who_leaves_while_it_waits_is_cancelled),
      HTTP_TEST(who_waits_too_long_is_told),
      HTTP_TEST(only_so_many_may_wait),
      HTTP_TEST(slow_heads_and_bodies_are_refused),
      HTTP_TEST(no_answer_is_passed_over),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
