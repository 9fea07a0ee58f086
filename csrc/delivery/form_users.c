#include "delivery/form_users.h"

#include <assert.h>

void form_users_init(struct form_users *users) {
  for (size_t i = 0; i < FORM_USERS_MAX; i++) {
    atomic_init(&users->uses[i].class, NULL);
    atomic_init(&users->uses[i].count, 0);
  }
}

/* Returns the place of the class, and takes one if it has none; NULL if all are taken. */
static struct form_use *find_use(struct form_users *users, const struct form_class *class) {
  if (class->plain) class = class->plain;
  for (size_t i = 0; i < FORM_USERS_MAX; i++) {
    const struct form_class *found = NULL;
    if (atomic_compare_exchange_strong(&users->uses[i].class, &found, class) || found == class) return &users->uses[i];
  }
  return NULL;
}

/* Relaxed, because a form that is missed, or encoded unnecessarily, costs only time. */
void form_users_add(struct form_users *users, const struct form_class *class) {
  struct form_use *use = find_use(users, class);
  if (use) atomic_fetch_add_explicit(&use->count, 1, memory_order_relaxed);
}

void form_users_remove(struct form_users *users, const struct form_class *class) {
  struct form_use *use = find_use(users, class);
  unsigned before = use ? atomic_fetch_sub_explicit(&use->count, 1, memory_order_relaxed) : 1;
  assert(before > 0 && "users of a form were miscounted");
  (void)before;
}

size_t form_users_draft(struct form_users *users, const struct message *message, const struct epoch *epoch, bool with_id,
                        struct form_draft drafts[FORM_USERS_MAX]) {
  size_t count = 0;
  for (size_t i = 0; i < FORM_USERS_MAX; i++) {
    const struct form_class *class = atomic_load_explicit(&users->uses[i].class, memory_order_acquire);
    if (!class) break;
    /* relaxed, as above */
    if (atomic_load_explicit(&users->uses[i].count, memory_order_relaxed) > 0)
      drafts[count++] = form_draft(class, message, epoch, with_id);
  }
  return count;
}

bool form_users_are_none(const struct form_users *users) {
  unsigned sum = 0;
  for (size_t i = 0; i < FORM_USERS_MAX; i++) sum += atomic_load(&users->uses[i].count);
  return sum == 0;
}
