/* What the process does about signals. */
#ifndef MOONWIRE_LUA_SIGNALS_H
#define MOONWIRE_LUA_SIGNALS_H

#include "lua/binding.h"

BINDING_BEGIN

/* The first SIGINT or SIGTERM stops the server, the second ends the process at once, even while a handler never returns. SIGHUP is ignored.
 * Call signals_restore once the server was freed, also after a failure. */
int signals_watch(struct mw_server *server);
/* The process does about these signals what it did before. */
void signals_restore(void);

BINDING_END

#endif
