/* What a new client requests from the app, on every transport. On the worker's thread. */
#ifndef MOONWIRE_TRANSPORT_CONNECT_H
#define MOONWIRE_TRANSPORT_CONNECT_H

#include "http/exchange.h"

VISIBILITY_PUSH

struct request;

/* Writes where the request comes from; `remote` is the memory of its address. */
void connect_source(struct exchange *exchange, char remote[REMOTE_MAX], struct http_source *source);
/* Returns the request as the app sees it, or NULL if out of memory. */
struct http_copy *connect_copy_http(struct exchange *exchange, struct request *request);
/* Returns a job that connects a new client and joins channels: with an identity, and with the
 * request if the app authenticates. NULL if out of memory. */
struct script_job *connect_job(struct exchange *exchange, struct request *request, const char *transport,
                               const struct job_channel *channels, size_t channel_count);
/* Returns a job that only asks the app whether such a client may read these channels. NULL if out
 * of memory. */
struct script_job *connect_permit_job(struct exchange *exchange, struct request *request, const char *transport,
                                      const struct job_channel *channels, size_t channel_count);

VISIBILITY_POP

#endif
