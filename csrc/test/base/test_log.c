#define _POSIX_C_SOURCE 200809L /* dup2, fileno */

#include <pthread.h>
#include <unistd.h>

#include "base/log.h"
#include "test/support.h"

struct heard {
  int count;
  enum mw_log_level level;
  char text[20000];
  size_t len;
};

static struct heard heard;

static void hear(void *context, enum mw_log_level level, const char *text, size_t text_len) {
  assert_ptr_equal(context, &heard);
  assert_int_equal(text[text_len], '\0');
  heard.count++;
  heard.level = level;
  heard.len = text_len;
  memcpy(heard.text, text, text_len);
}

static int listen_to_all(void **state) {
  heard.count = 0;
  mw_log_to(MW_LOG_DEBUG, hear, &heard);
  return support_setup(state);
}

static int stop_listening(void **state) {
  mw_log_to(MW_LOG_INFO, NULL, NULL);
  return support_teardown(state);
}

#define assert_heard(string) assert_bytes_string(bytes_of(heard.text, heard.len), string)

static void hands_over_a_line(void **state) {
  (void)state;
  log_line(MW_LOG_WARNING, "%s is %d", "x", 5);
  assert_heard("x is 5");
  assert_int_equal(heard.level, MW_LOG_WARNING);
  log_line(MW_LOG_DEBUG, "%s", "");
  assert_heard("");
  assert_int_equal(heard.count, 2);
}

static void a_line_cannot_be_forged(void **state) {
  (void)state;
  log_line(MW_LOG_INFO, "a%sb", "\n\r\t\x1b[0m\x7f");
  assert_heard("a\\x0a\\x0d\\x09\\x1b[0m\\x7f"
               "b");
  log_line(MW_LOG_INFO, "\xc3\xa9 \xc2\x9b \xff \xe2\x82");
  assert_heard("\xc3\xa9 \\x9b \\xff \\xe2\\x82");
}

static void text_keeps_its_lines(void **state) {
  (void)state;
  mw_log(MW_LOG_ERROR, "a\n\tb\r\0\n\n", 8);
  assert_heard("a\n    \tb\\x0d\\x00");
  log_text(MW_LOG_ERROR, bytes_of(NULL, 0));
  assert_heard("");
}

static void what_is_too_long_is_cut_between_characters(void **state) {
  (void)state;
  static char text[20000];
  memset(text, 'a', sizeof(text) - 1);
  log_line(MW_LOG_INFO, "%s", text);
  assert_int_equal(heard.len, 4000);
  log_text(MW_LOG_INFO, bytes_string(text));
  assert_int_equal(heard.len, 16000);
  memcpy(text + 3998, "\xe2\x82\xac", 3);
  log_line(MW_LOG_INFO, "%s", text);
  assert_int_equal(heard.text[3997], 'a');
  assert_in_range(heard.len, 3998, 4000);
  assert_null(memchr(heard.text, '\xe2', heard.len));
  memset(text, '\n', sizeof(text) - 1);
  log_line(MW_LOG_INFO, "%s", text);
  assert_int_equal(heard.len, 4000);
}

static void lines_below_the_level_are_dropped(void **state) {
  (void)state;
  mw_log_to(MW_LOG_WARNING, hear, &heard);
  assert_false(log_enabled(MW_LOG_INFO));
  assert_true(log_enabled(MW_LOG_WARNING));
  log_line(MW_LOG_INFO, "a");
  log_text(MW_LOG_DEBUG, BYTES("a"));
  mw_log(MW_LOG_INFO, "a", 1);
  assert_int_equal(heard.count, 0);
  log_line(MW_LOG_ERROR, "a");
  assert_int_equal(heard.count, 1);
}

static void hear_and_log(void *context, enum mw_log_level level, const char *text, size_t text_len) {
  hear(context, level, text, text_len);
  log_line(level, "again");
}

static void a_sink_that_logs_does_not_hang(void **state) {
  (void)state;
  mw_log_to(MW_LOG_INFO, hear_and_log, &heard);
  log_line(MW_LOG_INFO, "a");
  log_line(MW_LOG_INFO, "b");
  assert_heard("b");
  assert_int_equal(heard.count, 2);
}

static void *log_often(void *argument) {
  for (int i = 0; i < 1000; i++) log_line(MW_LOG_INFO, "%s", (const char *)argument);
  return NULL;
}

static void threads_take_turns(void **state) {
  (void)state;
  pthread_t threads[3];
  for (size_t i = 0; i < COUNT_OF(threads); i++) assert_int_equal(pthread_create(&threads[i], NULL, log_often, "x"), 0);
  for (size_t i = 0; i < COUNT_OF(threads); i++) pthread_join(threads[i], NULL);
  assert_int_equal(heard.count, 3000);
}

static void the_default_is_standard_error(void **state) {
  (void)state;
  mw_log_to(MW_LOG_INFO, NULL, NULL);
  FILE *file = tmpfile();
  int saved = dup(fileno(stderr));
  dup2(fileno(file), fileno(stderr));
  log_line(MW_LOG_DEBUG, "not this");
  log_line(MW_LOG_WARNING, "but this");
  dup2(saved, fileno(stderr));
  close(saved);

  char line[80] = "", more[2];
  unsigned year, month, day, hour, minute, second, ms;
  rewind(file);
  assert_non_null(fgets(line, sizeof(line), file));
  assert_null(fgets(more, sizeof(more), file));
  fclose(file);
  assert_int_equal(sscanf(line, "%4u-%2u-%2uT%2u:%2u:%2u.%3uZ", &year, &month, &day, &hour, &minute, &second, &ms), 7);
  assert_string_equal(line + strlen("2026-01-02T03:04:05.678Z"), " warning but this\n");
}

#define HEARD(name) cmocka_unit_test_setup_teardown(name, listen_to_all, stop_listening)

int main(void) {
  const struct CMUnitTest tests[] = {
      HEARD(hands_over_a_line),
      HEARD(a_line_cannot_be_forged),
      HEARD(text_keeps_its_lines),
      HEARD(what_is_too_long_is_cut_between_characters),
      HEARD(lines_below_the_level_are_dropped),
      HEARD(a_sink_that_logs_does_not_hang),
      HEARD(threads_take_turns),
      HEARD(the_default_is_standard_error),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
