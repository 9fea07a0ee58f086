#include "base/sorted.h"

#include <assert.h>

#include "base/random.h"

void sorted_init(struct sorted *sorted) {
  *sorted = (struct sorted){.root = NULL};
  random_fill(&sorted->random, sizeof sorted->random);
  sorted->random |= 1;
}

int sorted_compare(struct bytes a, struct bytes b) {
  size_t len = a.len < b.len ? a.len : b.len;
  int order = len > 0 ? memcmp(a.ptr, b.ptr, len) : 0;
  if (order != 0) return order;
  return a.len < b.len ? -1 : a.len > b.len;
}

struct sorted_node *sorted_find(const struct sorted *sorted, struct bytes key) {
  struct sorted_node *node = sorted->root;
  while (node) {
    int order = sorted_compare(key, node->key);
    if (order == 0) return node;
    node = order < 0 ? node->left : node->right;
  }
  return NULL;
}

static uint64_t draw(struct sorted *sorted) {
  sorted->random ^= sorted->random << 13;
  sorted->random ^= sorted->random >> 7;
  sorted->random ^= sorted->random << 17;
  return sorted->random;
}

/* Splits a tree into the nodes before the key and those after it. */
static void sorted_split(struct sorted_node *tree, struct bytes key, struct sorted_node **before, struct sorted_node **after) {
  while (tree) {
    if (sorted_compare(tree->key, key) < 0) {
      *before = tree;
      before = &tree->right;
      tree = tree->right;
    } else {
      *after = tree;
      after = &tree->left;
      tree = tree->left;
    }
  }
  *before = *after = NULL;
}

void sorted_add(struct sorted *sorted, struct sorted_node *node, struct bytes key) {
  struct sorted_node **at = &sorted->root;
  *node = (struct sorted_node){.key = key, .priority = draw(sorted)};
  while (*at && (*at)->priority >= node->priority) {
    int order = sorted_compare(key, (*at)->key);
    assert(order != 0);
    at = order < 0 ? &(*at)->left : &(*at)->right;
  }
  sorted_split(*at, key, &node->left, &node->right);
  *at = node;
  sorted->count++;
}

void sorted_remove(struct sorted *sorted, struct sorted_node *node) {
  struct sorted_node **at = &sorted->root;
  while (*at != node) {
    assert(*at);
    at = sorted_compare(node->key, (*at)->key) < 0 ? &(*at)->left : &(*at)->right;
  }
  struct sorted_node *before = node->left, *after = node->right;
  while (before && after) {
    if (before->priority > after->priority) {
      *at = before;
      at = &before->right;
      before = before->right;
    } else {
      *at = after;
      at = &after->left;
      after = after->left;
    }
  }
  *at = before ? before : after;
  node->left = node->right = NULL;
  sorted->count--;
}

struct sorted_node *sorted_first(const struct sorted *sorted) {
  struct sorted_node *node = sorted->root;
  while (node && node->left) node = node->left;
  return node;
}

struct sorted_node *sorted_after(const struct sorted *sorted, struct bytes key) {
  struct sorted_node *node = sorted->root, *best = NULL;
  while (node) {
    if (sorted_compare(node->key, key) > 0) {
      best = node;
      node = node->left;
    } else {
      node = node->right;
    }
  }
  return best;
}
