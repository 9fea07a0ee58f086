#define _POSIX_C_SOURCE 200809L /* dup2, fileno, kill */

#include "base/log_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "test/support.h"

/* Standard error is a pipe while a test runs. What a test finds out it asserts when that is over:
 * words about a failure must not go into a pipe that no one reads. */
static int saved, read_end;
static char heard[(2 << 20) + 1];
static size_t heard_len;

static void redirect(void) {
  int ends[2];
  assert_int_equal(pipe(ends), 0);
  saved = dup(STDERR_FILENO);
  dup2(ends[1], STDERR_FILENO);
  close(ends[1]);
  read_end = ends[0];
  heard_len = 0;
}

static void restore(void) {
  dup2(saved, STDERR_FILENO);
  close(saved);
  if (read_end >= 0) close(read_end);
}

/* Reads what comes until nothing has come for `ms`. */
static void hear_for(int ms) {
  struct pollfd pollfd = {.fd = read_end, .events = POLLIN};
  while (heard_len < sizeof heard - 1 && poll(&pollfd, 1, ms) > 0) {
    ssize_t len = read(read_end, heard + heard_len, sizeof heard - 1 - heard_len);
    if (len <= 0) break;
    heard_len += (size_t)len;
  }
}

/* Reads until `count` lines are there, at most for ten seconds. */
static size_t count_lines(void) {
  size_t count = 0;
  for (size_t i = 0; i < heard_len; i++) count += heard[i] == '\n';
  return count;
}

static void hear_lines(size_t count) {
  for (int tries = 0; tries < 200 && count_lines() < count; tries++) {
    struct pollfd pollfd = {.fd = read_end, .events = POLLIN};
    if (poll(&pollfd, 1, 50) > 0) hear_for(0);
  }
}

static void write_line(const char *format, int number, bool is_urgent) {
  char line[200];
  int len = snprintf(line, sizeof line, format, number);
  log_writer_write(bytes_of(line, (size_t)len), is_urgent);
}

/* The numbers of lines "n …" in what was heard, each above the one before; -1 if they are not.
 * *dropped is what notices say. */
static int read_numbers(unsigned long long *dropped) {
  int count = 0, last = -1;
  *dropped = 0;
  heard[heard_len] = '\0';
  for (char *line = heard; line < heard + heard_len; line = strchr(line, '\n') + 1) {
    unsigned long long missing;
    int number;
    if (!strchr(line, '\n')) return -1;
    if (sscanf(line, "(dropped %llu lines of the log", &missing) == 1) {
      *dropped += missing;
    } else if (sscanf(line, "n %d ", &number) == 1 && number > last) {
      last = number;
      count++;
    } else {
      return -1;
    }
  }
  return count;
}

static const char numbered[] = "n %d ................................................................................\n";
enum { MANY = 20000 };

static void without_a_server_the_caller_writes(void **state) {
  (void)state;
  redirect();
  write_line(numbered, 1, false);
  struct pollfd pollfd = {.fd = read_end, .events = POLLIN};
  int ready = poll(&pollfd, 1, 0); /* at once */
  restore();
  assert_int_equal(ready, 1);
}

static void lines_come_in_order_and_all_of_them_before_the_end(void **state) {
  (void)state;
  unsigned long long dropped;
  redirect();
  log_writer_acquire();
  for (int i = 0; i < 500; i++) write_line(numbered, i, false); /* what a pipe takes */
  log_writer_release();
  hear_for(0);
  restore();
  assert_int_equal(read_numbers(&dropped), 500);
  assert_int_equal(dropped, 0);
}

static void a_pipe_that_nobody_reads_holds_up_no_caller(void **state) {
  (void)state;
  unsigned long long dropped;
  redirect();
  log_writer_acquire();
  uint64_t begin_ms = clock_system_ms();
  for (int i = 0; i < MANY; i++) write_line(numbered, i, false);
  uint64_t took_ms = clock_system_ms() - begin_ms;
  uint64_t missing = log_writer_dropped();
  int flags = fcntl(STDERR_FILENO, F_GETFL);
  hear_for(200);
  log_writer_release();
  hear_for(0);
  restore();
  assert_in_range(took_ms, 0, 5000);
  assert_true(missing > 0);
  assert_int_equal(flags & O_NONBLOCK, 0); /* others share it */
  int count = read_numbers(&dropped);
  assert_in_range(count, 1, MANY - 1);
  assert_int_equal((unsigned long long)count + dropped, MANY);
}

