/* Runs transfers: libcurl's multi interface on the server's event loop. It also keeps connections
 * for later requests. */
#ifndef MOONWIRE_LUA_FETCH_FETCHER_H
#define MOONWIRE_LUA_FETCH_FETCHER_H

#include "lua/fetch/transfer.h"

BINDING_BEGIN

enum {
  FETCHER_CONNECTIONS_MAX = 1000, /* open at the same time, to all servers together; further requests wait */
  FETCHER_SERVER_MAX = 250,       /* of them, to one server */
  FETCHER_IDLE_MAX = 100,         /* kept for later requests */
  FETCHER_TRANSFERS_MAX = 10000
};

struct fetcher;

/* Returns NULL if out of memory. `on_progress` is called, outside of libcurl's callbacks, when
 * something was received for a transfer, or it has ended. It may add and remove transfers. */
struct fetcher *fetcher_new(struct mw_server *server, void (*on_progress)(struct transfer *transfer));
/* All transfers must have been removed. */
void fetcher_free(struct fetcher *fetcher);
/* Starts a transfer. Returns 0, MW_ELIMIT, or MW_ENOMEM. */
int fetcher_add(struct fetcher *fetcher, struct transfer *transfer);
/* Ends a transfer. Has no effect on one that was not added. */
void fetcher_remove(struct fetcher *fetcher, struct transfer *transfer);

BINDING_END

#endif
