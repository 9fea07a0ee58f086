/* A sorted set of byte strings: a treap, whose nodes are parts of their values.
 *
 * Finding, adding, removing, and the first string after any other take about log n steps each. Priorities come from the system's random
 * bytes, so that names from outside cannot be chosen to unbalance it. */
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

/* Needs no deinit: the nodes belong to their owners. */
void sorted_init(struct sorted *sorted);
/* Less than, equal to or greater than 0, as memcmp; a prefix comes first. */
int sorted_compare(struct bytes a, struct bytes b);
/* NULL: not found. */
struct sorted_node *sorted_find(const struct sorted *sorted, struct bytes key);
/* Adds a node in no set. The key must not be in the set, and must live as long as the node is. */
void sorted_add(struct sorted *sorted, struct sorted_node *node, struct bytes key);
/* Removes a node that is in the set. */
void sorted_remove(struct sorted *sorted, struct sorted_node *node);
/* The first node, or NULL if there is none. */
struct sorted_node *sorted_first(const struct sorted *sorted);
/* The first node after `key`, which need not be in the set, or NULL. */
struct sorted_node *sorted_after(const struct sorted *sorted, struct bytes key);

VISIBILITY_POP

#endif
