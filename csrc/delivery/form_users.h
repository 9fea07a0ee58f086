/* The forms in use: classes of forms in which streams write messages, so that the bus encodes them
 * before they are needed. */
#ifndef MOONWIRE_DELIVERY_FORM_USERS_H
#define MOONWIRE_DELIVERY_FORM_USERS_H

#include "delivery/form.h"

VISIBILITY_PUSH

/* Further classes are encoded by the first subscriber that needs them. */
enum { FORM_USERS_MAX = 32 };

struct form_users {
  struct form_use {
    _Atomic(const struct form_class *) class; /* NULL if it is free, as are those after it */
    atomic_uint count;
  } uses[FORM_USERS_MAX];
};

void form_users_init(struct form_users *users);
/* Notes that a stream uses the class, or the class that it is made of. Any thread. */
void form_users_add(struct form_users *users, const struct form_class *class);
void form_users_remove(struct form_users *users, const struct form_class *class);
/* Drafts a message in every class in use. Returns the number of drafts. `form` is NULL in one that
 * failed. */
size_t form_users_draft(struct form_users *users, const struct message *message, const struct epoch *epoch, bool with_id,
                        struct form_draft drafts[FORM_USERS_MAX]);
/* Returns true if no stream uses any class. */
bool form_users_are_none(const struct form_users *users);

VISIBILITY_POP

#endif
