/* The members of one channel: users, in the order of their ids. */
#ifndef MOONWIRE_APP_MEMBER_H
#define MOONWIRE_APP_MEMBER_H

#include "base/blob.h"
#include "base/list.h"
#include "base/sorted.h"

VISIBILITY_PUSH

struct member {
  struct sorted_node node;
  struct list in_leaving, in_changed; /* alone if it is not listed */
  struct blob *key;
  struct blob *info;    /* NULL: null */
  uint32_t connections; /* of this server, with those whose join is pending */
  bool is_joined : 1;   /* on this server; until the end of its linger */
  bool is_listed : 1;   /* by the broker: on any server */
  /* it is present, on this server or on others. One that is not, but `told`, leaves, unless it returns
   * before that is announced */
  bool is_in : 1;
  bool told : 1;       /* announced as joined, and not as left since */
  bool is_renewed : 1; /* it has left and joined, with another info, and only the first join was announced */
  bool taken : 1;      /* part of the batch that is being made */
  uint64_t leave_ms;   /* the end of its linger */
  struct bytes user_id;
  char text[];
};

/* Returns how many connections others are told: those of this server; for a member that is only on
 * others, 1. */
static inline uint32_t member_connections(const struct member *member) {
  return member->connections == 0 && member->is_listed && !member->is_joined ? 1 : member->connections;
}
/* Returns a user's id as a JSON string, or NULL if out of memory. */
struct blob *member_key(struct bytes user_id);
/* Adds a member. Takes the key (NULL: out of memory), and keeps the info. Returns NULL if out of
 * memory. */
struct member *member_new(struct sorted *members, struct bytes user_id, struct blob *key, struct blob *info);
/* Removes a member and frees it. */
void member_remove(struct sorted *members, struct member *member);
/* Returns the member, or NULL if there is none. A key of NULL belongs to no member. */
struct member *member_at(const struct sorted *members, const struct blob *key);
/* Return the first member, the next one, and the first one after a key; NULL if there is none. */
struct member *member_first(const struct sorted *members);
struct member *member_next(const struct sorted *members, const struct member *member);
struct member *member_after(const struct sorted *members, const struct blob *key);

VISIBILITY_POP

#endif
