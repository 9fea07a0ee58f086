/* What every cmocka test starts from. */
#ifndef MOONWIRE_TEST_SUPPORT_H
#define MOONWIRE_TEST_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/bytes.h"

/* A test that fails if it leaves an allocation or an object behind. */
#define TEST(name) cmocka_unit_test_setup_teardown(name, support_setup, support_teardown)
int support_setup(void **state);
int support_teardown(void **state);

/* Runs `run` again and again, failing its first allocation, then its second, until a run needed no more of them. `run` must
 * stand a failure and give back everything; it returns true if it did what it should, as the last run must. Returns the runs. */
size_t support_fail_each(bool (*run)(void *context), void *context);

void support_assert_bytes(struct bytes actual, struct bytes expected, const char *file, int line);
#define assert_bytes(actual, expected) support_assert_bytes((actual), (expected), __FILE__, __LINE__)
#define assert_bytes_string(actual, expected) assert_bytes((actual), bytes_string(expected))

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

#endif
