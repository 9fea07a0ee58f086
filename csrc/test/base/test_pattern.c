#include "base/memory.h"
#include "base/pattern.h"
#include "test/support.h"

static const char *const channels = ":/", *const routes = "/";

/* "room=1 user=2" for what the captures took, or "-" if the name does not match. */
static void check_match(const char *pattern_text, const char *dividers, const char *name, const char *expected) {
  struct pattern pattern;
  struct bytes values[PATTERN_SEGMENTS_MAX];
  char actual[256] = "-";
  assert_int_equal(pattern_init(&pattern, bytes_string(pattern_text), dividers, NULL), 0);
  bool matches = pattern_match(&pattern, bytes_string(name), values);
  assert_int_equal(pattern_match(&pattern, bytes_string(name), NULL), matches);
  if (matches) actual[0] = '\0';
  for (size_t i = 0, len = 0; matches && pattern_capture(&pattern, i).ptr; i++) {
    struct bytes capture = pattern_capture(&pattern, i);
    len += (size_t)snprintf(actual + len, sizeof actual - len, "%s%.*s=%.*s", i > 0 ? " " : "", (int)capture.len, capture.ptr,
                            (int)values[i].len, values[i].ptr);
  }
  if (strcmp(actual, expected) != 0) print_error("pattern %s, name %s\n", pattern_text, name);
  assert_string_equal(actual, expected);
  pattern_deinit(&pattern);
}

static void matches_names_of_channels(void **state) {
  (void)state;
  static const struct {
    const char *pattern, *name, *captures;
  } cases[] = {
      {"news", "news", ""},
      {"news", "new", "-"},
      {"news", "newsy", "-"},
      {"news", "news:", "-"},
      {"news", "", "-"},
      {"room:{room}", "room:1", "room=1"},
      {"room:{room}", "room:", "-"},
      {"room:{room}", "room", "-"},
      {"room:{room}", "room/1", "-"},
      {"room:{room}", "room:1:2", "-"},
      {"room:{room}", "room:1/2", "-"},
      {"room:{room}", "room:{room}", "room={room}"},
      {"room:{room}", "room:\xc3\xa4 b.c", "room=\xc3\xa4 b.c"},
      {"{a}", "x", "a=x"},
      {"{a}", "x:y", "-"},
      {"{a}:{b}/{c}", "1:2/3", "a=1 b=2 c=3"},
      {"{a}:{b}/{c}", "1/2:3", "-"},
      {"{a}:{b}/{c}", "1::/3", "-"},
      {"a::{b}", "a::1", "b=1"},
      {"a::{b}", "a:x:1", "-"},
      {"a:", "a:", ""},
      {"a:", "a", "-"},
      {":a", ":a", ""},
      {"{_x1}:end", "y:end", "_x1=y"},
  };
  for (size_t i = 0; i < COUNT_OF(cases); i++) check_match(cases[i].pattern, channels, cases[i].name, cases[i].captures);
}

static void matches_paths(void **state) {
  (void)state;
  static const struct {
    const char *pattern, *path, *captures;
  } cases[] = {
      {"/", "/", ""},
      {"/", "//", "-"},
      {"/orders/{id}", "/orders/7", "id=7"},
      {"/orders/{id}", "/orders/a:b", "id=a:b"}, /* a colon divides only channels */
      {"/orders/{id}", "/orders/", "-"},
      {"/orders/{id}", "/orders/7/", "-"},
      {"/files/{path...}", "/files/a", "path=a"},
      {"/files/{path...}", "/files/a/b//c.txt", "path=a/b//c.txt"},
      {"/files/{path...}", "/files/a/", "path=a/"},
      {"/files/{path...}", "/files/", "path="},
      {"/files/{path...}", "/files", "-"},
      {"/files/{path...}", "/file/a", "-"},
      {"/{path...}", "/", "path="},
      {"/{path...}", "/a/b", "path=a/b"},
      {"/{path...}", "", "-"},
      {"/{user}/{path...}", "/ada/x/y", "user=ada path=x/y"},
      {"/{user}/{path...}", "/ada/", "user=ada path="},
      {"/{user}/{path...}", "/ada", "-"},
      {"/{user}/{path...}", "//x", "-"},
      {"/{path...}", "/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17", "path=1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17"},
  };
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    check_match(cases[i].pattern, routes, cases[i].path, cases[i].captures);
  }
}

static void stands_the_most_segments(void **state) {
  (void)state;
  check_match("a:a:a:a:a:a:a:a:a:a:a:a:a:a:a:{p}", channels, "a:a:a:a:a:a:a:a:a:a:a:a:a:a:a:z", "p=z");
  check_match("a:a:a:a:a:a:a:a:a:a:a:a:a:a:a:{p}", channels, "a:a:a:a:a:a:a:a:a:a:a:a:a:a:a:z:a:a", "-");
}

