#include <stdlib.h>

#include "app/config.h"
#include "base/memory.h"
#include "test/support.h"

static struct mw_config *config;
static const struct mw_channel_options plain = {.history_size = 0};

static int begin(void **state) {
  struct mw_config_options options;
  int status = support_setup(state);
  mw_config_options_init(&options);
  assert_int_equal(mw_config_new(&config, &options, NULL), 0);
  return status;
}

static int end(void **state) {
  mw_config_unref(config);
  return support_teardown(state);
}

static int match(const char *name) { return mw_config_match(config, name, strlen(name), NULL); }

/* "x=1 y=2 " */
static const char *params(int kind, const char *name) {
  static char text[128];
  struct mw_bytes param, value;
  size_t len = 0;
  text[0] = '\0';
  for (size_t i = 0; mw_config_param(config, kind, name, strlen(name), i, &param, &value) == 0; i++) {
    len += (size_t)snprintf(text + len, sizeof text - len, "%.*s=%.*s ", (int)param.len, param.ptr, (int)value.len, value.ptr);
  }
  return text;
}

static void the_most_special_pattern_wins(void **state) {
  (void)state;
  static const char *const patterns[] = {"{a}:{b}", "room:{id}", "room:lobby", "{a}", "{a}:{b}/{c}"};
  static const struct {
    const char *name;
    int kind;
    const char *params;
  } cases[] = {
      {"x:y", 0, "a=x b=y "},
      {"room:1", 1, "id=1 "},
      {"room:lobby", 2, ""},
      {"room", 3, "a=room "},
      {"room:1/2", 4, "a=room b=1 c=2 "},
      {"lobby:room", 0, "a=lobby b=room "},
  };
  for (size_t i = 0; i < COUNT_OF(patterns); i++) assert_int_equal(mw_config_channel(config, patterns[i], &plain, NULL), i);
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    assert_int_equal(match(cases[i].name), cases[i].kind);
    assert_string_equal(params(cases[i].kind, cases[i].name), cases[i].params);
  }
  assert_int_equal(match("a:b:c"), MW_ENOTFOUND);
  assert_int_equal(match("room:"), MW_ENOTFOUND);
  assert_int_equal(match(""), MW_EINVAL);
  assert_int_equal(match("a\x01"), MW_EINVAL);
  assert_string_equal(params(1, "x:1"), ""); /* the name is of another kind */
  assert_string_equal(params(-1, "x"), "");
  assert_string_equal(params(99, "x"), "");
}

static void overlaps_stop_the_start(void **state) {
  (void)state;
  struct mw_error error = {""};
  assert_int_equal(mw_config_channel(config, "a:{x}", &plain, NULL), 0);
  assert_int_equal(mw_config_channel(config, "{x}:b", &plain, &error), MW_EOVERLAP);
  assert_non_null(strstr(error.text, "\"a:{x}\""));
  assert_non_null(strstr(error.text, "\"{x}:b\""));
  assert_int_equal(mw_config_channel(config, "a:{other}", &plain, NULL), MW_EOVERLAP);
  assert_int_equal(mw_config_channel(config, "a:b", &plain, NULL), 1); /* what was refused took no number */
  assert_int_equal(mw_config_channel(config, "a:b", &plain, NULL), MW_EOVERLAP);
}

static void says_which_option_is_wrong(void **state) {
  (void)state;
  static const struct mw_channel_options bad[] = {{.history_ttl_ms = 5}, {.history_replay = 1}};
  for (size_t i = 0; i < COUNT_OF(bad); i++) {
    struct mw_error error = {""};
    assert_int_equal(mw_config_channel(config, "room:{x}", &bad[i], &error), MW_EINVAL);
    assert_non_null(strstr(error.text, "room:{x}"));
    assert_non_null(strstr(error.text, "history"));
  }
}

