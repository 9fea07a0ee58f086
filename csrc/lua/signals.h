/* Handles the signals of the process. */
#ifndef MOONWIRE_LUA_SIGNALS_H
#define MOONWIRE_LUA_SIGNALS_H

#include "lua/base/binding.h"

BINDING_BEGIN

/* The first SIGINT or SIGTERM stops the server. The second ends the process immediately, even while
 * a handler never returns. SIGHUP is ignored. Call signals_restore after the server was freed, also
 * after a failure. */
int signals_watch(struct mw_server *server);
/* Restores the earlier handlers of these signals. */
void signals_restore(void);

BINDING_END

#endif
