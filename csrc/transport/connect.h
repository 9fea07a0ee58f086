/* What a new client asks of the app, whatever transport it comes by. */
#ifndef MOONWIRE_TRANSPORT_CONNECT_H
#define MOONWIRE_TRANSPORT_CONNECT_H

#include "http/exchange.h"

VISIBILITY_PUSH

struct request;

/* The request as the app sees it; NULL without memory. */
struct http_copy *connect_copy_http(struct exchange *exchange, struct request *request);
/* A job by which a new client connects and joins channels: with an identity, and with the request if it is to be authenticated. NULL
 * without memory. */
struct script_job *connect_job(struct exchange *exchange, struct request *request, const char *transport,
                               const struct job_channel *channels, size_t channel_count);
/* A job by which the app is asked whether such a client may read these channels, and nothing else. NULL without memory. */
struct script_job *connect_permit_job(struct exchange *exchange, struct request *request, const char *transport,
                                      const struct job_channel *channels, size_t channel_count);

VISIBILITY_POP

#endif
