#define _POSIX_C_SOURCE 200809L /* dup2, pipe */

#include "base/overrun.h"

#include <poll.h>
#include <pthread.h>
#include <unistd.h>

#include "base/log.h"
#include "test/support.h"

static void describe(void *context, char *text, size_t size) { snprintf(text, size, "handler %s", (const char *)context); }

static int saved, read_end;
static char heard[4000];
static size_t heard_len;

static void redirect(void) {
  int ends[2];
  assert_int_equal(pipe(ends), 0);
  saved = dup(STDERR_FILENO);
  dup2(ends[1], STDERR_FILENO);
  close(ends[1]);
  read_end = ends[0];
  heard_len = 0;
  memset(heard, 0, sizeof heard);
}

static void restore(void) {
  struct pollfd pollfd = {.fd = read_end, .events = POLLIN};
  while (poll(&pollfd, 1, 0) > 0) {
    ssize_t len = read(read_end, heard + heard_len, sizeof heard - 1 - heard_len);
    if (len <= 0) break;
    heard_len += (size_t)len;
  }
  dup2(saved, STDERR_FILENO);
  close(saved);
  close(read_end);
}

static bool await(const char *text) {
  struct pollfd pollfd = {.fd = read_end, .events = POLLIN};
  while (!strstr(heard, text) && poll(&pollfd, 1, 60000) > 0) {
    ssize_t len = read(read_end, heard + heard_len, sizeof heard - 1 - heard_len);
    if (len <= 0) break;
    heard_len += (size_t)len;
  }
  return strstr(heard, text) != NULL;
}

static void what_runs_too_long_is_named_while_it_runs_and_at_its_end(void **state) {
  (void)state;
  struct overrun overrun;
  redirect();
  log_start();
  overrun_init(&overrun);
  overrun_begin(&overrun, describe, "one");
  bool is_named = await("handler one has been running for");
  overrun_end(&overrun);
  overrun_deinit(&overrun);
  log_stop();
  restore();
  assert_true(is_named);
  assert_non_null(strstr(heard, "handler one ran for "));
}

static void what_is_quick_is_not_named(void **state) {
  (void)state;
  struct overrun overrun;
  redirect();
  log_start();
  overrun_init(&overrun);
  for (int i = 0; i < 130; i++) { /* more than a second in all */
    overrun_begin(&overrun, describe, "quick");
    poll(NULL, 0, 10);
    overrun_end(&overrun);
  }
  overrun_deinit(&overrun);
  log_stop();
  restore();
  assert_int_equal(heard_len, 0);
}

static void two_servers_are_watched_apart(void **state) {
  (void)state;
  struct overrun a, b;
  redirect();
  log_start();
  overrun_init(&a);
  overrun_init(&b);
  overrun_begin(&a, describe, "a");
  bool is_named = await("handler a has been running for");
  overrun_begin(&b, describe, "b");
  overrun_end(&b);
  overrun_end(&a);
  overrun_deinit(&a);
  overrun_deinit(&b);
  log_stop();
  restore();
  assert_true(is_named);
  assert_null(strstr(heard, "handler b"));
}

static pthread_t sink_thread;
static int sink_count;

static void hear(void *context, enum mw_log_level level, const char *text, size_t text_len) {
  (void)context;
  (void)level;
  (void)text_len;
  sink_thread = pthread_self();
  sink_count++;
  snprintf(heard, sizeof heard, "%s", text);
}

static void a_sink_hears_of_it_on_the_thread_that_ran(void **state) {
  (void)state;
  struct overrun overrun;
  mw_log_to(MW_LOG_INFO, hear, NULL);
  sink_count = 0;
  log_start();
  overrun_init(&overrun);
  overrun_begin(&overrun, describe, "one");
  poll(NULL, 0, 2200); /* the log's thread has looked twice */
  overrun_end(&overrun);
  overrun_deinit(&overrun);
  log_stop();
  mw_log_to(MW_LOG_INFO, NULL, NULL);
  assert_int_equal(sink_count, 1);
  assert_true(pthread_equal(sink_thread, pthread_self()));
  assert_non_null(strstr(heard, "handler one ran for "));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(what_runs_too_long_is_named_while_it_runs_and_at_its_end),
      TEST(what_is_quick_is_not_named),
      TEST(two_servers_are_watched_apart),
      TEST(a_sink_hears_of_it_on_the_thread_that_ran),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
