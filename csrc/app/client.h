/* A client: the identity on a connection, as the app sees it. It may outlive the connection. */
#ifndef MOONWIRE_APP_CLIENT_H
#define MOONWIRE_APP_CLIENT_H

#include "base/address.h"
#include "base/blob.h"
#include "base/list.h"
#include "base/status.h"

VISIBILITY_PUSH

enum { CLIENT_ID_LEN = 28, CLIENT_NAME_LEN = 12, REMOTE_MAX = 48 };

/* The most bytes of the reason in a close frame. */
enum { CLOSE_REASON_MAX = 123 };

struct script_task;

/* Each subscriber that the app has received has one, so the order of the members is the one that
 * needs the least room. */
struct mw_client {
  atomic_uint refs;
  atomic_bool gone; /* it has disconnected */
  /* COMMAND_CLOSE was posted: at most one at a time, because the limit of the queue does not bound
   * such commands */
  atomic_bool closing;
  /* for the worker: a session has adopted it, and reports when it disconnects */
  bool is_adopted;
  uint8_t transport; /* the index of its name (client.c) */
  /* a secret of the client and the app: POST /send with this id acts as the client. The first
   * CLIENT_NAME_LEN characters are the name, which others may see. */
  char id[CLIENT_ID_LEN];
  /* Of its session. The worker is set before others know the client, and never changes; the rest is
   * for that worker. */
  struct address address;
  /* JSON; NULL: anonymous. The script's thread replaces it, and may read it; others call
   * client_same_user */
  struct blob *user;
  _Atomic(struct blob *) user_id; /* set once; NULL: the name is used */
  void *context;                  /* of the app */
  void (*on_free)(void *context);
  struct list in_registry;      /* under the registry's lock; alone when it is not connected */
  struct mw_client *next_by_id; /* also under the lock: in the same bucket of the registry */
  uint64_t number;              /* also under the lock: the order of connecting */
  struct script_task *task;     /* for the script: what it does for the client; NULL: nothing */
  char remote[];                /* address of the peer, terminated */
};

/* Takes the JSON (NULL: anonymous), and reads the user's id from it (mw_user_id). Returns 0,
 * MW_ENOMEM, or MW_EINVAL if the client is already another user, because that cannot change. After
 * a failure, nothing has changed. */
int client_set_user(struct mw_client *client, struct blob *user);
/* Returns true if both are the same user: by id, or by the whole JSON of users without one; or if
 * both are anonymous. */
bool client_same_user(const struct mw_client *one, const struct mw_client *other);
/* Returns the user's id or, for anonymous users and users without one, the client's name. */
struct bytes client_user_id(const struct mw_client *client);
/* Returns a client with a new id and no user, or NULL if out of memory. `transport` is "websocket",
 * "sse", "poll", or "http". */
struct mw_client *client_new(const char *transport, const char *remote);

VISIBILITY_POP

#endif
