/* The question to a sentinel: which Redis is the master? */
#ifndef MOONWIRE_BROKER_REDIS_SENTINEL_H
#define MOONWIRE_BROKER_REDIS_SENTINEL_H

#include "broker/redis_connection.h"

VISIBILITY_PUSH

/* Logs in, if the sentinel's address has a password, and asks. Each command has its reply. Returns a status of
 * redis_connection_send. */
int redis_sentinel_ask(struct redis_connection *redis, const struct redis_url *sentinel, const char *name,
                       struct link_command *login, struct link_command *question);
/* Reads the reply to the question into host and port. False: the sentinel does not know the name, or it
 * is not such a reply. */
bool redis_sentinel_read(const struct resp_value *reply, struct redis_url *master);

VISIBILITY_POP

#endif
