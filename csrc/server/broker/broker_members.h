/* Members of channels on all servers: joins and leaves of this one go to the broker, and what it reports
 * goes to the script's presence. On the server's thread. */
#ifndef MOONWIRE_SERVER_BROKER_BROKER_MEMBERS_H
#define MOONWIRE_SERVER_BROKER_BROKER_MEMBERS_H

#include "server/broker/broker_orderer.h"

VISIBILITY_PUSH

/* As orderer->join and orderer->leave. */
int broker_members_join(struct broker_orderer *orderer, const struct order_join *join);
void broker_members_leave(struct broker_orderer *orderer, struct bytes channel, struct bytes user_id);
/* As sink->members. What is invalid is ignored, and a warning is logged. */
void broker_members_take(struct broker_orderer *orderer, const struct broker_members *members);

VISIBILITY_POP

#endif