static void says_what_is_malformed(void **state) {
  (void)state;
  static char long_text[257];
  memset(long_text, 'x', sizeof long_text - 1);
  static const struct {
    const char *pattern, *fault;
  } cases[] = {
      {"", "is empty"},
      {long_text, "is longer than 255 bytes"},
      {"a:b:c:d:e:f:g:h:i:j:k:l:m:n:o:p:q", "has more than 16 segments"},
      {"room:{", "a capture must be a whole segment"},
      {"room:}", "a capture must be a whole segment"},
      {"room:{a", "a capture must be a whole segment"},
      {"room:a}", "a capture must be a whole segment"},
      {"room:x{a}", "a capture must be a whole segment"},
      {"room:{a}x", "a capture must be a whole segment"},
      {"room:{}", "the name of a capture must be"},
      {"room:{1a}", "the name of a capture must be"},
      {"room:{a-b}", "the name of a capture must be"},
      {"room:{a}{b}", "the name of a capture must be"},
      {"{a}:{b}:{a}", "two captures have the same name"},
      {"a:{b...}", "only a route can end in a catch-all"},
      {"{...}", "the name of a capture must be"},
  };
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    struct pattern pattern;
    struct mw_error error = {""};
    assert_int_equal(pattern_init(&pattern, bytes_string(cases[i].pattern), channels, NULL), MW_EINVAL);
    assert_int_equal(pattern_init(&pattern, bytes_string(cases[i].pattern), channels, &error), MW_EINVAL);
    if (!strstr(error.text, cases[i].fault)) print_error("\"%s\" instead of \"%s\"\n", error.text, cases[i].fault);
    assert_non_null(strstr(error.text, cases[i].fault));
    if (strlen(cases[i].pattern) < 100) assert_non_null(strstr(error.text, cases[i].pattern));
  }
}

static void says_what_is_malformed_in_a_route(void **state) {
  (void)state;
  static const struct {
    const char *pattern, *fault;
  } cases[] = {
      {"/{a...}/b", "a catch-all such as {path...} must be the last segment"},
      {"/{a...}/", "a catch-all such as {path...} must be the last segment"},
      {"/{...}", "the name of a capture must be"},
      {"/{a..}", "the name of a capture must be"},
      {"/{a....}", "the name of a capture must be"},
      {"/{1...}", "the name of a capture must be"},
      {"/x{a...}", "a capture must be a whole segment"},
      {"/{a...}x", "a capture must be a whole segment"},
      {"/{a}/{a...}", "two captures have the same name"},
  };
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    struct pattern pattern;
    struct mw_error error = {""};
    assert_int_equal(pattern_init(&pattern, bytes_string(cases[i].pattern), routes, &error), MW_EINVAL);
    if (!strstr(error.text, cases[i].fault)) print_error("\"%s\" instead of \"%s\"\n", error.text, cases[i].fault);
    assert_non_null(strstr(error.text, cases[i].fault));
  }
}

/* Also of a long pattern: the reason is what the reader needs. */
static void says_what_is_wrong_with_a_long_pattern(void **state) {
  (void)state;
  char text[251];
  struct pattern pattern;
  struct mw_error error = {""};
  memset(text, 'x', sizeof text);
  text[250] = '}';
  assert_int_equal(pattern_init(&pattern, bytes_of(text, sizeof text), channels, &error), MW_EINVAL);
  assert_non_null(strstr(error.text, "as in \"room:{room}\""));
}

static void check_order(const char *one, const char *other, const char *dividers, enum pattern_order order) {
  struct pattern first, second;
  enum pattern_order mirrored = order;
  if (order == PATTERN_FIRST) mirrored = PATTERN_SECOND;
  assert_int_equal(pattern_init(&first, bytes_string(one), dividers, NULL), 0);
  assert_int_equal(pattern_init(&second, bytes_string(other), dividers, NULL), 0);
  if (pattern_compare(&first, &second) != order) print_error("%s and %s\n", one, other);
  assert_int_equal(pattern_compare(&first, &second), order);
  assert_int_equal(pattern_compare(&second, &first), mirrored);
  pattern_deinit(&first);
  pattern_deinit(&second);
}

static void knows_which_is_more_special(void **state) {
  (void)state;
  static const struct {
    const char *first, *second;
    enum pattern_order order;
  } cases[] = {
      {"a", "b", PATTERN_DISJOINT},
      {"a", "a:b", PATTERN_DISJOINT},
      {"a:{x}", "a/{x}", PATTERN_DISJOINT},
      {"a:{x}", "b:{x}", PATTERN_DISJOINT},
      {"a:{x}:b", "a:{x}:c", PATTERN_DISJOINT},
      {"a:{x}", "a:", PATTERN_DISJOINT}, /* a capture is never empty */
      {"a", "a", PATTERN_OVERLAP},
      {"a:{x}", "a:{y}", PATTERN_OVERLAP},
      {"a:{x}", "{y}:b", PATTERN_OVERLAP},
      {"a:{x}:{y}", "{x}:b:c", PATTERN_OVERLAP},
      {"a:b", "a:{x}", PATTERN_FIRST},
      {"a:{x}", "{x}:{y}", PATTERN_FIRST},
      {"a:{x}:c", "a:{x}:{y}", PATTERN_FIRST},
  };
  for (size_t i = 0; i < COUNT_OF(cases); i++) check_order(cases[i].first, cases[i].second, channels, cases[i].order);
}