static void routes_are_found_by_method_and_path(void **state) {
  (void)state;
  struct mw_error error = {""};
  int get = mw_config_route(config, "GET", "/orders/{id}", NULL);
  int post = mw_config_route(config, "POST", "/orders/{id}", NULL);
  int fixed = mw_config_route(config, "GET", "/orders/new", NULL);
  int stream = mw_config_stream(config, "GET", "/raw/{x}", NULL);
  assert_true(get > 0 && post > 0 && fixed > 0 && stream > 0);
  assert_true(get != post && post != fixed && fixed != stream);
  const struct route *found = config_route(config, BYTES("GET"), BYTES("/orders/7"));
  assert_int_equal(config_route_number(config, found), get);
  assert_int_equal(config_route_number(config, config_route(config, BYTES("POST"), BYTES("/orders/7"))), post);
  assert_int_equal(config_route_number(config, config_route(config, BYTES("GET"), BYTES("/orders/new"))), fixed);
  assert_int_equal(config_route_number(config, config_route(config, BYTES("GET"), BYTES("/raw/a:b"))), stream);
  assert_string_equal(params(get, "/orders/7"), "id=7 ");
  assert_null(config_route(config, BYTES("PUT"), BYTES("/orders/7")));
  assert_null(config_route(config, BYTES("GET"), BYTES("/orders/7/8")));
  assert_int_equal(mw_config_route(config, "GET", "/orders/{other}", &error), MW_EOVERLAP);
  assert_int_equal(mw_config_stream(config, "GET", "/orders/{other}", &error), MW_EOVERLAP); /* it is a GET, too */
  assert_true(mw_config_stream(config, "POST", "/raw/{x}", &error) > 0);
  assert_int_equal(mw_config_stream(config, "POST", "/orders/{other}", &error), MW_EOVERLAP);
  assert_int_equal(mw_config_stream(config, "OPTIONS", "/x", &error), MW_EINVAL);
  assert_int_equal(mw_config_stream(config, "HEAD", "/x", &error), MW_EINVAL);
  assert_int_equal(mw_config_own_origins(config, stream), 0);
  assert_int_equal(mw_config_own_origins(config, stream + 100), MW_ENOTFOUND);
  assert_int_equal(mw_config_route(config, "HEAD", "/x", &error), MW_EINVAL);
  assert_non_null(strstr(error.text, "HEAD"));
  assert_int_equal(mw_config_route(config, "patch", "/x", &error), MW_EINVAL);
  assert_int_equal(mw_config_route(config, "GET", "x", &error), MW_EINVAL);
  assert_int_equal(mw_config_route(config, "GET", "/{x", &error), MW_EINVAL);
}

static void a_catch_all_takes_the_rest(void **state) {
  (void)state;
  struct mw_error error = {""};
  int all = mw_config_route(config, "GET", "/files/{path...}", NULL);
  int one = mw_config_route(config, "GET", "/files/{name}", NULL);
  int deep = mw_config_websocket(config, "/files/deep/{path...}", &(struct mw_websocket_options){.frame_size = 1}, NULL);
  int patch = mw_config_route(config, "PATCH", "/{path...}", NULL);
  assert_true(all > 0 && one > 0 && deep > 0 && patch > 0 && mw_config_route(config, "OPTIONS", "/{path...}", NULL) > 0);
  static const struct {
    const char *path, *params;
  } cases[] = {{"/files/", "path= "}, {"/files/a/b", "path=a/b "}, {"/files/a/", "path=a/ "}};
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    assert_int_equal(config_route_number(config, config_route(config, BYTES("GET"), bytes_string(cases[i].path))), all);
    assert_string_equal(params(all, cases[i].path), cases[i].params);
  }
  assert_int_equal(config_route_number(config, config_route(config, BYTES("GET"), BYTES("/files/a"))), one);
  assert_int_equal(config_route_number(config, config_route(config, BYTES("GET"), BYTES("/files/deep/"))), deep);
  assert_int_equal(config_route_number(config, config_route(config, BYTES("PATCH"), BYTES("/"))), patch);
  assert_null(config_route(config, BYTES("GET"), BYTES("/files")));
  assert_int_equal(mw_config_stream(config, "GET", "/files/{other...}", &error), MW_EOVERLAP);
  assert_int_equal(mw_config_stream(config, "GET", "/{x}/all", &error), MW_EOVERLAP);
  assert_int_equal(mw_config_stream(config, "GET", "/{x...}/all", &error), MW_EINVAL);
  assert_int_equal(mw_config_channel(config, "a/{x...}", &(struct mw_channel_options){.hooks = 0}, &error), MW_EINVAL);
}