static void the_notice_stands_where_lines_are_missing(void **state) {
  (void)state;
  unsigned long long dropped;
  redirect();
  log_writer_acquire();
  for (int i = 0; i < MANY; i++) write_line(numbered, i, false);
  hear_for(200);
  write_line(numbered, MANY, false);
  hear_lines(count_lines() + 1);
  log_writer_release();
  hear_for(0);
  restore();
  assert_true(read_numbers(&dropped) > 0);
  const char *notice = strstr(heard, "dropped"), *last = strstr(heard, "n 20000 ");
  assert_non_null(notice);
  assert_non_null(last);
  assert_true(notice < last);
}

static void warnings_have_a_part_of_the_buffer_for_themselves(void **state) {
  (void)state;
  redirect();
  log_writer_acquire();
  /* While the pipe takes lines the thread makes room, and what was dropped is told and counted from
   * 0. */
  uint64_t before = 0;
  for (int round = 0; before == 0 && round < 50; round++) {
    for (int i = 0; i < MANY; i++) write_line(numbered, i, false);
    before = log_writer_dropped();
  }
  for (int i = 0; i < 100; i++) write_line(numbered, MANY + i, true);
  uint64_t after = log_writer_dropped();
  hear_for(200);
  log_writer_release();
  hear_for(0);
  restore();
  assert_true(before > 0);
  assert_int_equal(after, 0); /* the notice before the first of them told the rest */
  heard[heard_len] = '\0';
  assert_non_null(strstr(heard, "n 20099 "));
}

static void the_end_waits_for_a_slow_reader_only_so_long(void **state) {
  (void)state;
  redirect();
  log_writer_acquire();
  for (int i = 0; i < MANY; i++) write_line(numbered, i, false);
  uint64_t begin_ms = clock_system_ms();
  log_writer_release();
  uint64_t took_ms = clock_system_ms() - begin_ms;
  restore();
  assert_in_range(took_ms, 500, 4500);
}

static void *read_slowly(void *argument) {
  (void)argument;
  for (ssize_t len = 1; len > 0;) {
    poll(NULL, 0, 5);
    len = read(read_end, heard + heard_len, 8192);
    if (len > 0) heard_len += (size_t)len;
  }
  return NULL;
}

static void the_end_waits_for_a_reader_that_gets_on(void **state) {
  (void)state;
  unsigned long long dropped;
  pthread_t thread;
  redirect();
  log_writer_acquire();
  for (int i = 0; i < 2000; i++) write_line(numbered, i, false); /* 170 KB */
  pthread_create(&thread, NULL, read_slowly, NULL);
  log_writer_release();
  dup2(saved, STDERR_FILENO); /* the last writing end */
  pthread_join(thread, NULL);
  restore();
  assert_int_equal(read_numbers(&dropped), 2000);
}

static void *write_often(void *argument) {
  for (int i = 0; i < 300; i++) write_line((const char *)argument, i, false);
  return NULL;
}

static void lines_of_several_threads_stay_whole(void **state) {
  (void)state;
  pthread_t threads[4], reader;
  size_t good = 0;
  redirect();
  log_writer_acquire();
  pthread_create(&reader, NULL, read_slowly, NULL);
  for (size_t i = 0; i < COUNT_OF(threads); i++) pthread_create(&threads[i], NULL, write_often, "line %d ends here\n");
  for (size_t i = 0; i < COUNT_OF(threads); i++) pthread_join(threads[i], NULL);
  log_writer_release();
  dup2(saved, STDERR_FILENO);
  pthread_join(reader, NULL);
  restore();
  heard[heard_len] = '\0';
  for (char *line = heard; *line; line = strchr(line, '\n') + 1) {
    int number, end = 0;
    good += sscanf(line, "line %d ends here%n", &number, &end) == 1 && line[end] == '\n';
  }
  assert_int_equal(good, 4 * 300);
}

static void a_reader_that_has_gone_ends_nothing(void **state) {
  (void)state;
  redirect();
  log_writer_acquire();
  close(read_end);
  read_end = -1;
  for (int i = 0; i < 1000; i++) write_line(numbered, i, false);
  uint64_t begin_ms = clock_system_ms();
  log_writer_release();
  uint64_t took_ms = clock_system_ms() - begin_ms;
  restore();
  assert_in_range(took_ms, 0, 900); /* it is known that no one will take it */
}

static void what_a_full_disk_refuses_is_written_later(void **state) {
  (void)state;
  int full = open("/dev/full", O_WRONLY);
  if (full < 0) skip();
  redirect();
  int pipe_end = dup(STDERR_FILENO);
  dup2(full, STDERR_FILENO);
  close(full);
  log_writer_acquire();
  write_line(numbered, 1, false);
  poll(NULL, 0, 100);
  dup2(pipe_end, STDERR_FILENO); /* as if there were room again */
  close(pipe_end);
  hear_lines(1);
  log_writer_release();
  restore();
  heard[heard_len] = '\0';
  assert_non_null(strstr(heard, "n 1 "));
}

