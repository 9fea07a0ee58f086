/* The members of a channel in the native protocol: a snapshot when a client subscribes, and pages
 * when it requests them. They are read from the worker's replica, so that later announcements
 * continue them. */
#ifndef MOONWIRE_DIALECT_NATIVE_MEMBERS_H
#define MOONWIRE_DIALECT_NATIVE_MEMBERS_H

#include "base/rope.h"
#include "dialect/dialect.h"

VISIBILITY_PUSH

/* Returns a reference to {"count":n,"members":{"<id>":{"info":…,"connections":1}}}. All clients
 * that subscribe in the same state share it. With counts_only, it is {"count":n}. If the members
 * would take more than `most` bytes, it is {"count":n,"more":true}. NULL if out of memory, or if
 * the members are unknown. */
struct blob *native_members_snapshot(const struct hub *hub, struct bytes channel, bool counts_only, size_t most);
/* Returns how many bytes the members take in a snapshot, each with a comma. */
size_t native_members_len(const struct roster *roster);
/* Appends a page: {"count":n,"members":{…},"more":false}, or "more":true,"after":"<id of the last
 * member>". Returns false if the members are unknown. */
bool native_members_page(const struct hub *hub, struct bytes channel, const struct roster_query *query, struct buffer *out);

/* Appends the snapshot of a channel, and subtracts its size from told->room. If out of memory, or
 * if the members are unknown, the rope has failed. */
void native_members_share(struct rope *out, const struct told *told);
/* Appends the page that a verb requests, or only the count if the kind of channel has mode
 * "counts". Fails as native_members_share does. */
void native_members_write_page(struct rope *out, const struct told *told, const struct roster_query *query);

VISIBILITY_POP

#endif
