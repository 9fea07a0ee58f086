/* Commands to the other nodes, and their commands to this one (broker/control.h). On the server's
 * thread. */
#ifndef MOONWIRE_SERVER_BROKER_BROKER_COMMANDS_H
#define MOONWIRE_SERVER_BROKER_BROKER_COMMANDS_H

#include "server/broker/broker_orderer.h"

VISIBILITY_PUSH

/* Closes what a user has on the other nodes. If it fails, moonwire logs a warning. */
void broker_commands_close_user(struct broker_orderer *orderer, struct bytes user_id, struct bytes reason);
/* Carries out a command of another node. */
void broker_commands_take(struct broker_orderer *orderer, struct bytes command);

VISIBILITY_POP

#endif
