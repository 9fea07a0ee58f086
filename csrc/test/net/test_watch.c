/* Descriptors of others as events of a loop, also when memory runs out. */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/status.h"
#include "net/watch.h"
#include "test/support.h"

static struct loop loop;
static int ends[2];
static unsigned calls;

static void on_turn(struct loop *turning) { (void)turning; }

static int begin(void **state) {
  int status = support_setup(state);
  assert_int_equal(loop_init(&loop, NULL, on_turn), 0);
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
  calls = 0;
  return status;
}

static int end(void **state) {
  loop_close(&loop, NULL);
  while (loop.open_count > 0) loop_run_once(&loop);
  loop_deinit(&loop);
  for (int i = 0; i < 2; i++) {
    if (ends[i] >= 0) close(ends[i]);
  }
  return support_teardown(state);
}

static void on_ready(void *context) {
  calls++;
  if (!context) return;
  struct watch **watch = context;
  watch_free(*watch);
  *watch = NULL;
}

static void tells_what_is_ready(void **state) {
  (void)state;
  struct watch *watch;
  char byte;
  assert_int_equal(watch_new(&watch, &loop, ends[0], MW_READABLE, on_ready, NULL), 0);
  for (int i = 0; i < 3; i++) loop_step(&loop);
  assert_int_equal(calls, 0);
  assert_int_equal(write(ends[1], "x", 1), 1);
  while (calls < 2) loop_step(&loop); /* in each turn, until it is read */
  assert_int_equal(read(ends[0], &byte, 1), 1);
  calls = 0;
  for (int i = 0; i < 3; i++) loop_step(&loop);
  assert_int_equal(calls, 0);
  close(ends[1]);
  ends[1] = -1;
  while (calls == 0) loop_step(&loop);
  watch_free(watch);
  calls = 0;
  for (int i = 0; i < 3; i++) loop_step(&loop);
  assert_int_equal(calls, 0);
  watch_free(NULL);
}

static void may_be_freed_in_its_call(void **state) {
  (void)state;
  struct watch *watch;
  for (int i = 0; i < 3; i++) {
    calls = 0;
    assert_int_equal(watch_new(&watch, &loop, ends[0], MW_WRITABLE, on_ready, &watch), 0);
    while (calls == 0) loop_step(&loop);
    assert_null(watch);
    loop_step(&loop);
    assert_int_equal(calls, 1);
  }
}

static void refuses_what_cannot_be_watched(void **state) {
  (void)state;
  struct watch *watch, *other;
  char path[] = "/tmp/moonwire-watch-XXXXXX";
  int file = mkstemp(path);
  assert_true(file >= 0);
  assert_int_equal(watch_new(&watch, &loop, file, MW_READABLE, on_ready, NULL), -EPERM);
  close(file);
  unlink(path);
  assert_int_equal(watch_new(&watch, &loop, file, MW_READABLE, on_ready, NULL), -EBADF);
  assert_int_equal(watch_new(&watch, &loop, ends[0], MW_READABLE, on_ready, NULL), 0);
  assert_int_equal(watch_new(&other, &loop, ends[0], MW_WRITABLE, on_ready, NULL), -EEXIST);
  watch_free(watch);
  assert_int_equal(watch_new(&watch, &loop, ends[0], MW_WRITABLE, on_ready, NULL), 0); /* immediately */
  watch_free(watch);
}

static bool watch_once(void *context) {
  struct watch *watch;
  (void)context;
  int status = watch_new(&watch, &loop, ends[0], MW_READABLE, on_ready, NULL);
  if (status == MW_ENOMEM) return false;
  assert_int_equal(status, 0);
  watch_free(watch);
  loop_step(&loop); /* frees it */
  return true;
}

static void stands_failing_memory(void **state) {
  (void)state;
  assert_true(support_fail_each(watch_once, NULL) >= 1);
}

#define IN_LOOP(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void) {
  const struct CMUnitTest tests[] = {IN_LOOP(tells_what_is_ready), IN_LOOP(may_be_freed_in_its_call),
                                     IN_LOOP(refuses_what_cannot_be_watched), IN_LOOP(stands_failing_memory)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
