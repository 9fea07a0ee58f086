/* The roles, and the table by which http/router.h finds them. */
#ifndef MOONWIRE_TRANSPORT_ROLES_H
#define MOONWIRE_TRANSPORT_ROLES_H

#include "http/role.h"
#include "http/router.h"

VISIBILITY_PUSH

extern const struct role sse_role;           /* GET /sse: a stream of channels */
extern const struct role websocket_role;     /* GET /ws */
extern const struct role raw_websocket_role; /* raw WebSocket endpoints of the app */
extern const struct role poll_role;          /* GET /poll */
extern const struct role send_role;          /* POST /send */
extern const struct role publish_role;       /* POST /publish */
extern const struct role health_role;        /* GET /health */
extern const struct role ready_role;         /* GET /ready */
extern const struct role client_script_role; /* GET /moonwire.js: the browser client */
extern const struct role routes_role;        /* routes and raw streams of the app */
/* OPTIONS: the methods of a path; CORS preflights, too */
extern const struct role options_role;

extern const struct router transport_router;

VISIBILITY_POP

#endif
