/* Included by every cmocka test. */
#ifndef MOONWIRE_TEST_SUPPORT_H
#define MOONWIRE_TEST_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/bytes.h"

/* A test that fails if it leaves an allocation or an object. */
#define TEST(name) cmocka_unit_test_setup_teardown(name, support_setup, support_teardown)
int support_setup(void **state);
int support_teardown(void **state);

/* Calls `run` again and again: its first allocation fails, then its second, until a run needs no
 * more of them. `run` must cope with a failure and free everything; it returns true if it
 * succeeded, as the last run must. Returns the number of runs. */
size_t support_fail_each(bool (*run)(void *context), void *context);

void support_assert_bytes(struct bytes actual, struct bytes expected, const char *file, int line);
#define assert_bytes(actual, expected) support_assert_bytes((actual), (expected), __FILE__, __LINE__)
#define assert_bytes_string(actual, expected) assert_bytes((actual), bytes_string(expected))

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

#endif
