/* Which forms are in use: streams that write messages in a class of forms, so that the bus encodes it before anybody needs it. */
#ifndef MOONWIRE_DELIVERY_FORM_USERS_H
#define MOONWIRE_DELIVERY_FORM_USERS_H

#include "delivery/form.h"

VISIBILITY_PUSH

/* Further classes are encoded by the first who needs them. */
enum { FORM_USERS_MAX = 32 };

struct form_users {
  struct form_use {
    _Atomic(const struct form_class *) class; /* NULL: free, and so are those after it */
    atomic_uint count;
  } uses[FORM_USERS_MAX];
};

void form_users_init(struct form_users *users);
/* A stream uses the class, or the one that it is made of. Any thread. */
void form_users_add(struct form_users *users, const struct form_class *class);
void form_users_remove(struct form_users *users, const struct form_class *class);
/* Drafts a message in every class in use; returns how many drafts there are. Of one that failed, `form` is NULL. */
size_t form_users_draft(struct form_users *users, const struct message *message, const struct epoch *epoch, bool with_id,
                        struct form_draft drafts[FORM_USERS_MAX]);
/* True if no stream uses any class. */
bool form_users_are_none(const struct form_users *users);

VISIBILITY_POP

#endif
