#include "codec/ws/ws_handshake.h"

#include "test/support.h"

#define KEY "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define UPGRADE "Upgrade: websocket\r\nConnection: Upgrade\r\n"
#define VERSION "Sec-WebSocket-Version: 13\r\n"
#define GET "GET /ws HTTP/1.1\r\nHost: a\r\n"

static const struct http_limits limits = {.target = 1000, .head = 4000, .fields = 30, .body = 100};

/* The head of a request is what the reader makes of it. */
static struct http_reader *read_head(const char *text) {
  size_t used;
  struct http_reader *reader = http_reader_new(&limits);
  if (http_reader_next(reader, bytes_string(text), &used) != HTTP_HEAD) fail_msg("no request: %s", text);
  return reader;
}

static void accepts_what_is_right(void **state) {
  (void)state;
  static const char *const requests[] = {
      GET UPGRADE VERSION KEY "\r\n",
      GET "UPGRADE: h2c, WebSocket\r\nConnection: keep-alive, upgrade\r\n" VERSION KEY "\r\n",
      GET "Upgrade: h2c\r\nUpgrade: websocket\r\nUpgrade: other\r\nConnection: Upgrade\r\nConnection: keep-alive\r\n" VERSION KEY
          "\r\n",
      GET "Connection: x\r\nConnection: UPGRADE\r\nUpgrade: websocket\r\n" VERSION
          "sec-websocket-KEY: AAAAAAAAAAAAAAAAAAAA+w==\r\n\r\n",
      GET UPGRADE VERSION KEY "Content-Length: 0\r\nSec-WebSocket-Extensions: permessage-deflate\r\nOrigin: http://a\r\n\r\n",
      GET UPGRADE VERSION KEY "Sec-WebSocket-Protocol: a, b\r\nSec-WebSocket-Protocol: c\r\n\r\n",
      GET UPGRADE VERSION KEY "Sec-WebSocket-Protocol: ,\r\n\r\n",
  };
  for (size_t i = 0; i < COUNT_OF(requests); i++) {
    struct http_reader *reader = read_head(requests[i]);
    struct bytes key;
    struct http_error error = ws_handshake_check(http_reader_head(reader), &key);
    if (error.status) print_error("%s", requests[i]);
    assert_null(error.reason);
    assert_int_equal(error.status, 0);
    assert_int_equal(key.len, 24);
    http_reader_free(reader);
  }
}

