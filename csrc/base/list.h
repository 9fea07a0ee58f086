/* An intrusive, circular, doubly linked list. A link that is not in a list points to itself. */
#ifndef MOONWIRE_BASE_LIST_H
#define MOONWIRE_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

/* Returns the struct that contains `member`, from a pointer to the member. */
#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

struct list {
  struct list *next, *prev;
};

static inline void list_init(struct list *list) { list->next = list->prev = list; }
static inline bool list_empty(const struct list *list) { return list->next == list; }

/* Inserts `link`, which is not in a list, before `list`. If `list` is the head, that is the end. */
static inline void list_append(struct list *list, struct list *link) {
  link->prev = list->prev;
  link->next = list;
  list->prev->next = link;
  list->prev = link;
}

/* Removes `link` from its list, if it is in one. */
static inline void list_remove(struct list *link) {
  link->prev->next = link->next;
  link->next->prev = link->prev;
  list_init(link);
}

#endif
