/* Finds the role that answers a request: an endpoint, a route of the app, or a directory of files.
 * It does not know the roles: the table is handed in. */
#ifndef MOONWIRE_HTTP_ROUTER_H
#define MOONWIRE_HTTP_ROUTER_H

#include "app/config.h"

VISIBILITY_PUSH

struct exchange;
struct request;
struct role;

struct endpoint_role {
  const struct role *role;
  const char *method, *other; /* `other` may be NULL */
  bool needs_length;          /* of a body */
  bool takes_no_body;
  bool is_shared; /* pages of other origins use it, if they are listed */
};

struct router {
  struct endpoint_role endpoints[ENDPOINT_COUNT];
  const struct role *route, *websocket, *file, *options;
};

/* Finds the role for a request whose head has arrived, and sets its members for the role: `role`,
 * or refused_status and refused_reason. */
void router_find(struct exchange *exchange, struct request *request);
/* Sets the members for the app's own answer to what is not found. Returns false if it has none. */
bool router_find_other(struct exchange *exchange, struct request *request);
/* Returns true if pages of other origins may request `path`, which is as it was sent. Then its
 * answers have CORS fields. */
bool router_shares(const struct router *router, const struct mw_config *config, struct bytes path);

VISIBILITY_POP

#endif
