/* Raw streams that answer requests with bodies: their heads, and the channels that they follow. */
#include "server/server.h"
#include "test/support.h"
#include "test/support/host.h"

enum { STREAM = 1u << MW_REQUEST_STREAM };

static struct host host;
static struct peer peer;

static int define(struct mw_config *config) {
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
  host_until(&host, peer_stream(&peer));
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
  host_until(&host, peer_has(&peer, "not allowed"));
  assert_memory_equal(peer.in, "HTTP/1.1 403 ", 13);
  post("Origin: http://a\r\n");
  host_until(&host, host.kept_count == 1);
  host_answer(&host);
  host_until(&host, peer_has(&peer, "HTTP/1.1 200 "));
}

#define ANSWERS_TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void) {
  mw_log_to(MW_LOG_ERROR, NULL, NULL);
  const struct CMUnitTest tests[] = {
      ANSWERS_TEST(checks_the_head),
      ANSWERS_TEST(refuses_other_origins),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
