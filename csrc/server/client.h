/* Who is behind a connection: what the app sees of it, also when the connection has gone. */
#ifndef MOONWIRE_SERVER_CLIENT_H
#define MOONWIRE_SERVER_CLIENT_H

#include "base/blob.h"
#include "base/status.h"

VISIBILITY_PUSH

enum { CLIENT_ID_LEN = 26, REMOTE_MAX = 48 };

struct mw_client {
  atomic_uint refs;
  char id[CLIENT_ID_LEN];
  struct bytes transport; /* a constant */
  struct blob *user;      /* JSON; NULL: anonymous */
  char remote[REMOTE_MAX];
  void *context; /* the app's */
};

/* With a new id and no user; NULL without memory. */
struct mw_client *client_new(struct bytes transport, const char *remote);

VISIBILITY_POP

#endif
