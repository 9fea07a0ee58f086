/* The members of a channel that one peer of the target `server` knows: a snapshot, and the changes
 * after it. */
#ifndef MOONWIRE_FUZZ_SERVER_MEMBERS_H
#define MOONWIRE_FUZZ_SERVER_MEMBERS_H

#include <stdbool.h>
#include <stddef.h>

#include "moonwire.h"

enum { MEMBERS_MAX = 64, MEMBER_NAME_MAX = 32 };

struct members {
  bool is_known;  /* it received a snapshot */
  bool has_names; /* which has the names */
  size_t count;   /* as received */
  size_t name_count;
  char names[MEMBERS_MAX][MEMBER_NAME_MAX];
};

/* Returns the end of the JSON object at `text`, or NULL if it is incomplete. */
const char *members_object_end(const char *text);
/* Calls on_member for each member of an object, with the text of its name and its value, which
 * point into `text`. */
void members_each(const char *text, void (*on_member)(void *context, const char *name, const char *value), void *context);
/* Returns the value of the member with that name, or NULL. */
const char *members_value(const char *text, const char *name);
/* Reads the data of moonwire:presence, or a snapshot from an acknowledgement. A change must match
 * the known members. */
void members_take(struct members *members, const char *object);
/* Returns true if the server has the same members. */
bool members_agree(const struct members *members, struct mw_server *server, const char *channel);

#endif
