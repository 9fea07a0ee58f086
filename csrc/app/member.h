/* The members of one channel: users, in the order of their ids. */
#ifndef MOONWIRE_APP_MEMBER_H
#define MOONWIRE_APP_MEMBER_H

#include "base/blob.h"
#include "base/list.h"
#include "base/sorted.h"

VISIBILITY_PUSH

struct member {
  struct sorted_node node;
  struct list in_leaving, in_changed; /* alone if it is not there */
  struct blob *key;
  struct blob *info; /* NULL: null */
  uint32_t connections;
  bool told;         /* announced as joined, and not as left since */
  bool gone;         /* its linger is over: left, unless it returns before that is announced */
  bool taken;        /* goes with the batch that is being made */
  uint64_t leave_ms; /* the end of its linger */
  struct bytes user_id;
  char text[];
};

/* A user's id as a JSON string; NULL if out of memory. */
struct blob *member_key(struct bytes user_id);
/* Adds one that is not there. Takes the key (NULL: there was no memory for it), keeps the info. NULL if out of memory. */
struct member *member_new(struct sorted *members, struct bytes user_id, struct blob *key, struct blob *info);
/* Removes and frees one. */
void member_remove(struct sorted *members, struct member *member);
/* NULL: not found; a key of NULL is nobody's. */
struct member *member_at(const struct sorted *members, const struct blob *key);
/* The first one; the one after another; the first one after a key. NULL: there is none. */
struct member *member_first(const struct sorted *members);
struct member *member_next(const struct sorted *members, const struct member *member);
struct member *member_after(const struct sorted *members, const struct blob *key);

VISIBILITY_POP

#endif