static void refuses_what_is_wrong(void **state) {
  (void)state;
  static const struct {
    const char *request;
    int status;
    const char *reason;
  } cases[] = {
      {"POST /ws HTTP/1.1\r\nHost: a\r\n" UPGRADE VERSION KEY "\r\n", 405, "a WebSocket must be opened with GET"},
      {"HEAD /ws HTTP/1.1\r\nHost: a\r\n" UPGRADE VERSION KEY "\r\n", 426,
       "this endpoint accepts only WebSocket: \"Upgrade: websocket\" is missing (a proxy must forward Upgrade and Connection)"},
      {"GET /ws HTTP/1.0\r\n" UPGRADE VERSION KEY "\r\n", 426,
       "a WebSocket needs HTTP/1.1 (a proxy must not forward it as HTTP/1.0)"},
      {GET "\r\n", 426,
       "this endpoint accepts only WebSocket: \"Upgrade: websocket\" is missing (a proxy must forward Upgrade and Connection)"},
      {GET "Connection: Upgrade\r\n" VERSION KEY "\r\n", 426,
       "this endpoint accepts only WebSocket: \"Upgrade: websocket\" is missing (a proxy must forward Upgrade and Connection)"},
      {GET "Upgrade: h2c\r\nConnection: Upgrade\r\n" VERSION KEY "\r\n", 426,
       "this endpoint accepts only WebSocket: \"Upgrade: websocket\" is missing (a proxy must forward Upgrade and Connection)"},
      {GET "Upgrade: websockets\r\nConnection: Upgrade\r\n" VERSION KEY "\r\n", 426,
       "this endpoint accepts only WebSocket: \"Upgrade: websocket\" is missing (a proxy must forward Upgrade and Connection)"},
      {GET "Upgrade: websocket\r\n" VERSION KEY "\r\n", 400,
       "\"Connection: Upgrade\" is missing (a proxy must forward Upgrade and Connection)"},
      {GET "Upgrade: websocket\r\nConnection: keep-alive\r\n" VERSION KEY "\r\n", 400,
       "\"Connection: Upgrade\" is missing (a proxy must forward Upgrade and Connection)"},
      {GET UPGRADE KEY "\r\n", 426, "unsupported Sec-WebSocket-Version; use 13"},
      {GET UPGRADE KEY "Sec-WebSocket-Version: 8\r\n\r\n", 426, "unsupported Sec-WebSocket-Version; use 13"},
      {GET UPGRADE KEY "Sec-WebSocket-Version: 013\r\n\r\n", 426, "unsupported Sec-WebSocket-Version; use 13"},
      {GET UPGRADE KEY "Sec-WebSocket-Version: 13, 8\r\n\r\n", 426, "unsupported Sec-WebSocket-Version; use 13"},
      {GET UPGRADE KEY VERSION VERSION "\r\n", 400, "more than one Sec-WebSocket-Version header"},
      {GET UPGRADE VERSION "\r\n", 400, "missing Sec-WebSocket-Key header"},
      {GET UPGRADE VERSION KEY KEY "\r\n", 400, "more than one Sec-WebSocket-Key header"},
      {GET UPGRADE VERSION "Sec-WebSocket-Key:\r\n\r\n", 400, "Sec-WebSocket-Key must be 16 bytes in base64"},
      {GET UPGRADE VERSION "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=\r\n\r\n", 400,
       "Sec-WebSocket-Key must be 16 bytes in base64"},
      {GET UPGRADE VERSION "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ===\r\n\r\n", 400,
       "Sec-WebSocket-Key must be 16 bytes in base64"},
      {GET UPGRADE VERSION "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZR==\r\n\r\n", 400,
       "Sec-WebSocket-Key must be 16 bytes in base64"},
      {GET UPGRADE VERSION "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQA=\r\n\r\n", 400,
       "Sec-WebSocket-Key must be 16 bytes in base64"},
      {GET UPGRADE VERSION "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=A\r\n\r\n", 400,
       "Sec-WebSocket-Key must be 16 bytes in base64"},
      {GET UPGRADE VERSION "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQAA\r\n\r\n", 400,
       "Sec-WebSocket-Key must be 16 bytes in base64"},
      {GET UPGRADE VERSION "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25-ZQ==\r\n\r\n", 400,
       "Sec-WebSocket-Key must be 16 bytes in base64"},
      {GET UPGRADE VERSION "Sec-WebSocket-Key: dGhlIHNhbXBs=SBub25jZQ==\r\n\r\n", 400,
       "Sec-WebSocket-Key must be 16 bytes in base64"},
      {GET UPGRADE VERSION KEY "Sec-WebSocket-Protocol: a b\r\n\r\n", 400, "malformed Sec-WebSocket-Protocol header"},
      {GET UPGRADE VERSION KEY "Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol: b, \"c\"\r\n\r\n", 400,
       "malformed Sec-WebSocket-Protocol header"},
      {GET UPGRADE VERSION KEY "Sec-WebSocket-Extensions: permessage-deflate;\r\n\r\n", 400,
       "malformed Sec-WebSocket-Extensions header"},
  };
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    struct http_reader *reader = read_head(cases[i].request);
    struct bytes key = BYTES("untouched");
    struct http_error error = ws_handshake_check(http_reader_head(reader), &key);
    if (error.status != cases[i].status) print_error("%s", cases[i].request);
    assert_int_equal(error.status, cases[i].status);
    assert_string_equal(error.reason, cases[i].reason);
    assert_null(key.ptr);
    http_reader_free(reader);
  }
}

static void says_which_fields_a_refusal_has(void **state) {
  (void)state;
  const struct http_field *fields;
  assert_int_equal(ws_handshake_fields(400, &fields), 0);
  assert_int_equal(ws_handshake_fields(405, &fields), 1);
  assert_bytes_string(fields[0].name, "Allow");
  assert_bytes_string(fields[0].value, "GET, HEAD, OPTIONS");
  assert_int_equal(ws_handshake_fields(426, &fields), 3);
  assert_bytes_string(fields[0].name, "Upgrade");
  assert_bytes_string(fields[0].value, "websocket");
  assert_bytes_string(fields[1].name, "Connection");
  assert_bytes_string(fields[1].value, "Upgrade");
  assert_bytes_string(fields[2].name, "Sec-WebSocket-Version");
  assert_bytes_string(fields[2].value, "13");
}

static void walks_the_subprotocols(void **state) {
  (void)state;
  struct http_reader *reader = read_head(GET "Sec-WebSocket-Protocol: a , b\r\nX: c\r\nsec-websocket-protocol:\r\n"
                                             "SEC-WEBSOCKET-PROTOCOL: ,, moonwire.1,a,\r\nSec-WebSocket-Protocols: d\r\n\r\n");
  static const char *const expected[] = {"a", "b", "moonwire.1", "a"};
  struct ws_offers cursor = {0};
  struct bytes protocol;
  for (size_t i = 0; i < COUNT_OF(expected); i++) {
    assert_true(ws_handshake_offer(http_reader_head(reader), &cursor, &protocol));
    assert_bytes_string(protocol, expected[i]);
  }
  assert_false(ws_handshake_offer(http_reader_head(reader), &cursor, &protocol));
  assert_false(ws_handshake_offer(http_reader_head(reader), &cursor, &protocol));
  http_reader_free(reader);
}

/* The example of RFC 6455 section 1.3. */
static void proves_that_it_has_read_the_key(void **state) {
  (void)state;
  char accept[WS_ACCEPT_LEN + 1];
  assert_true(ws_handshake_accept(accept, BYTES("dGhlIHNhbXBsZSBub25jZQ==")));
  assert_string_equal(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(accepts_what_is_right),  TEST(refuses_what_is_wrong),           TEST(says_which_fields_a_refusal_has),
      TEST(walks_the_subprotocols), TEST(proves_that_it_has_read_the_key),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
