/* Events of clients that go to the other subscribers without entering the app. */
#ifndef MOONWIRE_SESSION_RELAY_H
#define MOONWIRE_SESSION_RELAY_H

#include "app/command.h"
#include "app/config.h"

VISIBILITY_PUSH

struct mw_client;
struct subscriber;
struct verb;

struct relay_call {
  const struct verb *verb;
  const struct reply *reply;
  const struct kind *kind; /* of the channel */
  const struct event_rule *rule;
  struct mw_client *client; /* the sender */
};

/* Publishes the event of a verb, which was checked. Answers the verb when the event has its id,
 * which may be after the call has returned. */
void relay_event(struct subscriber *subscriber, const struct relay_call *call);

VISIBILITY_POP

#endif
