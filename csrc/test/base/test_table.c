#include "base/memory.h"
#include "base/status.h"
#include "base/table.h"
#include "test/support.h"

enum { ENTRY_COUNT = 2000 };

struct entry {
  char name[24];
  struct bytes key;
  bool is_in, was_seen;
};

static struct entry entries[ENTRY_COUNT];

static void name_entries(void) {
  for (int i = 0; i < ENTRY_COUNT; i++) {
    entries[i] = (struct entry){.is_in = false};
    snprintf(entries[i].name, sizeof(entries[i].name), "room:%d", i);
    entries[i].key = bytes_string(entries[i].name);
  }
}

/* Everything that is in is found, by name and by walking, and nothing else. */
static void check_table(const struct table *table) {
  size_t count = 0, cursor = 0, walked = 0;
  for (int i = 0; i < ENTRY_COUNT; i++) {
    count += entries[i].is_in;
    entries[i].was_seen = false;
    assert_ptr_equal(table_get(table, entries[i].key), entries[i].is_in ? &entries[i] : NULL);
  }
  assert_int_equal(table->count, count);
  for (struct entry *entry; (entry = table_next(table, &cursor)); walked++) {
    assert_true(entry->is_in);
    assert_false(entry->was_seen);
    entry->was_seen = true;
  }
  assert_int_equal(walked, count);
}

static void sets_gets_replaces_removes(void **state) {
  (void)state;
  struct table table;
  int first, second;
  table_init(&table);
  assert_null(table_get(&table, BYTES("a")));
  assert_null(table_remove(&table, BYTES("a")));
  assert_int_equal(table_set(&table, BYTES("a"), &first), 0);
  assert_int_equal(table_set(&table, bytes_of(NULL, 0), &second), 0);
  assert_ptr_equal(table_get(&table, BYTES("a")), &first);
  assert_ptr_equal(table_get(&table, BYTES("")), &second);
  assert_int_equal(table_set(&table, BYTES("a"), &second), 0);
  assert_int_equal(table.count, 2);
  assert_ptr_equal(table_remove(&table, BYTES("a")), &second);
  assert_null(table_get(&table, BYTES("a")));
  assert_ptr_equal(table_remove(&table, BYTES("")), &second);
  assert_int_equal(table.count, 0);
  table_deinit(&table);
  assert_null(table.slots);
}

static void keys_may_have_any_bytes(void **state) {
  (void)state;
  struct table table;
  int first, second;
  table_init(&table);
  assert_int_equal(table_set(&table, BYTES("a\0b"), &first), 0);
  assert_int_equal(table_set(&table, BYTES("a\0c"), &second), 0);
  assert_ptr_equal(table_get(&table, BYTES("a\0b")), &first);
  assert_ptr_equal(table_get(&table, BYTES("a\0c")), &second);
  assert_null(table_get(&table, BYTES("a")));
  table_deinit(&table);
}

/* A fixed pseudo-random order, so that a failure can be looked at again. */
static unsigned next_random(unsigned *seed) {
  *seed = *seed * 1103515245U + 12345U;
  return *seed >> 8;
}

static void stays_right_under_random_changes(void **state) {
  (void)state;
  struct table table;
  unsigned seed = 1;
  name_entries();
  table_init(&table);
  for (int round = 0; round < 40; round++) {
    bool fills = round % 4 < 2; /* waves, so that it grows and shrinks */
    for (int i = 0; i < 1500; i++) {
      struct entry *entry = &entries[next_random(&seed) % ENTRY_COUNT];
      bool sets = next_random(&seed) % 4 != 0 ? fills : !fills;
      if (sets) assert_int_equal(table_set(&table, entry->key, entry), 0);
      if (!sets) assert_ptr_equal(table_remove(&table, entry->key), entry->is_in ? entry : NULL);
      entry->is_in = sets;
    }
    check_table(&table);
  }
  table_deinit(&table);
}

static void gives_back_memory_when_it_empties(void **state) {
  (void)state;
  struct table table;
  name_entries();
  table_init(&table);
  for (int i = 0; i < ENTRY_COUNT; i++) assert_int_equal(table_set(&table, entries[i].key, &entries[i]), 0);
  assert_true(table.capacity >= ENTRY_COUNT);
  size_t cursor = 0;
  for (struct entry *entry; (entry = table_next(&table, &cursor)); cursor = 0) {
    assert_ptr_equal(table_remove(&table, entry->key), entry);
  }
  assert_int_equal(table.count, 0);
  assert_true(table.capacity <= 8);
  table_deinit(&table);
}

static bool fill(void *context) {
  (void)context;
  struct table table;
  int status = 0;
  name_entries();
  table_init(&table);
  for (int i = 0; i < 100 && status == 0; i++) {
    status = table_set(&table, entries[i].key, &entries[i]);
    entries[i].is_in = status == 0;
  }
  check_table(&table);
  for (int i = 0; i < 100; i++) {
    table_remove(&table, entries[i].key);
    entries[i].is_in = false;
  }
  check_table(&table);
  table_deinit(&table);
  return status == 0;
}

static void stands_failing_memory(void **state) {
  (void)state;
  assert_true(support_fail_each(fill, NULL) > 5);
}

/* What CPython 3.11 answers for hash(b"…") with PYTHONHASHSEED=0, which is SipHash-1-3 with a key
 * of zeros. */
static void hashes_as_siphash_1_3(void **state) {
  (void)state;
  static const struct {
    const char *text;
    int64_t hash;
  } cases[] = {
      {"a", INT64_C(4644417185603328019)},
      {"hello", INT64_C(-2096571579003691106)},
      {"12345678", INT64_C(3785724242978802311)},
      {"123456789abcdef", INT64_C(-913037096377707736)},
      {"the quick brown fox jumps", INT64_C(56729954816557122)},
  };
  const uint64_t zero[2] = {0, 0}, other[2] = {0, 1};
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    assert_true(hash_bytes(zero, bytes_string(cases[i].text)) == (uint64_t)cases[i].hash);
    assert_true(hash_bytes(other, bytes_string(cases[i].text)) != (uint64_t)cases[i].hash);
  }
}

static void every_table_has_a_seed_of_its_own(void **state) {
  (void)state;
  struct table first, second;
  table_init(&first);
  table_init(&second);
  assert_memory_not_equal(first.seed, second.seed, sizeof(first.seed));
}

static void random_bytes_fill_all_of_it(void **state) {
  (void)state;
  unsigned char bytes[600] = {0}, ends = 0;
  for (int i = 0; i < 20 && !ends; i++) {
    random_fill(bytes, sizeof(bytes));
    ends = bytes[0] && bytes[299] && bytes[sizeof(bytes) - 1];
  }
  assert_true(ends);
  random_fill(bytes, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(sets_gets_replaces_removes),        TEST(keys_may_have_any_bytes),     TEST(stays_right_under_random_changes),
      TEST(gives_back_memory_when_it_empties), TEST(stands_failing_memory),       TEST(hashes_as_siphash_1_3),
      TEST(every_table_has_a_seed_of_its_own), TEST(random_bytes_fill_all_of_it),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
