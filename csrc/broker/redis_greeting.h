/* What is said first on a connection to a Redis: login, database, run id, scripts. Everything is
 * sent at once, and the replies come in order. */
#ifndef MOONWIRE_BROKER_REDIS_GREETING_H
#define MOONWIRE_BROKER_REDIS_GREETING_H

#include "broker/redis_end.h"

VISIBILITY_PUSH

/* Sends it. `on_reply` is called for each command. Returns a status of redis_connection_send. */
int redis_greeting_send(struct redis_end *end, void (*on_reply)(struct link_command *command, const struct resp_value *reply));
/* Takes the reply to the next command. Returns NULL, or a problem, which is written to `problem`. */
const char *redis_greeting_take(struct redis_end *end, const struct resp_value *reply, char problem[REDIS_PROBLEM_SIZE]);
bool redis_greeting_is_complete(const struct redis_end *end);

VISIBILITY_POP

#endif
