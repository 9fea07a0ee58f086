#include "codec/proxy/proxy_header.h"

#include <stdlib.h>

#include "test/support.h"

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define V4 "\xcb\x00\x71\x07\x0a\x00\x00\x01\x12\x67\x01\xbb" /* 203.0.113.7 to 10.0.0.1 */
#define SIX "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07"
#define V6 SIX SIX "\x12\x67\x01\xbb"
#define TEN "0123456789"
#define HUNDRED TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN

struct proxy_case {
  const char *bytes;
  size_t len;
  enum proxy_result result;
  size_t used;
  const char *address; /* NULL: none */
  enum scheme scheme;
};

#define IN(text) text, sizeof text - 1
/* All of it is the header. */
#define WHOLE(text, address, scheme)                                                                                             \
  { IN(text), PROXY_DONE, sizeof text - 1, address, scheme }
#define BAD(text)                                                                                                                \
  { IN(text), PROXY_MALFORMED, 0, NULL, SCHEME_UNKNOWN }
#define MORE(text)                                                                                                               \
  { IN(text), PROXY_MORE, 0, NULL, SCHEME_UNKNOWN }

static const struct proxy_case cases[] = {
    /* Version 1. */
    WHOLE("PROXY TCP4 203.0.113.7 10.0.0.1 4711 443\r\n", "203.0.113.7", SCHEME_UNKNOWN),
    WHOLE("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", "255.255.255.255", SCHEME_UNKNOWN),
    WHOLE("PROXY TCP6 2001:db8::7 2001:db8::1 4711 443\r\n", "2001:db8::7", SCHEME_UNKNOWN),
    WHOLE("PROXY TCP6 ::ffff:203.0.113.7 ::1 0 0\r\n", "203.0.113.7", SCHEME_UNKNOWN),
    WHOLE("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
          "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", SCHEME_UNKNOWN),
    WHOLE("PROXY UNKNOWN\r\n", NULL, SCHEME_UNKNOWN),
    WHOLE("PROXY UNKNOWN ffff:: 1.1.1.1 what ever\r\n", NULL, SCHEME_UNKNOWN),
    {IN("PROXY TCP4 203.0.113.7 10.0.0.1 4711 443\r\nGET / HTTP/1.1\r\n"), PROXY_DONE, 42, "203.0.113.7", SCHEME_UNKNOWN},
    {IN("PROXY UNKNOWN\r\nPROXY UNKNOWN\r\n"), PROXY_DONE, 15, NULL, SCHEME_UNKNOWN},
    MORE(""),
    MORE("P"),
    MORE("PROXY"),
    MORE("PROXY "),
    MORE("PROXY TCP4 203.0.113.7 10.0.0.1 4711 443"),
    MORE("PROXY TCP4 203.0.113.7 10.0.0.1 4711 443\r"),
    BAD("proxy TCP4 203.0.113.7 10.0.0.1 4711 443\r\n"),
    BAD("PROXY  TCP4 203.0.113.7 10.0.0.1 4711 443\r\n"),
    BAD("PROXY TCP5 203.0.113.7 10.0.0.1 4711 443\r\n"),
    BAD("PROXY UDP4 203.0.113.7 10.0.0.1 4711 443\r\n"),
    BAD("PROXY unknown\r\n"),
    BAD("PROXY \r\n"),
    BAD("PROXY TCP4\r\n"),
    BAD("PROXY TCP4 \r\n"),
    BAD("PROXY TCP4 203.0.113.7\r\n"),
    BAD("PROXY TCP4 203.0.113.7 10.0.0.1\r\n"),
    BAD("PROXY TCP4 203.0.113.7 10.0.0.1 4711\r\n"),
    BAD("PROXY TCP4 203.0.113.7 10.0.0.1 4711 \r\n"),
    BAD("PROXY TCP4 203.0.113.7 10.0.0.1 4711 443 \r\n"),
    BAD("PROXY TCP4 203.0.113.7 10.0.0.1 4711 443 x\r\n"),
    BAD("PROXY TCP4 203.0.113.7  10.0.0.1 4711 443\r\n"),
    BAD("PROXY TCP4 203.0.113.07 10.0.0.1 4711 443\r\n"),
    BAD("PROXY TCP4 203.0.113.256 10.0.0.1 4711 443\r\n"),
    BAD("PROXY TCP4 203.0.113 10.0.0.1 4711 443\r\n"),
    BAD("PROXY TCP4 a.example 10.0.0.1 4711 443\r\n"),
    BAD("PROXY TCP4 2001:db8::7 2001:db8::1 4711 443\r\n"),
    BAD("PROXY TCP6 203.0.113.7 10.0.0.1 4711 443\r\n"),
    BAD("PROXY TCP6 fe80::1%eth0 ::1 4711 443\r\n"),
    BAD("PROXY TCP4 203.0.113.7 10.0.0.1 65536 443\r\n"),
    BAD("PROXY TCP4 203.0.113.7 10.0.0.1 -1 443\r\n"),
    BAD("PROXY TCP4 203.0.113.7 10.0.0.1 04711 443\r\n"),
    BAD("PROXY TCP4 203.0.113.7 10.0.0.1 0x1 443\r\n"),
    BAD("PROXY TCP4 203.0.113.7 10.0.0.1 4711 443\r \n"),
    BAD("PROXY TCP4 203.0.113.7 10.0.0.1 4711 443\r\r\n"),
    BAD("PROXY TCP4 203.0.113.7\t10.0.0.1 4711 443\r\n"),
    BAD("PROXY TCP4 203.0.113.7 10.0.0.1 4711 443\n" HUNDRED),
    BAD("PROXY UNKNOWN " HUNDRED),
    BAD("PROXY UNKNOWN " HUNDRED "\r\n"),
    BAD("GET / HTTP/1.1\r\n"),
    BAD("\x16\x03\x01"),
    BAD("\n"),
    BAD(" PROXY"),
    /* Version 2. */
    WHOLE(SIGNATURE "\x21\x11\0\x0c" V4, "203.0.113.7", SCHEME_UNKNOWN),
    WHOLE(SIGNATURE "\x21\x12\0\x0c" V4, "203.0.113.7", SCHEME_UNKNOWN),
    WHOLE(SIGNATURE "\x21\x21\0\x24" V6, "2001:db8::7", SCHEME_UNKNOWN),
    WHOLE(SIGNATURE "\x20\x00\0\0", NULL, SCHEME_UNKNOWN),
    WHOLE(SIGNATURE "\x20\x11\0\x0c" V4, NULL, SCHEME_UNKNOWN),
    WHOLE(SIGNATURE "\x20\x11\0\x03"
                    "abc",
          NULL, SCHEME_UNKNOWN),
    WHOLE(SIGNATURE "\x21\x00\0\0", NULL, SCHEME_UNKNOWN),
    WHOLE(SIGNATURE "\x21\x00\0\x04\x04\0\x01x", NULL, SCHEME_UNKNOWN),
    WHOLE(SIGNATURE "\x21\x31\0\xd8" HUNDRED HUNDRED TEN "123456", NULL, SCHEME_UNKNOWN),
    WHOLE(SIGNATURE "\x21\x11\0\x0f" V4 "\x04\0\0", "203.0.113.7", SCHEME_UNKNOWN),
    WHOLE(SIGNATURE "\x21\x11\0\x14" V4 "\x20\0\x05\x01\0\0\0\0", "203.0.113.7", SCHEME_HTTPS),
    WHOLE(SIGNATURE "\x21\x11\0\x14" V4 "\x20\0\x05\0\0\0\0\0", "203.0.113.7", SCHEME_HTTP),
    WHOLE(SIGNATURE "\x21\x11\0\x18" V4 "\x02\0\x01"
                    "a"
                    "\x20\0\x05\x07\0\0\0\0",
          "203.0.113.7", SCHEME_HTTPS),
    WHOLE(SIGNATURE "\x21\x11\0\x13" V4 "\x03\0\x04\xc7\x45\xe3\xde", "203.0.113.7", SCHEME_UNKNOWN),
    WHOLE(SIGNATURE "\x21\x11\0\x20" V4 "\x04\0\x02xx"
                    "\x03\0\x04\xc5\xbe\x25\xb8"
                    "\x20\0\x05\x01\0\0\0\0",
          "203.0.113.7", SCHEME_HTTPS),
    WHOLE(SIGNATURE "\x20\x11\0\x13" V4 "\x03\0\x04zzzz", NULL, SCHEME_UNKNOWN), /* of LOCAL, nothing counts */
    {IN(SIGNATURE "\x21\x11\0\x0c" V4 "GET / HTTP/1.1\r\n"), PROXY_DONE, 28, "203.0.113.7", SCHEME_UNKNOWN},
    MORE(SIGNATURE),
    MORE(SIGNATURE "\x21\x11\0"),
    MORE(SIGNATURE "\x21\x11\0\x0c"),
    MORE("\r\n\r\n"),
    BAD(SIGNATURE "\x11"),
    BAD(SIGNATURE "\x31"),
    BAD(SIGNATURE "\x01"),
    BAD(SIGNATURE "\x22"),
    BAD(SIGNATURE "\x2f"),
    BAD(SIGNATURE "\x21\x41"),
    BAD(SIGNATURE "\x21\xf1"),
    BAD(SIGNATURE "\x21\x13"),
    BAD(SIGNATURE "\x21\x11\0\0"),
    BAD(SIGNATURE "\x21\x11\0\x0b"),
    BAD(SIGNATURE "\x21\x21\0\x0c"),
    BAD(SIGNATURE "\x21\x21\0\x23"),
    BAD(SIGNATURE "\x21\x31\0\xd7"),
    BAD(SIGNATURE "\x21\x11\x0f\xf1"),
    BAD(SIGNATURE "\x21\x11\xff\xff"),
    BAD(SIGNATURE "\x20\x00\xff\xff"),
    BAD(SIGNATURE "\x21\x11\0\x0d" V4 "\x04"),
    BAD(SIGNATURE "\x21\x11\0\x0e" V4 "\x04\0"),
    BAD(SIGNATURE "\x21\x11\0\x0f" V4 "\x04\0\x01"),
    BAD(SIGNATURE "\x21\x11\0\x0f" V4 "\x04\xff\xff"),
    BAD(SIGNATURE "\x21\x11\0\x10" V4 "\x20\0\x01\x01"),
    BAD(SIGNATURE "\x21\x11\0\x13" V4 "\x03\0\x04\xc7\x45\xe3\xdf"),
    BAD(SIGNATURE "\x21\x11\0\x13" V4 "\x03\0\x04\0\0\0\0"),
    BAD(SIGNATURE "\x21\x11\0\x12" V4 "\x03\0\x03\xc7\x45\xe3"),
    BAD(SIGNATURE "\x21\x11\0\x0f" V4 "\x03\0\0"),
    BAD(SIGNATURE "\x21\x11\0\x1a" V4 "\x03\0\x04\xc7\x45\xe3\xde\x03\0\x04\xc7\x45\xe3\xde"),
    BAD("\r\n\r\n\0\r\nQUIX"),
    BAD("\r\n\r\n\r"),
    BAD("\r\r"),
};