static void the_longest_mount_wins(void **state) {
  (void)state;
  static const struct {
    const char *path, *mount, *rest;
  } cases[] = {
      {"/", "", ""},
      {"/a.txt", "", "a.txt"},
      {"/assets", "/assets", ""},
      {"/assets/", "/assets", ""},
      {"/assets/x/y", "/assets", "x/y"},
      {"/assetsx", "", "assetsx"},
      {"/assets/deep/x", "/assets/deep", "x"},
  };
  assert_int_equal(mw_config_static(config, "/", "/tmp", NULL, NULL), 0);
  assert_int_equal(mw_config_static(config, "/assets", "/usr", NULL, NULL), 0);
  assert_int_equal(mw_config_static(config, "/assets/deep/", "/etc", NULL, NULL), 0);
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    struct bytes rest;
    const struct mount *mount = config_mount(config, bytes_string(cases[i].path), &rest);
    assert_string_equal(mount->path, cases[i].mount);
    assert_bytes_string(rest, cases[i].rest);
  }
}

static void says_what_is_wrong_with_a_mount(void **state) {
  (void)state;
  struct mw_error error = {""};
  struct bytes rest;
  assert_null(config_mount(config, BYTES("/"), &rest));
  assert_int_equal(mw_config_static(config, "assets", "/tmp", NULL, &error), MW_EINVAL);
  assert_int_equal(mw_config_static(config, "/", "/no/such/directory", NULL, &error), MW_EINVAL);
  assert_non_null(strstr(error.text, "/no/such/directory"));
  assert_int_equal(mw_config_static(config, "/", "/etc/passwd", NULL, &error), MW_EINVAL);
  assert_int_equal(mw_config_static(config, "/", "/tmp", NULL, NULL), 0);
  assert_int_equal(mw_config_static(config, "//", "/tmp", NULL, &error), MW_EOVERLAP);
}

static void a_mount_has_options(void **state) {
  (void)state;
  static const struct {
    struct mw_static_options options;
    const char *fallback, *cache, *fault; /* fault: NULL, it is fine */
  } cases[] = {
      {{.fallback = NULL}, NULL, NULL, NULL},
      {{.fallback = "passwd"}, "passwd", NULL, NULL},
      {{.cache_s = 60}, NULL, "max-age=60", NULL},
      {{.is_immutable = true}, NULL, "max-age=31536000, immutable", NULL},
      {{.fallback = "no such file"}, NULL, NULL, "the fallback is not a file of the directory"},
      {{.fallback = "ssl"}, NULL, NULL, "the fallback is not a file of the directory"},
      {{.fallback = ""}, NULL, NULL, "the fallback is not a file of the directory"},
      {{.fallback = "/etc/passwd"}, NULL, NULL, "the fallback must be the path of a file in the directory"},
      {{.fallback = "../etc/passwd"}, NULL, NULL, "the fallback must be the path of a file in the directory"},
      {{.fallback = "ssl/../passwd"}, NULL, NULL, "the fallback must be the path of a file in the directory"},
      {{.fallback = ".hidden"}, NULL, NULL, "the fallback must be the path of a file in the directory"},
  };
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    char path[16];
    struct mw_error error = {""};
    struct bytes rest;
    snprintf(path, sizeof path, "/m%zu", i);
    int status = mw_config_static(config, path, "/etc", &cases[i].options, &error);
    if (cases[i].fault) {
      assert_int_equal(status, MW_EINVAL);
      assert_non_null(strstr(error.text, cases[i].fault));
      continue;
    }
    assert_int_equal(status, 0);
    const struct mount *mount = config_mount(config, bytes_string(path), &rest);
    assert_bytes_string(bytes_string(mount->fallback), cases[i].fallback);
    assert_bytes_string(bytes_string(mount->cache), cases[i].cache);
  }
}

#define FIELD(name, value)                                                                                                       \
  {                                                                                                                              \
    {"" name, sizeof name - 1}, { "" value, sizeof value - 1 }                                                                   \
  }

