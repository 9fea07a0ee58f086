/* The members of a channel as one peer of the target `server` was told of them: a snapshot, and the changes that continue it. */
#ifndef MOONWIRE_FUZZ_SERVER_MEMBERS_H
#define MOONWIRE_FUZZ_SERVER_MEMBERS_H

#include <stdbool.h>
#include <stddef.h>

#include "moonwire.h"

enum { MEMBERS_MAX = 64, MEMBER_NAME_MAX = 32 };

struct members {
  bool is_known;  /* a snapshot came */
  bool has_names; /* and it names them */
  size_t count;   /* as told */
  size_t name_count;
  char names[MEMBERS_MAX][MEMBER_NAME_MAX];
};

/* Where the JSON object at `text` ends, or NULL if it is not all there. */
const char *members_object_end(const char *text);
/* Calls on_member for each member of an object, with the text of its name and its value; both lie in `text`. */
void members_each(const char *text, void (*on_member)(void *context, const char *name, const char *value), void *context);
/* The value of that name among the members of an object, or NULL. */
const char *members_value(const char *text, const char *name);
/* Takes the data of moonwire:presence, or a snapshot from an acknowledgement. A change must continue what is known. */
void members_take(struct members *members, const char *object);
/* Whether the server says the same. */
bool members_agree(const struct members *members, struct mw_server *server, const char *channel);

#endif
