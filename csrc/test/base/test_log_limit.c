#define _POSIX_C_SOURCE 200809L /* dup2, fileno */

#include "base/log_limit.h"

#include <poll.h>
#include <pthread.h>
#include <unistd.h>

#include "test/support.h"

/* The clock of the limits is the system's: tests are quicker than the second of a place, or wait
 * for its end. */
static struct {
  int count;
  char text[20000]; /* of the last line */
} heard;

static void hear(void *context, enum mw_log_level level, const char *text, size_t text_len) {
  (void)context;
  (void)level;
  heard.count++;
  memcpy(heard.text, text, text_len + 1);
}

static int listen_to_all(void **state) {
  heard.count = 0;
  mw_log_to(MW_LOG_DEBUG, hear, NULL);
  return support_setup(state);
}

static int stop_listening(void **state) {
  mw_log_to(MW_LOG_INFO, NULL, NULL);
  return support_teardown(state);
}

static void complain(int i) { log_limited(MW_LOG_WARNING, "complaint %d", i); }
static void grumble(int i) { log_limited(MW_LOG_WARNING, "grumble %d", i); }
static void trace(int i) { log_limited(MW_LOG_DEBUG, "trace %d", i); }

static void log_fault(const char *place, const char *text, const char *traceback) {
  struct mw_log_error error = {
      MW_LOG_ERROR, {place, strlen(place)}, {"", 0}, {text, strlen(text)}, {traceback, strlen(traceback)}};
  mw_log_error(&error);
}

static void a_place_has_one_line_a_second(void **state) {
  (void)state;
  for (int i = 0; i < 1000; i++) complain(i);
  assert_int_equal(heard.count, 1);
  assert_string_equal(heard.text, "complaint 0");
  poll(NULL, 0, 1010);
  complain(1000);
  assert_int_equal(heard.count, 2);
  assert_string_equal(heard.text, "complaint 1000 (999 similar lines were not written)");
}

static void places_are_counted_apart(void **state) {
  (void)state;
  for (int i = 0; i < 10; i++) {
    complain(i);
    grumble(i);
  }
  assert_int_equal(heard.count, 2);
}

static void a_new_sink_starts_afresh(void **state) {
  (void)state;
  complain(1);
  complain(2);
  mw_log_to(MW_LOG_DEBUG, hear, NULL);
  complain(3);
  assert_int_equal(heard.count, 2);
  assert_string_equal(heard.text, "complaint 3");
}

static void debug_lines_may_be_many(void **state) {
  (void)state;
  for (int i = 0; i < 2 * LOG_DEBUG_MAX; i++) trace(i);
  assert_in_range(heard.count, LOG_DEBUG_MAX, LOG_DEBUG_MAX + 1);
}

static void a_level_that_is_not_kept_costs_no_turn(void **state) {
  (void)state;
  mw_log_to(MW_LOG_ERROR, hear, NULL);
  complain(1);
  assert_int_equal(heard.count, 0);
}

static void *complain_often(void *argument) {
  (void)argument;
  for (int i = 0; i < 1000; i++) complain(i);
  return NULL;
}

static void threads_share_a_place(void **state) {
  (void)state;
  pthread_t threads[3];
  for (size_t i = 0; i < COUNT_OF(threads); i++) pthread_create(&threads[i], NULL, complain_often, NULL);
  for (size_t i = 0; i < COUNT_OF(threads); i++) pthread_join(threads[i], NULL);
  assert_in_range(heard.count, 1, 3); /* a slow machine may take more than a second */
}

