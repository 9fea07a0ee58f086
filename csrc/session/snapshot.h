/* Members of a channel for a subscriber: a snapshot when it joins, and pages on request. Read from
 * the worker's replica, so that everything announced from then on continues it. On the worker's
 * thread. */
#ifndef MOONWIRE_SESSION_SNAPSHOT_H
#define MOONWIRE_SESSION_SNAPSHOT_H

#include "app/config.h"
#include "base/rope.h"
#include "codec/verb.h"
#include "hub/hub.h"

VISIBILITY_PUSH

/* Appends the snapshot of a channel, which all clients that join in the same state share, and
 * subtracts its size from *room. A snapshot without room is {"count":n,"more":true}. If out of
 * memory, or if the members are not known, the rope has failed. */
void snapshot_share(const struct hub *hub, const struct kind *kind, struct bytes name, size_t *room, struct rope *out);
/* Appends the page that a verb requests, or the count alone if the kind has no more. Returns false
 * if the members are not known. */
bool snapshot_write_page(const struct hub *hub, const struct kind *kind, const struct verb *verb, size_t room,
                         struct buffer *out);

VISIBILITY_POP

#endif
