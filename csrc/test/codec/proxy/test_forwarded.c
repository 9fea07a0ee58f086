/* Trusted proxies are 10.0.0.0/8 and 2001:db8:aa::/48. The peer is one of them. */
#include "codec/proxy/forwarded.h"

#include <stdio.h>
#include <stdlib.h>

#include "test/support.h"

struct forwarded_case {
  const char *head;    /* fields, one a line */
  const char *address; /* NULL: none */
  enum scheme scheme;
  enum forwarded_headers headers;
};

#define XFF "X-Forwarded-For: "
#define XFP "X-Forwarded-Proto: "
#define FWD "Forwarded: "

static const struct forwarded_case cases[] = {
    /* Nothing, and one proxy. */
    {"Host: a\n", NULL, SCHEME_UNKNOWN, FORWARDED_ANY},
    {XFF "203.0.113.7\n", "203.0.113.7", SCHEME_UNKNOWN, FORWARDED_ANY},
    {"x-forwarded-FOR: 203.0.113.7\n", "203.0.113.7", SCHEME_UNKNOWN, FORWARDED_ANY},
    {XFF "203.0.113.7\n" XFP "https\n", "203.0.113.7", SCHEME_HTTPS, FORWARDED_ANY},
    {XFF "203.0.113.7\n" XFP "HTTP\n", "203.0.113.7", SCHEME_HTTP, FORWARDED_ANY},
    {XFF "203.0.113.7\n" XFP "wss\n", "203.0.113.7", SCHEME_HTTPS, FORWARDED_ANY},
    {XFF "203.0.113.7\n" XFP "ws\n", "203.0.113.7", SCHEME_HTTP, FORWARDED_ANY},
    {XFF "203.0.113.7\n" XFP "gopher\n", "203.0.113.7", SCHEME_UNKNOWN, FORWARDED_ANY},
    {XFF "203.0.113.7\n" XFP "\n", "203.0.113.7", SCHEME_UNKNOWN, FORWARDED_ANY},
    {XFP "https\n", NULL, SCHEME_HTTPS, FORWARDED_ANY},
    {XFF "2001:db8:1::7\n", "2001:db8:1::7", SCHEME_UNKNOWN, FORWARDED_ANY},
    {XFF "[2001:db8:1::7]:4711\n", "2001:db8:1::7", SCHEME_UNKNOWN, FORWARDED_ANY},
    {XFF "203.0.113.7:4711\n", "203.0.113.7", SCHEME_UNKNOWN, FORWARDED_ANY},
    /* What the client itself has sent is before it. */
    {XFF "1.1.1.1, 203.0.113.7\n", "203.0.113.7", SCHEME_UNKNOWN, FORWARDED_ANY},
    {XFF "1.1.1.1,203.0.113.7\n", "203.0.113.7", SCHEME_UNKNOWN, FORWARDED_ANY},
    {XFF "1.1.1.1\n" XFF "203.0.113.7\n", "203.0.113.7", SCHEME_UNKNOWN, FORWARDED_ANY},
    {XFF "203.0.113.7\n" XFF "1.1.1.1\n", "1.1.1.1", SCHEME_UNKNOWN, FORWARDED_ANY},
    {XFF "10.0.0.9, 203.0.113.7\n", "203.0.113.7", SCHEME_UNKNOWN, FORWARDED_ANY},
    {XFF "nonsense, 203.0.113.7\n", "203.0.113.7", SCHEME_UNKNOWN, FORWARDED_ANY},
    {XFF "\", 203.0.113.7\n", "203.0.113.7", SCHEME_UNKNOWN, FORWARDED_ANY},
    {XFF ",,,, 203.0.113.7\n", "203.0.113.7", SCHEME_UNKNOWN, FORWARDED_ANY},
    {XFF "1.1.1.1\n" XFP "http, https\n", "1.1.1.1", SCHEME_HTTPS, FORWARDED_ANY},
    {XFF "1.1.1.1\n" XFP "http\n" XFP "https\n", "1.1.1.1", SCHEME_HTTPS, FORWARDED_ANY},
    /* Several trusted proxies. */
    {XFF "203.0.113.7, 10.0.0.2\n", "203.0.113.7", SCHEME_UNKNOWN, FORWARDED_ANY},
    {XFF "1.1.1.1, 203.0.113.7, 10.0.0.2, 2001:db8:aa::3\n", "203.0.113.7", SCHEME_UNKNOWN, FORWARDED_ANY},
    {XFF "203.0.113.7, 10.0.0.2\n" XFP "https, http\n", "203.0.113.7", SCHEME_HTTPS, FORWARDED_ANY},
    {XFF "203.0.113.7, 10.0.0.2\n" XFP "https\n", "203.0.113.7", SCHEME_HTTPS, FORWARDED_ANY},
    {XFF "203.0.113.7, 10.0.0.2\n" XFP "gopher, https, http\n", "203.0.113.7", SCHEME_HTTPS, FORWARDED_ANY},
    {XFF "10.0.0.1, 10.0.0.2\n", "10.0.0.1", SCHEME_UNKNOWN, FORWARDED_ANY},
    {XFF "::ffff:10.0.0.2\n", "10.0.0.2", SCHEME_UNKNOWN, FORWARDED_ANY},
    {XFF "203.0.113.7, ::ffff:10.0.0.2\n", "203.0.113.7", SCHEME_UNKNOWN, FORWARDED_ANY},
    /* What is malformed ends the reading. */
    {XFF "203.0.113.7, nonsense, 10.0.0.2\n", "10.0.0.2", SCHEME_UNKNOWN, FORWARDED_ANY},
    {XFF "unknown, 10.0.0.2\n", "10.0.0.2", SCHEME_UNKNOWN, FORWARDED_ANY},
    {XFF "nonsense\n", NULL, SCHEME_UNKNOWN, FORWARDED_ANY},
    {XFF "unknown\n" XFP "https\n", NULL, SCHEME_HTTPS, FORWARDED_ANY},
    {XFF "203.0.113.7,\n", NULL, SCHEME_UNKNOWN, FORWARDED_ANY},
    {XFF "\n", NULL, SCHEME_UNKNOWN, FORWARDED_ANY},
    {XFF "127.1\n", NULL, SCHEME_UNKNOWN, FORWARDED_ANY},
    {XFF "203.0.113.7 1.1.1.1\n", NULL, SCHEME_UNKNOWN, FORWARDED_ANY},
    {XFF "203.0.113.7;1.1.1.1\n", NULL, SCHEME_UNKNOWN, FORWARDED_ANY},
    {XFF "for=203.0.113.7\n", NULL, SCHEME_UNKNOWN, FORWARDED_ANY},
    /* Forwarded. */
    {FWD "for=203.0.113.7\n", "203.0.113.7", SCHEME_UNKNOWN, FORWARDED_ANY},
    {FWD "For=\"203.0.113.7\";Proto=HTTPS\n", "203.0.113.7", SCHEME_HTTPS, FORWARDED_ANY},
    {FWD "proto=http;by=10.0.0.1;for=203.0.113.7\n", "203.0.113.7", SCHEME_HTTP, FORWARDED_ANY},
    {FWD "for=\"[2001:db8:1::7]:4711\"\n", "2001:db8:1::7", SCHEME_UNKNOWN, FORWARDED_ANY},
    {FWD "for=\"203.0.113.7:80\"\n", "203.0.113.7", SCHEME_UNKNOWN, FORWARDED_ANY},
    {FWD "for = 203.0.113.7 ; proto = https\n", "203.0.113.7", SCHEME_HTTPS, FORWARDED_ANY},
    {FWD "for=203.0.113.7;\n", "203.0.113.7", SCHEME_UNKNOWN, FORWARDED_ANY},
    {FWD "for=1.1.1.1, for=203.0.113.7\n", "203.0.113.7", SCHEME_UNKNOWN, FORWARDED_ANY},
    {FWD "for=1.1.1.1\n" FWD "for=203.0.113.7\n", "203.0.113.7", SCHEME_UNKNOWN, FORWARDED_ANY},
    {FWD "for=203.0.113.7;proto=https, for=10.0.0.2;proto=http\n", "203.0.113.7", SCHEME_HTTPS, FORWARDED_ANY},
    {FWD "for=203.0.113.7, for=10.0.0.2;proto=http\n", "203.0.113.7", SCHEME_HTTP, FORWARDED_ANY},
    {FWD "for=unknown\n", NULL, SCHEME_UNKNOWN, FORWARDED_ANY},
    {FWD "for=_hidden;proto=https\n", NULL, SCHEME_HTTPS, FORWARDED_ANY},
    {FWD "proto=https\n", NULL, SCHEME_HTTPS, FORWARDED_ANY},
    {FWD "for=unknown;proto=https, for=10.0.0.2;proto=http\n", "10.0.0.2", SCHEME_HTTP, FORWARDED_ANY},
    /* Quotes of the client do not reach into the element of the proxy. */
    {FWD "for=\", for=203.0.113.7\n", "203.0.113.7", SCHEME_UNKNOWN, FORWARDED_ANY},
    {FWD "for=\"1.1.1.1, for=203.0.113.7;proto=https\n", "203.0.113.7", SCHEME_HTTPS, FORWARDED_ANY},
    {FWD "host=\"a,b\";for=203.0.113.7\n", "203.0.113.7", SCHEME_UNKNOWN, FORWARDED_ANY},
    {FWD "for=1.1.1.1, host=\"a;for=2.2.2.2\";for=203.0.113.7\n", "203.0.113.7", SCHEME_UNKNOWN, FORWARDED_ANY},
    {FWD "for=203.0.113.7;for=1.1.1.1\n", NULL, SCHEME_UNKNOWN, FORWARDED_ANY},
    {FWD "for=203.0.113.7;proto=http;proto=https\n", NULL, SCHEME_UNKNOWN, FORWARDED_ANY},
    {FWD "for\n", NULL, SCHEME_UNKNOWN, FORWARDED_ANY},
    {FWD "for=\n", NULL, SCHEME_UNKNOWN, FORWARDED_ANY},
    {FWD "for=\"203.0.113.7\n", NULL, SCHEME_UNKNOWN, FORWARDED_ANY},
    {FWD "for=\"203.0.113\\.7\"\n", NULL, SCHEME_UNKNOWN, FORWARDED_ANY},
    {FWD "for=2001:db8:1::7\n", "2001:db8:1::7", SCHEME_UNKNOWN, FORWARDED_ANY},
    {FWD ",\n", NULL, SCHEME_UNKNOWN, FORWARDED_ANY},
    {FWD "\n", NULL, SCHEME_UNKNOWN, FORWARDED_ANY},
    {FWD "\"\n", NULL, SCHEME_UNKNOWN, FORWARDED_ANY},
    /* Which of both. */
    {XFF "203.0.113.7\n" FWD "for=1.1.1.1;proto=https\n", "203.0.113.7", SCHEME_UNKNOWN, FORWARDED_ANY},
    {XFP "http\n" FWD "for=1.1.1.1;proto=https\n", NULL, SCHEME_HTTP, FORWARDED_ANY},
    {XFF "1.1.1.1\n" FWD "for=203.0.113.7;proto=https\n", "203.0.113.7", SCHEME_HTTPS, FORWARDED_RFC},
    {FWD "for=203.0.113.7;proto=https\n", NULL, SCHEME_UNKNOWN, FORWARDED_X},
    {XFF "203.0.113.7\n" XFP "https\n", NULL, SCHEME_UNKNOWN, FORWARDED_RFC},
};

