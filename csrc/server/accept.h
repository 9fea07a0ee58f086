/* How the connections of listeners reach the workers: the first worker accepts them, and hands
 * their descriptors to the worker with the fewest. */
#ifndef MOONWIRE_SERVER_ACCEPT_H
#define MOONWIRE_SERVER_ACCEPT_H

#include "net/listener.h"

VISIBILITY_PUSH

struct mw_server;

/* listener->on_connection. On the thread of the first worker. */
void accept_connection(struct listener *listener, int status);

/* Closes all listeners of the server. On its thread. */
void accept_stop(struct mw_server *server);

VISIBILITY_POP

#endif
