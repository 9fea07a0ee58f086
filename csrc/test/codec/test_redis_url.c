#include "codec/redis_url.h"
#include "test/support.h"

static void reads_addresses(void **state) {
  (void)state;
  static const struct {
    const char *text, *host;
    unsigned port, db;
    const char *username, *password;
    bool is_tls;
  } cases[] = {
      {"redis://localhost", "localhost", 6379, 0, "", "", false},
      {"redis://localhost/", "localhost", 6379, 0, "", "", false},
      {"redis://10.0.0.1:7000/3", "10.0.0.1", 7000, 3, "", "", false},
      {"redis://[::1]:7000", "::1", 7000, 0, "", "", false},
      {"redis://[::1]", "::1", 6379, 0, "", "", false},
      {"redis://[fe80::1%eth0]", "fe80::1%eth0", 6379, 0, "", "", false},
      {"redis://redis_1.example-net", "redis_1.example-net", 6379, 0, "", "", false},
      {"redis://:secret@h", "h", 6379, 0, "", "secret", false},
      {"redis://app:s%40c%3aret@h:1", "h", 1, 0, "app", "s@c:ret", false},
      {"redis://app:a@b@h", "h", 6379, 0, "app", "a@b", false},
      {"rediss://h:6380", "h", 6380, 0, "", "", true},
      {"unix:/run/redis.sock", "/run/redis.sock", 0, 0, "", "", false},
      {"unix:///run/redis.sock?db=2", "/run/redis.sock", 0, 2, "", "", false},
  };
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    struct redis_url url;
    const char *fault = redis_url_read(&url, bytes_string(cases[i].text));
    if (fault) fail_msg("%s: %s", cases[i].text, fault);
    assert_string_equal(url.host, cases[i].host);
    assert_int_equal(url.port, cases[i].port);
    assert_int_equal(url.db, cases[i].db);
    assert_string_equal(url.username, cases[i].username);
    assert_string_equal(url.password, cases[i].password);
    assert_int_equal(url.is_tls, cases[i].is_tls);
  }
}

static void names_what_is_wrong(void **state) {
  (void)state;
  static const char *const cases[][2] = {
      {"", "must begin with"},
      {"http://h", "must begin with"},
      {"redis://", "host is missing"},
      {"redis://:x@", "host is missing"},
      {"redis://a b:1", "invalid character in the host"},
      {"redis://::1", "port must be"},
      {"redis://h:0", "port must be"},
      {"redis://h:65536", "port must be"},
      {"redis://h:", "port must be"},
      {"redis://[::1", "must end with ]"},
      {"redis://[::1]7", "followed by :port"},
      {"redis://h/x", "number of the database"},
      {"redis://h/65536", "number of the database"},
      {"redis://app@h", "followed by :password"},
      {"redis://app:@h", "password is empty"},
      {"redis://app:%0@h", "percent escape"},
      {"redis://app:%00x@h", "percent escape"},
      {"unix:redis.sock", "must begin with /"},
      {"unix:/a?x", "only ?db=number"},
      {"unix:/a?db=", "number of the database"},
  };
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    struct redis_url url;
    const char *fault = redis_url_read(&url, bytes_string(cases[i][0]));
    if (!fault || !strstr(fault, cases[i][1])) fail_msg("%s: %s", cases[i][0], fault ? fault : "no fault");
  }
  static char text[2000];
  memset(text, 'a', sizeof text - 1);
  memcpy(text, "redis://", 8);
  struct redis_url url;
  assert_non_null(redis_url_read(&url, bytes_string(text)));
  memcpy(text, "unix:/", 6);
  assert_non_null(redis_url_read(&url, bytes_string(text)));
  memcpy(text, "redis://:", 9);
  text[1500] = '@';
  assert_non_null(redis_url_read(&url, bytes_string(text)));
}

static void reads_addresses_of_sentinels(void **state) {
  (void)state;
  struct redis_url url;
  assert_null(redis_url_read_sentinel(&url, BYTES("10.0.0.1")));
  assert_string_equal(url.host, "10.0.0.1");
  assert_int_equal(url.port, 26379);
  assert_string_equal(url.password, "");
  assert_null(redis_url_read_sentinel(&url, BYTES("app:s%40@[::1]:7")));
  assert_string_equal(url.host, "::1");
  assert_int_equal(url.port, 7);
  assert_string_equal(url.username, "app");
  assert_string_equal(url.password, "s@");
  static const char *const bad[] = {"", "h:0", "redis://h", "app@h", ":@h", "[::1", "h:7/2"};
  for (size_t i = 0; i < COUNT_OF(bad); i++)
    if (!redis_url_read_sentinel(&url, bytes_string(bad[i]))) fail_msg("%s", bad[i]);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(reads_addresses),
      TEST(names_what_is_wrong),
      TEST(reads_addresses_of_sentinels),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
