/* Charges channels that clients create, by naming them. On the worker's thread.
 *
 * A channel is charged to the address of the client that named it first, for as long as the channel
 * lives: limits.address_names. A channel may outlive its client's subscription, because of its
 * history, its members, or other subscribers. It is then also charged to the client, that is, to
 * its user or, if it is anonymous, to its connection: limits.client_names. Channels to which the
 * app itself subscribes clients or publishes are not charged. */
#ifndef MOONWIRE_SESSION_NAMES_H
#define MOONWIRE_SESSION_NAMES_H

#include "app/limits/name_hold.h"
#include "app/party.h"
#include "app/script_job.h"

VISIBILITY_PUSH

struct app;
struct stored;
struct subscriber;
struct subscription;

/* Notes which of the channels are not live now (is_new). Returns false if the peer or the client
 * (NULL: not known yet) may not create them. */
bool names_allow(struct subscriber *subscriber, const struct mw_client *client, struct job_channel *channels, size_t count);
/* Charges the subscription's channel, which was new when it was requested, to the peer's address.
 * Returns 0, MW_ELIMIT, or MW_ENOMEM. */
int names_charge(struct subscriber *subscriber, const struct mw_client *client, struct subscription *subscription);
/* Charges the channel of a message whose sender is not a subscriber, to both. */
void names_charge_sender(struct subscriber *subscriber, const struct script_job *job);
/* Called before the subscription ends: charges a channel that lives on to the client. stays: the
 * client remains. */
void names_leave(struct subscriber *subscriber, struct subscription *subscription, bool stays);
/* Releases the charges of a channel of which nothing is kept anymore. */
void names_forget(struct app *app, struct stored *stored);

VISIBILITY_POP

#endif
