/* The user of a poll without a client: the poll waits no longer than the user's token is valid, and
 * is found when the app closes everything of that user. On the worker's thread. */
#ifndef MOONWIRE_TRANSPORT_POLL_POLL_USER_H
#define MOONWIRE_TRANSPORT_POLL_POLL_USER_H

#include "transport/poll/poll.h"

VISIBILITY_PUSH

struct mail;

/* Called when the poll begins to wait. */
void poll_user_wait(struct poll *poll);
/* Called when its exchange ends. */
void poll_user_deinit(struct poll *poll);
/* As role->on_mail: the app closes all clients of its user. */
void poll_user_on_mail(struct exchange *exchange, struct mail *mail);

VISIBILITY_POP

#endif
