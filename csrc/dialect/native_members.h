/* The members of a channel in the native protocol: a snapshot when a client comes, and pages when it asks. Read from the worker's replica, so
 * that everything announced from then on continues it. */
#ifndef MOONWIRE_DIALECT_NATIVE_MEMBERS_H
#define MOONWIRE_DIALECT_NATIVE_MEMBERS_H

#include "base/rope.h"
#include "dialect/dialect.h"

VISIBILITY_PUSH

/* Returns a reference to {"count":n,"members":{"<id>":{"info":…,"connections":1}}}, which all who come in the same state share. With
 * counts_only, it is {"count":n}. If the members would take more than `most` bytes, it is {"count":n,"more":true}. NULL if out of memory, or if
 * the members are unknown. */
struct blob *native_members_snapshot(const struct hub *hub, struct bytes channel, bool counts_only, size_t most);
/* Returns how many bytes the members take in it, each with a comma. */
size_t native_members_len(const struct roster *roster);
/* Appends a page: {"count":n,"members":{…},"more":false}, or "more":true,"after":"<id of the last member>". False if the members are
 * unknown. */
bool native_members_page(const struct hub *hub, struct bytes channel, const struct roster_query *query, struct buffer *out);

/* Appends the snapshot of a channel, and takes its size off the room. If out of memory, or if the members are unknown, the rope has failed. */
void native_members_share(struct rope *out, const struct told *told);
/* Appends the page that a verb asks for, or the count alone where the kind says so. Fails as native_members_share does. */
void native_members_write_page(struct rope *out, const struct told *told, const struct roster_query *query);

VISIBILITY_POP

#endif
