#include "app/config.h"
#include "app/config/broker_config.h"
#include "test/support.h"

#define SECRET "hunter2"

static int read_options(struct broker_config **broker, struct mw_broker_options options) {
  struct mw_error error = {""};
  int status = broker_config_new(broker, &options, &error);
  if (status < 0) print_message("%s\n", error.text);
  return status;
}

static void without_a_url_there_is_none(void **state) {
  (void)state;
  struct broker_config *broker;
  assert_int_equal(read_options(&broker, (struct mw_broker_options){.prefix = "{}"}), 0);
  assert_null(broker);
}

static void options_have_defaults(void **state) {
  (void)state;
  struct broker_config *broker;
  assert_int_equal(read_options(&broker, (struct mw_broker_options){.url = "redis://:" SECRET "@h/3"}), 0);
  assert_string_equal(broker->url.host, "h");
  assert_int_equal(broker->url.port, 6379);
  assert_int_equal(broker->url.db, 3);
  assert_string_equal(broker->url.password, SECRET);
  assert_string_equal(broker->prefix, "mw");
  assert_int_equal(broker->publish_ms, 5000);
  assert_int_equal(broker->wait_replicas, 0);
  assert_int_equal(broker->sentinel_count, 0);
  assert_null(broker->ca_file);
  broker_config_free(broker);
}

static void options_are_read(void **state) {
  (void)state;
  static const char *const sentinels[] = {"a", "app:" SECRET "@b:7"};
  struct broker_config *broker;
  struct mw_broker_options options = {.url = "rediss://main",
                                      .sentinels = sentinels,
                                      .sentinel_count = 2,
                                      .username = "app",
                                      .password = SECRET,
                                      .prefix = "shop.eu",
                                      .ca_file = "/dev/null",
                                      .publish_ms = 250,
                                      .wait_replicas = 2};
  assert_int_equal(read_options(&broker, options), 0);
  assert_true(broker->url.is_tls);
  assert_string_equal(broker->url.username, "app");
  assert_string_equal(broker->url.password, SECRET);
  assert_string_equal(broker->sentinels[0].host, "a");
  assert_int_equal(broker->sentinels[0].port, 26379);
  assert_string_equal(broker->sentinels[1].password, SECRET);
  assert_string_equal(broker->prefix, "shop.eu");
  assert_string_equal(broker->ca_file, "/dev/null");
  assert_int_equal(broker->publish_ms, 250);
  assert_int_equal(broker->wait_replicas, 2);
  broker_config_free(broker);
}

static void says_what_is_wrong(void **state) {
  (void)state;
  static const char *const sentinels[17] = {"a", "b:0"};
  static char long_text[600];
  memset(long_text, 'x', sizeof long_text - 1);
  static const struct {
    struct mw_broker_options options;
    const char *text; /* a part of the error */
  } cases[] = {
      {{.url = "http://:" SECRET "@h"}, "broker: the URL: must begin with"},
      {{.url = "redis://:" SECRET "@"}, "host is missing"},
      {{.url = "redis://:" SECRET "%0@h"}, "percent escape"},
      {{.url = "redis://:" SECRET "@h", .password = SECRET}, "the URL has a password"},
      {{.url = "redis://h", .username = SECRET}, "username needs a password"},
      {{.url = "redis://h", .password = ""}, "password is empty"},
      {{.url = "redis://h", .password = long_text}, "more than 512 bytes"},
      {{.url = "redis://h", .prefix = ""}, "prefix must be"},
      {{.url = "redis://h", .prefix = "a{b}"}, "prefix must be"},
      {{.url = "redis://h", .prefix = long_text}, "prefix must be"},
      {{.url = "redis://h", .ca_file = "/dev/null"}, "rediss://"},
      {{.url = "redis://h", .is_unverified = true}, "rediss://"},
      {{.url = "rediss://h", .is_unverified = true, .ca_file = "/dev/null"}, "no effect"},
      {{.url = "rediss://h", .ca_file = "/nowhere/ca.pem"}, "ca_file cannot be read"},
      {{.url = "redis://h", .publish_ms = 600001}, "publish_seconds"},
      {{.url = "redis://h", .wait_replicas = 17}, "wait_replicas"},
      {{.url = "unix:/a", .sentinels = sentinels, .sentinel_count = 1}, "with sentinels"},
      {{.url = "redis://h", .sentinels = sentinels, .sentinel_count = 17}, "more than 16"},
      {{.url = "redis://h", .sentinels = sentinels, .sentinel_count = 2}, "broker: sentinel 2: the port must be"},
  };
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    struct mw_error error = {""};
    struct broker_config *broker;
    assert_int_equal(broker_config_new(&broker, &cases[i].options, &error), MW_EINVAL);
    assert_null(broker);
    if (!strstr(error.text, cases[i].text)) fail_msg("%s: %s", cases[i].text, error.text);
    assert_null(strstr(error.text, SECRET));
  }
}

static void settings_are_compared(void **state) {
  (void)state;
  static const char *const a[] = {"a"}, *const b[] = {"b"};
  static const struct mw_broker_options all[] = {{.url = "redis://h"},
                                                 {.url = "redis://h/1"},
                                                 {.url = "redis://i"},
                                                 {.url = "redis://h:1"},
                                                 {.url = "redis://:x@h"},
                                                 {.url = "redis://u:x@h"},
                                                 {.url = "rediss://h"},
                                                 {.url = "rediss://h", .is_unverified = true},
                                                 {.url = "rediss://h", .ca_file = "/dev/null"},
                                                 {.url = "redis://h", .prefix = "x"},
                                                 {.url = "redis://h", .publish_ms = 1},
                                                 {.url = "redis://h", .wait_replicas = 1},
                                                 {.url = "redis://h", .sentinels = a, .sentinel_count = 1},
                                                 {.url = "redis://h", .sentinels = b, .sentinel_count = 1},
                                                 {.url = NULL}};
  for (size_t i = 0; i < COUNT_OF(all); i++) {
    for (size_t k = 0; k < COUNT_OF(all); k++) {
      struct broker_config *left, *right;
      assert_int_equal(read_options(&left, all[i]), 0);
      assert_int_equal(read_options(&right, all[k]), 0);
      assert_int_equal(broker_config_equal(left, right), i == k);
      broker_config_free(left);
      broker_config_free(right);
    }
  }
}

static bool configure(void *context) {
  struct mw_config_options options;
  struct mw_config *config;
  (void)context;
  mw_config_options_init(&options);
  options.broker = (struct mw_broker_options){.url = "rediss://h", .ca_file = "/dev/null", .password = SECRET};
  int status = mw_config_new(&config, &options, NULL);
  assert_true(status == 0 || status == MW_ENOMEM);
  if (status < 0) return false;
  assert_string_equal(config->broker->url.password, SECRET);
  assert_null(config->options.broker.url);
  mw_config_unref(config);
  return true;
}

static void a_configuration_owns_it(void **state) {
  (void)state;
  assert_true(support_fail_each(configure, NULL) > 3);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(without_a_url_there_is_none), TEST(options_have_defaults), TEST(options_are_read),
      TEST(says_what_is_wrong),          TEST(settings_are_compared), TEST(a_configuration_owns_it)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