static enum proxy_result read_exactly(const char *bytes, size_t len, struct proxy_header *header) {
  char *copy = malloc(len > 0 ? len : 1); /* exactly as long, for the sanitizer */
  const char *fault;
  if (len > 0) memcpy(copy, bytes, len);
  enum proxy_result result = proxy_header_read(bytes_of(copy, len), header, &fault);
  assert_int_equal(result == PROXY_MALFORMED, fault != NULL);
  free(copy);
  return result;
}

static void each_header_has_its_result(void **state) {
  (void)state;
  size_t wrong = 0;
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    struct proxy_header header;
    char text[IP_TEXT_MAX] = "";
    enum proxy_result result = read_exactly(cases[i].bytes, cases[i].len, &header);
    if (result == PROXY_DONE && header.has_address) ip_write(&header.address, text);
    bool is_right = result == cases[i].result && strcmp(text, cases[i].address ? cases[i].address : "") == 0;
    if (result == PROXY_DONE) is_right = is_right && header.len == cases[i].used && header.scheme == cases[i].scheme;
    if (is_right) continue;
    print_error("case %zu \"%.40s\": %d, %zu bytes, \"%s\"\n", i, cases[i].bytes, (int)result, header.len, text);
    wrong++;
  }
  assert_int_equal(wrong, 0);
}

/* As long as the header is incomplete, it is neither complete nor something else; and what is
 * malformed stays malformed. */
static void a_header_may_arrive_in_parts(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    bool was_malformed = false;
    for (size_t len = 0; len <= cases[i].len; len++) {
      struct proxy_header header;
      enum proxy_result result = read_exactly(cases[i].bytes, len, &header);
      if (was_malformed) assert_int_equal(result, PROXY_MALFORMED);
      was_malformed = result == PROXY_MALFORMED;
      if (cases[i].result == PROXY_DONE) assert_int_equal(result, len < cases[i].used ? PROXY_MORE : PROXY_DONE);
      if (result == PROXY_DONE) assert_true(header.len <= len);
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(each_header_has_its_result),
      cmocka_unit_test(a_header_may_arrive_in_parts),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