enum { FIELDS_MAX = 8 };

static struct http_head head_of(const char *text, struct http_field *fields) {
  struct http_head head = {.fields = fields};
  for (struct bytes rest = bytes_string(text); rest.len > 0;) {
    size_t end = bytes_find(rest, '\n'), colon = bytes_find(rest, ':');
    struct bytes value = bytes_of(rest.ptr + colon + 1, end - colon - 1);
    fields[head.field_count++] = (struct http_field){bytes_of(rest.ptr, colon), bytes_trim(value)};
    rest = bytes_of(rest.ptr + end + 1, rest.len - end - 1);
  }
  return head;
}

static struct forwarded_client read_case(const char *text, enum forwarded_headers headers) {
  struct http_field fields[FIELDS_MAX];
  struct ip_network trusted[2];
  assert_null(ip_network_read(BYTES("10.0.0.0/8"), &trusted[0]));
  assert_null(ip_network_read(BYTES("2001:db8:aa::/48"), &trusted[1]));
  struct http_head head = head_of(text, fields);
  return forwarded_read(&head, headers, trusted, 2);
}

static void each_head_has_its_client(void **state) {
  (void)state;
  size_t wrong = 0;
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    struct forwarded_client found = read_case(cases[i].head, cases[i].headers);
    char text[IP_TEXT_MAX] = "";
    if (found.has_address) ip_write(&found.address, text);
    bool is_right = found.scheme == cases[i].scheme && strcmp(text, cases[i].address ? cases[i].address : "") == 0;
    if (is_right) continue;
    print_error("%s-> \"%s\", scheme %d\n", cases[i].head, text, (int)found.scheme);
    wrong++;
  }
  assert_int_equal(wrong, 0);
}

