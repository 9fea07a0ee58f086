/* Requests of the core: which handler of the script answers, with which arguments. */
#ifndef MOONWIRE_LUA_REQUEST_H
#define MOONWIRE_LUA_REQUEST_H

#include "lua/base/host.h"

BINDING_BEGIN

/* The configuration's on_request and on_cancel; `context` is the host. */
void request_start(void *context, struct mw_request *request);
void request_cancel(void *context, struct mw_request *request);
/* Starts a request that was held since then. `cancelled`: the first wait of its handler returns it;
 * NULL: none. */
void request_start_held(struct host *host, struct mw_request *request, uint64_t since_ms, const char *cancelled);
/* Returns the reason for which the core cancels a request of that time. */
const char *request_cancel_reason(const struct host *host, uint64_t since_ms);

BINDING_END

#endif