static void a_mount_has_header_fields(void **state) {
  (void)state;
  static const struct {
    struct mw_http_field fields[2];
    size_t count;
    const char *fault; /* NULL: it is fine */
  } cases[] = {
      {{FIELD("Content-Security-Policy", "default-src 'self'"), FIELD("X-Empty", "")}, 2, NULL},
      {{FIELD("X-Text", "two\twords and \xc3\xa4")}, 1, NULL},
      {{FIELD("", "x")}, 1, "the name of a header must be"},
      {{FIELD("X Y", "x")}, 1, "the name of a header must be"},
      {{FIELD("X:", "x")}, 1, "the name of a header must be"},
      {{FIELD("X-\xc3\xa4", "x")}, 1, "the name of a header must be"},
      {{FIELD("X", "a\r\nB: c")}, 1, "must not have control characters"},
      {{FIELD("X", "a\0b")}, 1, "must not have control characters"},
      {{FIELD("X", " a")}, 1, "must not begin or end with a space"},
      {{FIELD("X", "a\t")}, 1, "must not begin or end with a space"},
      {{FIELD("X-A", "1"), FIELD("x-a", "2")}, 2, "\"x-a\": this header is there twice"},
      {{FIELD("Content-Length", "1")}, 1, "\"Content-Length\": this header is set by the server itself"},
      {{FIELD("connection", "close")}, 1, "set by the server itself"},
      {{FIELD("Date", "today")}, 1, "set by the server itself"},
      {{FIELD("content-type", "text/html")}, 1, "set by the server itself"},
      {{FIELD("Cache-Control", "no-store")}, 1, "set by the server itself"},
      {{FIELD("ETag", "\"1\"")}, 1, "set by the server itself"},
  };
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    char path[16];
    struct mw_error error = {""};
    struct bytes rest;
    struct mw_static_options options = {.fields = cases[i].fields, .field_count = cases[i].count};
    snprintf(path, sizeof path, "/m%zu", i);
    int status = mw_config_static(config, path, "/etc", &options, &error);
    if (cases[i].fault) {
      assert_int_equal(status, MW_EINVAL);
      if (!strstr(error.text, cases[i].fault)) fail_msg("%zu: %s", i, error.text);
      assert_null(config_mount(config, bytes_string(path), &rest));
      continue;
    }
    assert_int_equal(status, 0);
    const struct mount *mount = config_mount(config, bytes_string(path), &rest);
    struct http_field field;
    size_t cursor = 0;
    for (size_t n = 0; n < cases[i].count; n++) {
      assert_true(http_fields_next(&mount->fields, &cursor, &field));
      assert_bytes(field.name, bytes_of(cases[i].fields[n].name.ptr, cases[i].fields[n].name.len));
      assert_bytes(field.value, bytes_of(cases[i].fields[n].value.ptr, cases[i].fields[n].value.len));
    }
    assert_false(http_fields_next(&mount->fields, &cursor, &field));
  }
}

static void header_fields_of_a_mount_are_bounded(void **state) {
  (void)state;
  static char text[MOUNT_FIELDS_MAX];
  memset(text, 'x', sizeof text);
  struct mw_http_field field = {{"X", 1}, {text, sizeof text - 3}}; /* each text has a NUL */
  struct mw_static_options options = {.fields = &field, .field_count = 1};
  assert_int_equal(mw_config_static(config, "/most", "/etc", &options, NULL), 0);
  struct mw_error error = {""};
  field.value.len++;
  assert_int_equal(mw_config_static(config, "/more", "/etc", &options, &error), MW_EINVAL);
  assert_non_null(strstr(error.text, "the headers exceed 8 KiB"));
}

static void routes_have_options(void **state) {
  (void)state;
  int route = mw_config_route(config, "POST", "/callback", NULL);
  assert_int_equal(mw_config_cross_site(config, route), 0);
  assert_true(config_route_at(config, route)->is_cross_site);
  assert_int_equal(mw_config_cross_site(config, route + 1), MW_ENOTFOUND);
  assert_int_equal(mw_config_cross_site(config, 0), MW_ENOTFOUND);
  assert_int_equal(mw_config_cross_site(config, -1), MW_ENOTFOUND);
  int other = mw_config_not_found(config, NULL);
  assert_int_equal(other, route + 1);
  assert_null(config_route(config, BYTES("GET"), BYTES("/nothing")));
  struct mw_error error = {""};
  assert_int_equal(mw_config_not_found(config, &error), MW_EOVERLAP);
  assert_non_null(strstr(error.text, "there is such a route already"));
}

static void origins_are_checked(void **state) {
  (void)state;
  struct mw_error error = {""};
  assert_int_equal(config_check_origin(config, BYTES("https://a.example")), ORIGIN_REFUSED);
  assert_int_equal(mw_config_origin(config, "a.example", &error), MW_EINVAL);
  assert_non_null(strstr(error.text, "a.example"));
  assert_int_equal(mw_config_origin(config, "https://a.example", NULL), 0);
  assert_int_equal(config_check_origin(config, BYTES("https://a.example")), ORIGIN_LISTED);
  assert_int_equal(config_check_origin(config, BYTES("https://b.example")), ORIGIN_REFUSED);
  assert_int_equal(mw_config_origin(config, "*", NULL), 0);
  assert_int_equal(config_check_origin(config, BYTES("https://a.example")), ORIGIN_LISTED);
  assert_int_equal(config_check_origin(config, BYTES("https://b.example")), ORIGIN_ANY);
}

