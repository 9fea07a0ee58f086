/* What can answer a request, and who answers which. */
#ifndef MOONWIRE_SERVER_ROLES_H
#define MOONWIRE_SERVER_ROLES_H

#include "server/exchange.h"

VISIBILITY_PUSH

struct request;
struct mw_config;

extern const struct role role_sse;     /* GET /sse: a stream of channels */
extern const struct role role_ws;      /* GET /ws */
extern const struct role role_socket;  /* raw WebSocket endpoints of the app */
extern const struct role role_poll;    /* GET /poll */
extern const struct role role_send;    /* POST /send */
extern const struct role role_publish; /* POST /publish */
extern const struct role role_health;  /* GET /health */
extern const struct role role_client;  /* GET /moonwire.js: the browser client */
extern const struct role role_app;     /* routes and raw streams of the app */
extern const struct role role_file;    /* static files */
extern const struct role role_options; /* what may be asked of a path: CORS preflights, too */

/* Finds the role that answers the request whose head is there, and sets what it needs in the request: role, or refused_status and
 * refused_reason. */
void roles_find(struct exchange *exchange, struct request *request);

/* The request as the app sees it; NULL without memory. */
struct http_copy *roles_copy_http(struct exchange *exchange, struct request *request);
/* An errand by which a new client connects and joins channels: with an identity, and with the request if it is to be authenticated. NULL
 * without memory. */
struct errand *roles_connect_errand(struct exchange *exchange, struct request *request, struct bytes transport,
                                    const struct errand_channel *channels, size_t channel_count);

/* True if pages of other origins may ask for the path, which is as it was sent: then its answers have CORS fields. */
bool roles_share(const struct mw_config *config, struct bytes path);

/* An errand by which the app is asked whether such a client may read these channels, and nothing else. NULL without memory. */
struct errand *roles_permit_errand(struct exchange *exchange, struct request *request, struct bytes transport,
                                   const struct errand_channel *channels, size_t channel_count);

/* Refuses an event stream for now. An EventSource does not reconnect after any status but 200, so a temporary refusal is a stream that ends
 * after a retry field. No empty line follows, so that no library hands an empty event to the application. */
void roles_put_off(struct exchange *exchange);

VISIBILITY_POP

#endif