static void a_catch_all_is_the_least_special(void **state) {
  (void)state;
  static const struct {
    const char *first, *second;
    enum pattern_order order;
  } cases[] = {
      {"/a/b", "/a/{x...}", PATTERN_FIRST},
      {"/a/{b}", "/a/{x...}", PATTERN_FIRST},
      {"/a/", "/a/{x...}", PATTERN_FIRST},
      {"/a", "/a/{x...}", PATTERN_DISJOINT},
      {"/a/b/c/d", "/a/{x...}", PATTERN_FIRST},
      {"/b/c", "/a/{x...}", PATTERN_DISJOINT},
      {"/", "/{x...}", PATTERN_FIRST},
      {"/a/b/{x...}", "/a/{x...}", PATTERN_FIRST},
      {"/a/{x...}", "/{x}/{y...}", PATTERN_FIRST},
      {"/a/{b}/{x...}", "/a/{x...}", PATTERN_FIRST},
      {"/a/{x...}", "/a/{y...}", PATTERN_OVERLAP},
      {"/a/{x...}", "/b/{x...}", PATTERN_DISJOINT},
      {"/a/{x...}", "/{y}/b", PATTERN_OVERLAP},
      {"/a/{x...}", "/{y}/b/{z...}", PATTERN_OVERLAP},
      {"/{x}/b", "/{y...}", PATTERN_FIRST},
      {"/{x}/{y...}", "/a", PATTERN_DISJOINT},
  };
  for (size_t i = 0; i < COUNT_OF(cases); i++) check_order(cases[i].first, cases[i].second, routes, cases[i].order);
}

/* Disjoint is a promise: of all short names none may match both. The more special one matches
 * nothing that the other does not. */
static void check_all_names(const char *one, const char *other, const char *dividers) {
  static const char letters[] = "ab:/";
  struct pattern first, second;
  bool together = false, only_first = false, only_second = false;
  pattern_init(&first, bytes_string(one), dividers, NULL);
  pattern_init(&second, bytes_string(other), dividers, NULL);
  for (unsigned n = 0; n < 5 * 5 * 5 * 5 * 5; n++) {
    char name[6] = "";
    size_t len = 0;
    for (unsigned rest = n; rest > 0 && rest % 5 > 0; rest /= 5) name[len++] = letters[rest % 5 - 1];
    bool by_first = pattern_match(&first, bytes_of(name, len), NULL),
         by_second = pattern_match(&second, bytes_of(name, len), NULL);
    together = together || (by_first && by_second);
    only_first = only_first || (by_first && !by_second);
    only_second = only_second || (by_second && !by_first);
  }
  enum pattern_order order = pattern_compare(&first, &second);
  if (together != (order != PATTERN_DISJOINT)) print_error("%s and %s\n", one, other);
  assert_int_equal(together, order != PATTERN_DISJOINT);
  if (order == PATTERN_FIRST) assert_false(only_first);
  if (order == PATTERN_SECOND) assert_false(only_second);
  pattern_deinit(&first);
  pattern_deinit(&second);
}

static void what_is_disjoint_matches_no_name_together(void **state) {
  (void)state;
  static const char *const texts[] = {"a", "b", "{x}", "a:", ":a", "a:b", "a:{x}", "{x}:b", "{x}:{y}", "a/{x}", "{x}/b", "a::b"};
  for (size_t i = 0; i < COUNT_OF(texts) * COUNT_OF(texts); i++) {
    check_all_names(texts[i / COUNT_OF(texts)], texts[i % COUNT_OF(texts)], channels);
  }
  static const char *const paths[] = {"/",        "/a",          "/a/",           "/a/b",         "/{x}",     "/{x}/b",
                                      "/{x}/{y}", "/{x...}",     "/a/{x...}",     "/b/{x...}",    "//{x...}", "/{x}/{y...}",
                                      "{x...}",   "/a/b/{x...}", "/{x}/b/{y...}", "/a/{x}/{y...}"};
  for (size_t i = 0; i < COUNT_OF(paths) * COUNT_OF(paths); i++) {
    check_all_names(paths[i / COUNT_OF(paths)], paths[i % COUNT_OF(paths)], routes);
  }
}

static bool make_pattern(void *context) {
  struct pattern pattern;
  struct mw_error error = {""};
  int status = pattern_init(&pattern, BYTES("room:{room}"), channels, &error);
  if (status < 0) {
    assert_int_equal(status, MW_ENOMEM);
    assert_string_not_equal(error.text, "");
    return false;
  }
  (void)context;
  pattern_deinit(&pattern);
  return true;
}

static void stands_failing_memory(void **state) {
  (void)state;
  assert_int_equal(support_fail_each(make_pattern, NULL), 2);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(matches_names_of_channels),
      TEST(matches_paths),
      TEST(stands_the_most_segments),
      TEST(says_what_is_malformed),
      TEST(says_what_is_wrong_with_a_long_pattern),
      TEST(says_what_is_malformed_in_a_route),
      TEST(knows_which_is_more_special),
      TEST(a_catch_all_is_the_least_special),
      TEST(what_is_disjoint_matches_no_name_together),
      TEST(stands_failing_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
