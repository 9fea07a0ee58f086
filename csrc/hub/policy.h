/* The options of a kind of channel. */
#ifndef MOONWIRE_HUB_POLICY_H
#define MOONWIRE_HUB_POLICY_H

#include <stdatomic.h>

#include "base/refs.h"
#include "hub/history.h"

VISIBILITY_PUSH

/* What happens to a subscriber that is too slow, when its limit is reached. */
enum slow {
  SLOW_CLOSE, /* the subscriber is closed */
  /* its queued messages are dropped, and read from the histories once it reads again */
  SLOW_CATCHUP,
  SLOW_DROP,   /* its queued messages are dropped, and it receives a gap */
  SLOW_LATEST, /* of its queued messages, the newest for each key is kept */
};

/* What the policies of one configuration belong to. It lives as long as a channel, a message, or
 * anything else refers to one of them. */
struct policy_owner {
  atomic_uint refs;
  uint64_t number; /* grows from one configuration to the next */
  void (*free)(struct policy_owner *owner);
};

struct channel_policy {
  struct policy_owner *owner; /* NULL: it lives longer than all that refer to it */
  uint32_t kind;
  size_t channels; /* the most live channels of this kind; 0: no limit */
  struct history_bounds history;
  uint64_t history_ttl_ms; /* 0: no limit */
  uint32_t replay;         /* messages for subscribers without a cursor */
  enum slow slow;
  size_t outbox;   /* bytes that may be queued for one subscriber */
  uint64_t age_ms; /* how long they may be queued; 0: no limit */
};

/* Returns the policy, with a reference to its owner. NULL is allowed. */
static inline const struct channel_policy *policy_ref(const struct channel_policy *policy) {
  if (policy && policy->owner) refs_add(&policy->owner->refs);
  return policy;
}
/* Releases it; NULL is allowed. */
static inline void policy_unref(const struct channel_policy *policy) {
  struct policy_owner *owner = policy ? policy->owner : NULL;
  if (owner && refs_remove(&owner->refs)) owner->free(owner);
}
/* Replaces *policy if the other one is of a newer configuration. Moves the reference. Returns
 * whether it did. */
static inline bool policy_renew(const struct channel_policy **policy, const struct channel_policy *by) {
  if (*policy == by || !by->owner || !(*policy)->owner || by->owner->number <= (*policy)->owner->number) return false;
  const struct channel_policy *before = *policy;
  *policy = policy_ref(by);
  policy_unref(before);
  return true;
}

VISIBILITY_POP

#endif
