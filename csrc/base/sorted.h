/* A sorted set of byte strings: a treap, whose nodes are members of their values.
 *
 * Finding, adding, removing, and the next string take about log n steps each. Priorities are
 * random, so that names from outside cannot be chosen to unbalance the tree. */
#ifndef MOONWIRE_BASE_SORTED_H
#define MOONWIRE_BASE_SORTED_H

#include "base/bytes.h"

VISIBILITY_PUSH

struct sorted_node {
  struct bytes key; /* borrowed; set by sorted_add */
  struct sorted_node *left, *right;
  uint64_t priority;
};

struct sorted {
  struct sorted_node *root;
  size_t count;
  uint64_t random;
};

/* Initializes an empty set. It does not need a deinit: the nodes belong to their owners. */
void sorted_init(struct sorted *sorted);
/* Compares as memcmp does. A prefix comes first. */
int sorted_compare(struct bytes a, struct bytes b);
/* Returns the node, or NULL if the key is not in the set. */
struct sorted_node *sorted_find(const struct sorted *sorted, struct bytes key);
/* Adds a node that is not in a set. The key must not be in the set, and must live as long as the
 * node. */
void sorted_add(struct sorted *sorted, struct sorted_node *node, struct bytes key);
/* Removes a node that is in the set. */
void sorted_remove(struct sorted *sorted, struct sorted_node *node);
/* Returns the first node, or NULL if the set is empty. */
struct sorted_node *sorted_first(const struct sorted *sorted);
/* Returns the first node after `key`, or NULL. The key does not have to be in the set. */
struct sorted_node *sorted_after(const struct sorted *sorted, struct bytes key);

VISIBILITY_POP

#endif
