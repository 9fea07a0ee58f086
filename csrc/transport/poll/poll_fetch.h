/* A poll that waits for the broker, before it looks into the histories: for older messages, or until
 * this server has reached its cursor. On the worker's thread. */
#ifndef MOONWIRE_TRANSPORT_POLL_POLL_FETCH_H
#define MOONWIRE_TRANSPORT_POLL_POLL_FETCH_H

#include "transport/poll/poll.h"

VISIBILITY_PUSH

/* Checks the cursor of the poll. If it may be from a server that is ahead of this one, the poll waits, once,
 * until this server has reached it. Returns true if `go_on` follows, or the poll was refused. */
bool poll_fetch_cursor(struct poll *poll, void (*go_on)(struct poll *poll));
/* Waits for the newest messages of the channel up to the position `until`. `go_on` follows, or the poll
 * is refused. */
void poll_fetch_page(struct poll *poll, struct bytes channel, uint64_t until, void (*go_on)(struct poll *poll));

VISIBILITY_POP

#endif