static void an_error_has_its_traceback_once(void **state) {
  (void)state;
  assert_true(mw_log_error_is_new("a:1", 3, "boom", 4));
  log_fault("a:1", "boom", "traceback");
  assert_string_equal(heard.text, "boom\n    traceback");
  assert_false(mw_log_error_is_new("a:1", 3, "boom", 4));
  assert_true(mw_log_error_is_new("a:2", 3, "boom", 4));
  assert_true(mw_log_error_is_new("a:1", 3, "bang", 4));
  for (int i = 0; i < 10; i++) log_fault("a:1", "boom", "traceback");
  assert_int_equal(heard.count, 1);
  poll(NULL, 0, 1010);
  log_fault("a:1", "boom", "traceback");
  assert_string_equal(heard.text, "boom (10 similar lines were not written)");
}

static void a_place_is_limited_whatever_its_errors_say(void **state) {
  (void)state;
  char text[40];
  for (int i = 0; i < 100; i++) {
    snprintf(text, sizeof text, "bad value %d", i);
    log_fault("a:1", text, "traceback");
  }
  assert_int_equal(heard.count, 1);
}

static void places_without_number_are_limited_together(void **state) {
  (void)state;
  char place[40];
  for (int i = 0; i < 10000; i++) {
    snprintf(place, sizeof place, "file%d.lua:1", i);
    log_fault(place, "boom", "");
  }
  assert_in_range(heard.count, 64, 65 * 3);
}

static void a_long_message_leaves_room_for_its_traceback(void **state) {
  (void)state;
  static char text[30000];
  memset(text, 'a', sizeof text - 1);
  log_fault("a:3", text, "the end");
  assert_non_null(strstr(heard.text, "the end"));
}

/* On standard error the log's thread tells what nothing came after. */
static void the_last_count_is_told_as_well(void **state) {
  (void)state;
  char text[2000] = "";
  FILE *file = tmpfile();
  int saved = dup(STDERR_FILENO);
  dup2(fileno(file), STDERR_FILENO);
  mw_log_to(MW_LOG_INFO, NULL, NULL);
  log_start();
  for (int i = 0; i < 8; i++) complain(i);
  log_stop(); /* it does not wait for the second to be over */
  dup2(saved, STDERR_FILENO);
  close(saved);
  rewind(file);
  size_t len = fread(text, 1, sizeof text - 1, file);
  fclose(file);
  assert_true(len > 0);
  assert_non_null(strstr(text, "complaint 0\n"));
  assert_non_null(strstr(text, "7 similar lines were not written: complaint 0\n"));
}

static void a_count_is_told_while_the_server_runs(void **state) {
  (void)state;
  int ends[2];
  char text[2000] = "";
  size_t len = 0;
  assert_int_equal(pipe(ends), 0);
  int saved = dup(STDERR_FILENO);
  dup2(ends[1], STDERR_FILENO);
  mw_log_to(MW_LOG_INFO, NULL, NULL);
  log_start();
  for (int i = 0; i < 8; i++) complain(i);
  struct pollfd pollfd = {.fd = ends[0], .events = POLLIN};
  while (!strstr(text, "7 more") && poll(&pollfd, 1, 5000) > 0) len += (size_t)read(ends[0], text + len, sizeof text - 1 - len);
  log_stop();
  dup2(saved, STDERR_FILENO);
  close(saved);
  close(ends[0]);
  close(ends[1]);
  assert_non_null(strstr(text, "7 similar lines were not written: complaint 0\n"));
}

#define HEARD(name) cmocka_unit_test_setup_teardown(name, listen_to_all, stop_listening)

int main(void) {
  const struct CMUnitTest tests[] = {
      HEARD(a_place_has_one_line_a_second),
      HEARD(places_are_counted_apart),
      HEARD(a_new_sink_starts_afresh),
      HEARD(debug_lines_may_be_many),
      HEARD(a_level_that_is_not_kept_costs_no_turn),
      HEARD(threads_share_a_place),
      HEARD(an_error_has_its_traceback_once),
      HEARD(a_place_is_limited_whatever_its_errors_say),
      HEARD(places_without_number_are_limited_together),
      HEARD(a_long_message_leaves_room_for_its_traceback),
      HEARD(the_last_count_is_told_as_well),
      HEARD(a_count_is_told_while_the_server_runs),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