static void options_are_copied_and_checked(void **state) {
  (void)state;
  struct mw_config_options good, options;
  struct mw_config *made;
  struct mw_error error = {""};
  char key[] = "secret";
  mw_config_options_init(&good);
  options = good;
  options.publish_key = key;
  options.path_sse = "";
  assert_int_equal(mw_config_new(&made, &options, NULL), 0);
  key[0] = 'x';
  assert_string_equal(made->options.publish_key, "secret");
  assert_bytes_string(config_path(made, ENDPOINT_SSE), "");
  assert_bytes_string(config_path(made, ENDPOINT_HEALTH), "/health");
  mw_config_unref(made);
  mw_config_unref(NULL);
  static const struct {
    const char *key, *sse, *publish, *health;
    size_t queue;
    uint64_t idle_ms;
    const char *word;
  } bad[] = {
      {"", NULL, NULL, NULL, 1, 1, "publish_key: is empty"},
      {"secret\n", NULL, NULL, NULL, 1, 1, "publish_key: has a newline"},
      {"secret\r\n", NULL, NULL, NULL, 1, 1, "publish_key: has a newline"},
      {"sec\tret", NULL, NULL, NULL, 1, 1, "publish_key: has a newline"},
      {"secret\x7f", NULL, NULL, NULL, 1, 1, "publish_key: has a newline"},
      {" secret", NULL, NULL, NULL, 1, 1, "publish_key: begins or ends with a space"},
      {"secret ", NULL, NULL, NULL, 1, 1, "publish_key: begins or ends with a space"},
      {" ", NULL, NULL, NULL, 1, 1, "publish_key: begins or ends with a space"},
      {NULL, "sse", NULL, NULL, 1, 1, "paths"},
      {NULL, "/a", "/a", NULL, 1, 1, "paths"},
      {NULL, NULL, "/sse", NULL, 1, 1, "paths"},
      {NULL, "/health", NULL, NULL, 1, 1, "paths"},
      {NULL, NULL, NULL, NULL, 0, 1, "limits"},
      {NULL, NULL, NULL, NULL, 1, 0, "limits"},
  };
  for (size_t i = 0; i < COUNT_OF(bad); i++) {
    options = good;
    options.publish_key = bad[i].key;
    options.path_sse = bad[i].sse;
    options.path_publish = bad[i].publish;
    options.path_health = bad[i].health;
    options.limits.queue = bad[i].queue;
    options.limits.idle_ms = bad[i].idle_ms;
    error.text[0] = '\0';
    assert_int_equal(mw_config_new(&made, &options, &error), MW_EINVAL);
    assert_non_null(strstr(error.text, bad[i].word));
  }
}

