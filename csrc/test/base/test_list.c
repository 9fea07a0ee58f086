#include "base/list.h"
#include "test/support.h"

struct item {
  int number;
  struct list link;
};

static void check_order(const struct list *head, const int *numbers, size_t count) {
  const struct list *link = head->next;
  for (size_t i = 0; i < count; i++, link = link->next) {
    assert_ptr_not_equal(link, head);
    assert_int_equal(container_of(link, struct item, link)->number, numbers[i]);
    assert_ptr_equal(link->next->prev, link);
  }
  assert_ptr_equal(link, head);
}

static void keeps_order(void **state) {
  (void)state;
  struct list head;
  struct item items[3];
  list_init(&head);
  assert_true(list_empty(&head));
  for (int i = 0; i < 3; i++) {
    items[i].number = i;
    list_append(&head, &items[i].link);
  }
  check_order(&head, (int[]){0, 1, 2}, 3);
  list_remove(&items[1].link);
  assert_true(list_empty(&items[1].link));
  list_remove(&items[1].link); /* in no list: nothing happens */
  check_order(&head, (int[]){0, 2}, 2);
  list_append(&items[0].link, &items[1].link); /* before another link */
  check_order(&head, (int[]){1, 0, 2}, 3);
  for (int i = 0; i < 3; i++) list_remove(&items[i].link);
  assert_true(list_empty(&head));
}

int main(void) {
  const struct CMUnitTest tests[] = {TEST(keeps_order)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
