/* Which channels a client that polls is in: those that its last query named, those that a verb or the app subscribed it to, and those that have
 * ended and whose end it has not seen. */
#ifndef MOONWIRE_TRANSPORT_POLL_POLL_CHANNELS_H
#define MOONWIRE_TRANSPORT_POLL_POLL_CHANNELS_H

#include "transport/poll/poll_answer.h"

VISIBILITY_PUSH

/* Joins the channels that the poll asks for, leaves others, and lets the poll begin when that is done. */
void poll_channels_join(struct poll *poll);
/* A channel was joined, and this is told of it; NULL: it was joined already. */
void poll_channels_joined(struct poll *poll, const struct rope *told);
/* Channels that the poll asks for, and that have begun anew since they were left, are gaps of its answer. */
void poll_channels_tell_restarts(const struct poll *poll, struct poll_answer *answer);
/* A verb of the client's, or the app, has subscribed it to a channel: if that has ended the client is told so, and it is over. */
void poll_channels_subscribed(struct poll_client *client, struct bytes channel);
/* Leaves the channels that have ended, and notes them. */
void poll_channels_leave_ended(struct poll_client *client);

VISIBILITY_POP

#endif