/* Each beginning of each value, which then ends there, is read without a fault. */
static void a_value_may_end_anywhere(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    struct bytes text = bytes_string(cases[i].head);
    for (size_t len = 0; len < text.len; len++) {
      if (bytes_find(bytes_of(text.ptr, len), ':') == len || memchr(text.ptr, '\n', len)) continue;
      char *copy = malloc(len + 2); /* exactly as long, for the sanitizer */
      memcpy(copy, text.ptr, len);
      copy[len] = '\n';
      copy[len + 1] = '\0';
      read_case(copy, cases[i].headers);
      free(copy);
    }
  }
}

static void hops_are_bounded(void **state) {
  (void)state;
  char text[4096] = XFF "203.0.113.7";
  size_t len = strlen(text);
  for (int i = 0; i < FORWARDED_HOPS_MAX; i++) len += (size_t)snprintf(text + len, sizeof text - len, ", 10.0.0.%d", i);
  snprintf(text + len, sizeof text - len, "\n");
  struct forwarded_client found = read_case(text, FORWARDED_ANY);
  char address[IP_TEXT_MAX];
  ip_write(&found.address, address);
  assert_string_equal(address, "10.0.0.0");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(each_head_has_its_client),
      cmocka_unit_test(a_value_may_end_anywhere),
      cmocka_unit_test(hops_are_bounded),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
