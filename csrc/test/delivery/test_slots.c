/* Names of subscribers: found until they are released, however often a slot is used again. */
#include "delivery/slots.h"

#include "base/memory.h"
#include "base/status.h"
#include "delivery/subscriber.h"
#include "test/support.h"

enum { MANY = 300 };

static struct subscriber subscribers[MANY];
static uint32_t names[MANY];

static void set_up(struct slots *slots, uint32_t most) {
  slots_init(slots, 3, most);
  for (size_t i = 0; i < MANY; i++) names[i] = SLOT_NONE;
}

static void finds_what_has_a_name(void **state) {
  (void)state;
  struct slots slots;
  struct address addresses[MANY];
  set_up(&slots, SLOTS_MAX);
  for (size_t i = 0; i < MANY; i++) {
    assert_int_equal(slots_take(&slots, &subscribers[i], &names[i]), 0);
    addresses[i] = slots_address(&slots, names[i]);
    assert_int_equal(addresses[i].worker, 3);
  }
  for (size_t i = 0; i < MANY; i++) assert_ptr_equal(slots_find(&slots, addresses[i]), &subscribers[i]);
  /* One that has a name keeps it. */
  uint32_t name = names[7];
  assert_int_equal(slots_take(&slots, &subscribers[7], &names[7]), 0);
  assert_int_equal(names[7], name);
  assert_int_equal(slots.taken, MANY);
  for (size_t i = 0; i < MANY; i += 2) slots_release(&slots, &names[i]);
  for (size_t i = 0; i < MANY; i++) assert_ptr_equal(slots_find(&slots, addresses[i]), i % 2 ? &subscribers[i] : NULL);
  /* The slots are used again, under other addresses. */
  for (size_t i = 0; i < MANY; i += 2) assert_int_equal(slots_take(&slots, &subscribers[i], &names[i]), 0);
  assert_int_equal(slots.count, MANY);
  for (size_t i = 0; i < MANY; i += 2) assert_null(slots_find(&slots, addresses[i]));
  for (size_t i = 0; i < MANY; i++) slots_release(&slots, &names[i]);
  slots_release(&slots, &names[0]); /* it has none */
  assert_int_equal(slots.taken, 0);
  slots_deinit(&slots);
}

static void finds_nothing_elsewhere(void **state) {
  (void)state;
  struct slots slots;
  set_up(&slots, SLOTS_MAX);
  assert_null(slots_find(&slots, (struct address){0}));
  assert_null(slots_find(&slots, (struct address){.worker = 3}));
  assert_int_equal(slots_take(&slots, &subscribers[0], &names[0]), 0);
  struct address address = slots_address(&slots, names[0]);
  assert_null(slots_find(&slots, (struct address){.worker = 3})); /* never set */
  assert_null(slots_find(&slots, (struct address){.worker = 4, .slot = address.slot, .generation = address.generation}));
  assert_null(slots_find(&slots, (struct address){.worker = 3, .slot = 1, .generation = 1}));
  assert_null(slots_find(&slots, (struct address){.worker = 3, .slot = SLOT_NONE, .generation = 1}));
  slots_release(&slots, &names[0]);
  slots_deinit(&slots);
}

static void generations_wrap(void **state) {
  (void)state;
  struct slots slots;
  set_up(&slots, SLOTS_MAX);
  assert_int_equal(slots_take(&slots, &subscribers[0], &names[0]), 0);
  slots_release(&slots, &names[0]);
  slots.items[0].generation = UINT32_MAX;
  assert_int_equal(slots_take(&slots, &subscribers[1], &names[1]), 0);
  struct address last = slots_address(&slots, names[1]);
  assert_int_equal(last.generation, UINT32_MAX);
  slots_release(&slots, &names[1]);
  assert_null(slots_find(&slots, last));
  assert_int_equal(slots_take(&slots, &subscribers[2], &names[2]), 0);
  struct address first = slots_address(&slots, names[2]);
  assert_int_equal(first.generation, 1); /* 0 is no one's */
  assert_null(slots_find(&slots, last));
  assert_null(slots_find(&slots, (struct address){.worker = 3}));
  assert_ptr_equal(slots_find(&slots, first), &subscribers[2]);
  slots_release(&slots, &names[2]);
  slots_deinit(&slots);
}

static void all_can_be_taken(void **state) {
  (void)state;
  enum { MOST = 5 };
  struct slots slots;
  set_up(&slots, MOST);
  for (size_t i = 0; i < MOST; i++) assert_int_equal(slots_take(&slots, &subscribers[i], &names[i]), 0);
  assert_int_equal(slots_take(&slots, &subscribers[MOST], &names[MOST]), MW_ENOMEM);
  assert_int_equal(names[MOST], SLOT_NONE);
  assert_int_equal(slots.taken, MOST);
  slots_release(&slots, &names[2]);
  assert_int_equal(slots_take(&slots, &subscribers[MOST], &names[MOST]), 0);
  assert_int_equal(names[MOST], 2);
  for (size_t i = 0; i <= MOST; i++) slots_release(&slots, &names[i]);
  slots_deinit(&slots);
}

static bool take_many(void *context) {
  (void)context;
  struct slots slots;
  set_up(&slots, SLOTS_MAX);
  bool fine = true;
  for (size_t i = 0; i < MANY; i++) {
    if (slots_take(&slots, &subscribers[i], &names[i]) == 0) continue;
    fine = false;
    assert_int_equal(names[i], SLOT_NONE);
  }
  assert_true(slots.taken >= MANY - 1);
  for (size_t i = 0; i < MANY; i++) {
    if (names[i] != SLOT_NONE) assert_ptr_equal(slots_find(&slots, slots_address(&slots, names[i])), &subscribers[i]);
    slots_release(&slots, &names[i]);
  }
  slots_deinit(&slots);
  return fine;
}

static void stands_failing_memory(void **state) {
  (void)state;
  assert_true(support_fail_each(take_many, NULL) > 5);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(finds_what_has_a_name), TEST(finds_nothing_elsewhere), TEST(generations_wrap),
      TEST(all_can_be_taken),      TEST(stands_failing_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
