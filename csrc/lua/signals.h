/* What the process does about signals. */
#ifndef MOONWIRE_LUA_SIGNALS_H
#define MOONWIRE_LUA_SIGNALS_H

#include "lua/binding.h"

BINDING_BEGIN

/* The first SIGINT or SIGTERM stops the server, a second SIGINT ends the process at once, even while a handler never returns. */
int signals_watch(struct mw_server *server);

BINDING_END

#endif
