/* Heads of HTTP/1, byte for byte. */
#include "http/http1/http1_head.h"

#include "codec/http/http_writer.h"
#include "test/support.h"

#define DATE "Date: Sat, 29 Feb 2020 12:00:00 GMT\r\n"
enum { SECONDS = 1582977600 };

static void fields_and_what_delimits_the_body(void **state) {
  (void)state;
  struct buffer out = {0};
  struct http_fields more;
  http_fields_init(&more);
  http_fields_add(&more, BYTES("Vary"), BYTES("Origin"));
  struct http1_head head = {
      .status = 200, .wall_ms = SECONDS * 1000ull, .fields = &http_fields_no_store, .more = &more, .keep_alive = true};
  http1_write_head(&out, &head);
  http1_write_length(&out, 5000000000);
  http_write_end(&out);
  assert_bytes_string(buffer_bytes(&out), "HTTP/1.1 200 OK\r\n" DATE "Cache-Control: no-store\r\nVary: Origin\r\n"
                                          "Connection: keep-alive\r\nContent-Length: 5000000000\r\n\r\n");
  buffer_clear(&out);
  http1_write_head(&out, &(struct http1_head){.status = 404, .wall_ms = SECONDS * 1000ull});
  http_write_end(&out);
  assert_bytes_string(buffer_bytes(&out), "HTTP/1.1 404 Not Found\r\n" DATE "Connection: close\r\n\r\n");
  assert_false(out.failed);
  more.text.failed = true;
  http1_write_head(&out, &head);
  assert_true(out.failed);
  http_fields_deinit(&more);
  buffer_deinit(&out);
}

static void a_stream_has_chunks_or_not(void **state) {
  (void)state;
  struct buffer out = {0};
  http1_write_stream(&out, true);
  assert_bytes_string(buffer_bytes(&out), "Transfer-Encoding: chunked\r\n\r\n");
  buffer_clear(&out);
  http1_write_stream(&out, false);
  assert_bytes_string(buffer_bytes(&out), "\r\n");
  buffer_deinit(&out);
}

/* The key of RFC 6455 section 1.3. */
static void an_upgrade_is_a_whole_answer(void **state) {
  (void)state;
  struct buffer out = {0};
  struct http_fields fields;
  http_fields_init(&fields);
  http_fields_add(&fields, BYTES("Sec-WebSocket-Protocol"), BYTES("chat"));
  assert_true(http1_write_upgrade(&out, BYTES("dGhlIHNhbXBsZSBub25jZQ=="), &fields));
  assert_bytes_string(buffer_bytes(&out),
                      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                      "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: chat\r\n\r\n");
  http_fields_deinit(&fields);
  buffer_deinit(&out);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(fields_and_what_delimits_the_body),
      TEST(a_stream_has_chunks_or_not),
      TEST(an_upgrade_is_a_whole_answer),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