static void each_limit_has_its_least_value(void **state) {
  (void)state;
#define LEAST(name, least)                                                                                                       \
  { offsetof(struct mw_limits, name), sizeof((struct mw_limits *)NULL)->name, least, #name }
  static const struct {
    size_t offset, size;
    uint64_t least;
    const char *name;
  } limits[] = {LEAST(head, 256),       LEAST(target, 16),         LEAST(fields, 8),      LEAST(message_size, 1),
                LEAST(outbox, 1),       LEAST(queue, 1),           LEAST(body, 1),        LEAST(replay, 1),
                LEAST(replay_bytes, 1), LEAST(history, 1),         LEAST(connections, 1), LEAST(channels, 1),
                LEAST(marks, 1),        LEAST(client_channels, 1), LEAST(waiting, 1),     LEAST(head_ms, 1),
                LEAST(body_ms, 1),      LEAST(message_ms, 1),      LEAST(idle_ms, 1),     LEAST(answer_ms, 1),
                LEAST(heartbeat_ms, 1), LEAST(progress_ms, 1),     LEAST(poll_ms, 1),     LEAST(poll_client_ms, 1)};
  for (size_t i = 0; i < COUNT_OF(limits); i++) {
    for (unsigned less = 0; less < 2; less++) {
      struct mw_config_options options;
      struct mw_config *made = NULL;
      uint64_t value = limits[i].least - less;
      size_t as_size = (size_t)value;
      mw_config_options_init(&options);
      memcpy((char *)&options.limits + limits[i].offset, limits[i].size == sizeof value ? (void *)&value : (void *)&as_size,
             limits[i].size);
      int status = mw_config_new(&made, &options, NULL);
      if (status != (less ? MW_EINVAL : 0)) print_error("%s: %llu\n", limits[i].name, (unsigned long long)value);
      assert_int_equal(status, less ? MW_EINVAL : 0);
      mw_config_unref(made);
    }
  }
}

static bool define(void *context) {
  (void)context;
  struct mw_config_options options;
  struct mw_config *made;
  mw_config_options_init(&options);
  options.publish_key = "key";
  if (mw_config_new(&made, &options, NULL) < 0) return false;
  bool ok = true;
  for (unsigned n = 0; n < 5; n++) {
    char text[32];
    struct mw_error error = {""};
    snprintf(text, sizeof text, "/%u/{x}", n);
    struct mw_http_field field = FIELD("X-Frame-Options", "DENY");
    struct mw_static_options files = {.fallback = "passwd", .cache_s = 1, .fields = &field, .field_count = 1};
    int statuses[] = {mw_config_channel(made, text, &plain, &error), mw_config_route(made, "GET", text, &error),
                      mw_config_static(made, text, "/etc", &files, &error), mw_config_origin(made, "https://a.example", &error)};
    for (size_t i = 0; i < COUNT_OF(statuses); i++) {
      assert_true(statuses[i] >= 0 || (statuses[i] == MW_ENOMEM && error.text[0]));
      ok = ok && statuses[i] >= 0;
    }
  }
  mw_config_unref(made);
  return ok;
}

static void stands_failing_memory(void **state) {
  (void)state;
  assert_true(support_fail_each(define, NULL) > 30);
}

#define CONFIG_TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

/* As docs/reference/c_api.md and options.md say. */
static void limits_have_defaults(void **state) {
  (void)state;
  struct mw_limits limits;
  mw_limits_init(&limits);
  assert_in_range(limits.connections, 1, 100000); /* what ulimit -n allows */
  limits.connections = 0;
  struct mw_limits expected = {.target = 8192,
                               .head = 16384,
                               .fields = 100,
                               .body = 1048576,
                               .message_size = 65536,
                               .outbox = 1048576,
                               .replay = 10000,
                               .replay_bytes = 16777216,
                               .history = 268435456,
                               .ws_message_size = 1048576,
                               .input_backlog = 65536,
                               .queue = 67108864,
                               .channels = 1000000,
                               .marks = 1000000,
                               .client_channels = 100,
                               .client_names = 10000,
                               .address_names = 100000,
                               .address_polls = 20000,
                               .waiting = 10000,
                               .address_connections = 10000,
                               .user_connections = 1000,
                               .address_handshakes = {.per_second = 200, .burst = 2000},
                               .rate = {.per_second = 100, .burst = 200},
                               .verb_rate = {.per_second = 100},
                               .head_ms = 10000,
                               .body_ms = 30000,
                               .message_ms = 30000,
                               .idle_ms = 75000,
                               .answer_ms = 30000,
                               .heartbeat_ms = 15000,
                               .connect_ms = 10000,
                               .ping_ms = 25000,
                               .pong_ms = 10000,
                               .progress_ms = 30000,
                               .drain_ms = 5000,
                               .poll_ms = 30000,
                               .poll_client_ms = 30000};
  assert_memory_equal(&limits, &expected, sizeof limits);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      CONFIG_TEST(the_most_special_pattern_wins),
      CONFIG_TEST(overlaps_stop_the_start),
      CONFIG_TEST(limits_have_defaults),
      CONFIG_TEST(each_limit_has_its_least_value),
      CONFIG_TEST(says_which_option_is_wrong),
      CONFIG_TEST(routes_are_found_by_method_and_path),
      CONFIG_TEST(a_catch_all_takes_the_rest),
      CONFIG_TEST(the_longest_mount_wins),
      CONFIG_TEST(says_what_is_wrong_with_a_mount),
      CONFIG_TEST(a_mount_has_options),
      CONFIG_TEST(a_mount_has_header_fields),
      CONFIG_TEST(header_fields_of_a_mount_are_bounded),
      CONFIG_TEST(routes_have_options),
      CONFIG_TEST(origins_are_checked),
      CONFIG_TEST(options_are_copied_and_checked),
      CONFIG_TEST(stands_failing_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
