#include "test/support.h"

#include "base/memory.h"

/* The counters before the test, so that a leak is reported only for the test that has it. */
static int64_t memory_before, objects_before[OBJECT_KIND_COUNT];

int support_setup(void **state) {
  (void)state;
  memory_before = memory_live();
  for (int kind = 0; kind < OBJECT_KIND_COUNT; kind++) objects_before[kind] = object_live((enum object_kind)kind);
  return 0;
}

int support_teardown(void **state) {
  (void)state;
  int status = 0;
  memory_fail_after(0);
  for (int kind = 0; kind < OBJECT_KIND_COUNT; kind++) {
    int64_t left = object_live((enum object_kind)kind) - objects_before[kind];
    if (left == 0) continue;
    print_error("left behind: %lld of %s\n", (long long)left, object_name((enum object_kind)kind));
    status = -1;
  }
  int64_t left = memory_live() - memory_before;
  if (left == 0) return status;
  print_error("left behind: %lld allocations\n", (long long)left);
  return -1;
}

/* Returns true if one of the next `count` allocations fails: the failure that was set has not
 * happened yet. */
static bool failure_is_pending(size_t count) {
  bool pending = false;
  for (size_t i = 0; i < count && !pending; i++) {
    void *ptr = memory_alloc(1);
    pending = !ptr;
    memory_free(ptr);
  }
  return pending;
}

size_t support_fail_each(bool (*run)(void *context), void *context) {
  int64_t live = memory_live();
  for (size_t n = 1;; n++) {
    memory_fail_after(n);
    bool ok = run(context);
    bool failed_none = failure_is_pending(n);
    assert_int_equal(memory_live(), live);
    if (!failed_none) continue;
    assert_true(ok);
    return n;
  }
}

void support_assert_bytes(struct bytes actual, struct bytes expected, const char *file, int line) {
  if (bytes_equal(actual, expected)) return;
  print_error("expected: \"%.*s\"\n     got: \"%.*s\"\n", (int)expected.len, expected.ptr ? expected.ptr : "", (int)actual.len,
              actual.ptr ? actual.ptr : "");
  _fail(file, line);
}
