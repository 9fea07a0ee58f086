/* Commands to the other nodes, and their commands to this one (broker/control.h). On the server's
 * thread. */
#ifndef MOONWIRE_SERVER_BROKER_BROKER_COMMANDS_H
#define MOONWIRE_SERVER_BROKER_BROKER_COMMANDS_H

#include "server/broker/broker_orderer.h"

VISIBILITY_PUSH

/* Each has the other nodes do something to the clients of a user. 0: it is on its way; if it does not
 * arrive, moonwire logs a warning. MW_EUNAVAILABLE: too many wait; MW_ETOOLARGE, MW_ENOMEM, MW_ECLOSED. */

/* As mw_server_close_user. */
int broker_commands_close_user(struct broker_orderer *orderer, struct bytes user_id, struct bytes reason);
/* As mw_server_send_user. The parts were checked. */
int broker_commands_send_user(struct broker_orderer *orderer, struct bytes user_id, const struct message_parts *parts);
/* As mw_server_kick_user. */
int broker_commands_kick_user(struct broker_orderer *orderer, struct bytes user_id, struct bytes channel, struct bytes code,
                              struct bytes reason);

/* Carries out a command of another node. */
void broker_commands_take(struct broker_orderer *orderer, struct bytes command);

VISIBILITY_POP

#endif