static void a_closed_standard_error_is_no_number_for_connections(void **state) {
  (void)state;
  redirect();
  close(STDERR_FILENO);
  log_writer_acquire();
  int is_open = fcntl(STDERR_FILENO, F_GETFD), next = dup(read_end);
  write_line(numbered, 1, false);
  log_writer_release();
  close(next);
  restore();
  assert_true(is_open >= 0);
  assert_true(next > STDERR_FILENO);
}

static void a_pipe_that_was_handed_over_non_blocking_works_as_well(void **state) {
  (void)state;
  unsigned long long dropped;
  redirect();
  fcntl(STDERR_FILENO, F_SETFL, fcntl(STDERR_FILENO, F_GETFL) | O_NONBLOCK);
  log_writer_acquire();
  for (int i = 0; i < 2000; i++) write_line(numbered, i, false);
  hear_lines(2000);
  log_writer_release();
  hear_for(0);
  restore();
  assert_int_equal(read_numbers(&dropped), 2000);
}

static void servers_share_the_thread(void **state) {
  (void)state;
  unsigned long long dropped;
  redirect();
  log_writer_acquire();
  log_writer_acquire();
  log_writer_release();
  /* would block if the caller wrote */
  for (int i = 0; i < MANY; i++) write_line(numbered, i, false);
  bool has_dropped = log_writer_dropped() > 0;
  hear_for(200);
  log_writer_release();
  hear_for(0);
  log_writer_acquire(); /* and there can be one again */
  write_line(numbered, MANY, false);
  log_writer_release();
  hear_for(0);
  restore();
  assert_true(has_dropped);
  assert_true(read_numbers(&dropped) > 0);
  assert_non_null(strstr(heard, "n 20000 "));
}

static void a_child_writes_its_own_lines_only(void **state) {
  (void)state;
  redirect();
  log_start();
  /* more than the pipe takes: buffered */
  for (int i = 0; i < 2000; i++) write_line(numbered, i, false);
  pid_t child = fork();
  if (child == 0) {
    mw_log_to(MW_LOG_INFO, NULL, NULL);
    log_line(MW_LOG_INFO, "the child");
    log_stop();
    _exit(0);
  }
  int status = -1;
  hear_for(300);
  waitpid(child, &status, 0);
  log_stop();
  hear_for(0);
  restore();
  heard[heard_len] = '\0';
  assert_int_equal(status, 0);
  const char *first = strstr(heard, "the child");
  assert_non_null(first);
  assert_null(strstr(first + 1, "the child"));
  assert_int_equal(count_lines(), 2001);
}

static void signals_are_left_to_other_threads(void **state) {
  (void)state;
  sigset_t set, old;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  log_writer_acquire();
  pthread_sigmask(SIG_BLOCK, &set, &old);
  kill(getpid(), SIGUSR1); /* would end the process if the log's thread took it */
  poll(NULL, 0, 20);
  int signum = 0;
  sigwait(&set, &signum);
  pthread_sigmask(SIG_SETMASK, &old, NULL);
  log_writer_release();
  assert_int_equal(signum, SIGUSR1);
}

static int prepare(void **state) {
  signal(SIGPIPE, SIG_IGN);
  return support_setup(state);
}

#define PIPED(name) cmocka_unit_test_setup_teardown(name, prepare, support_teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      PIPED(without_a_server_the_caller_writes),
      PIPED(lines_come_in_order_and_all_of_them_before_the_end),
      PIPED(a_pipe_that_nobody_reads_holds_up_no_caller),
      PIPED(the_notice_stands_where_lines_are_missing),
      PIPED(warnings_have_a_part_of_the_buffer_for_themselves),
      PIPED(the_end_waits_for_a_slow_reader_only_so_long),
      PIPED(the_end_waits_for_a_reader_that_gets_on),
      PIPED(lines_of_several_threads_stay_whole),
      PIPED(a_reader_that_has_gone_ends_nothing),
      PIPED(what_a_full_disk_refuses_is_written_later),
      PIPED(a_closed_standard_error_is_no_number_for_connections),
      PIPED(a_pipe_that_was_handed_over_non_blocking_works_as_well),
      PIPED(servers_share_the_thread),
      PIPED(a_child_writes_its_own_lines_only),
      PIPED(signals_are_left_to_other_threads),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
