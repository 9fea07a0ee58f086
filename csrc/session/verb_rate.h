/* How often a client may subscribe, unsubscribe, read the history or the members of a channel, and
 * send a new token (limits.verb_rate). Messages have rates of their own (app/limits/send_rate.h).
 *
 * Each subscriber has a bucket, among the others (app/limits/rates.h). One without a session has only
 * subscribed, once. */
#ifndef MOONWIRE_SESSION_VERB_RATE_H
#define MOONWIRE_SESSION_VERB_RATE_H

#include "app/limits/send_rate.h"
#include "codec/verb.h"
#include "delivery/subscriber.h"

VISIBILITY_PUSH

/* Counts the verb. Returns false, and counts the refusal instead, if it is one too many. */
bool verb_rate_allows(struct subscriber *subscriber, enum verb_type type, struct send_rate_refusal *refusal);

VISIBILITY_POP

#endif
