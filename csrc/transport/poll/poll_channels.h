/* The channels of a client that polls: those that its last query named, those that a verb or the
 * app subscribed it to, and those that have ended and whose end it has not seen. On the worker's
 * thread. */
#ifndef MOONWIRE_TRANSPORT_POLL_POLL_CHANNELS_H
#define MOONWIRE_TRANSPORT_POLL_POLL_CHANNELS_H

#include "transport/poll/poll_answer.h"

VISIBILITY_PUSH

struct script_job;

/* Joins the channels that the poll names, leaves others, and begins the poll when that is done. */
void poll_channels_join(struct poll *poll);
/* Called when a channel was joined, with the object for the client; NULL: it was joined already. */
void poll_channels_joined(struct poll *poll, const struct rope *told);
/* Adds gaps to the poll's answer: for the channels that it names and that have restarted since they
 * were left. */
void poll_channels_tell_restarts(const struct poll *poll, struct poll_answer *answer);
/* Called when a verb of the client, or the app, has subscribed it to a channel. If that has ended,
 * the client is notified, and leaves it. */
void poll_channels_subscribed(struct poll_client *client, struct bytes channel);
/* Leaves the channels that have ended, and notes them. */
void poll_channels_leave_ended(struct poll_client *client);
/* A poll without a client: takes the interests of the job that has admitted it to its channels. */
void poll_channels_take(struct poll *poll, struct script_job *job);
/* Subscribes it to its channels. Returns 0, MW_ENOMEM, or MW_ELIMIT. */
int poll_channels_subscribe(struct poll *poll);

VISIBILITY_POP

#endif
