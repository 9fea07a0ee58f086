/* Who is behind a connection: what the app sees of it, also when the connection has gone. */
#ifndef MOONWIRE_APP_CLIENT_H
#define MOONWIRE_APP_CLIENT_H

#include "base/address.h"
#include "base/blob.h"
#include "base/list.h"
#include "base/mail.h"
#include "base/status.h"

VISIBILITY_PUSH

enum { CLIENT_ID_LEN = 26, REMOTE_MAX = 48 };

/* Bytes of the reason in a close frame. */
enum { CLOSE_REASON_MAX = 123 };

struct script_task;

/* Each subscriber that somebody asked after has one, so the order of the members is that in which they need the least room. */
struct mw_client {
  atomic_uint refs;
  atomic_bool gone;         /* it is connected no more */
  atomic_bool closing;      /* `mail` is under way: it is the worker's, with the code and the reason */
  bool is_adopted;          /* the worker's: a session has taken it, and says when it has gone */
  uint16_t close_code;      /* with which the app closes it */
  char id[CLIENT_ID_LEN];   /* a secret of the client and the app: POST /send acts as who names it */
  char name[CLIENT_ID_LEN]; /* what others may know it by */
  const char *transport;    /* a constant */
  struct blob *user;        /* JSON; NULL: anonymous */
  struct blob *user_id;     /* NULL: the client's name serves */
  void *context;            /* the app's */
  void (*on_free)(void *context);
  struct list in_registry;      /* under the registry's lock; alone when it is not connected */
  struct mw_client *next_by_id; /* likewise: in the same bucket of the registry */
  uint64_t number;              /* likewise: in the order in which they connected */
  /* mail.to: where it is connected. Posted when the app closes it: once at a time, whatever waits in the queue of its worker. */
  struct mail mail;
  struct blob *close_reason; /* NULL: no word */
  struct script_task *task;  /* the script's: what it does for the client; NULL: nothing */
  char remote[];             /* where its peer is, terminated */
};

/* Takes the JSON (NULL: anonymous), and reads the user's id from it (mw_user_id). MW_EINVAL: the client is another user already, and
 * who it is, is settled once; MW_ENOMEM. Nothing is changed then. */
int client_set_user(struct mw_client *client, struct blob *user);
/* True if the two are the same user: by the ids, or, of users that have none, by all that is known of them; or both are anonymous. */
bool client_same_user(const struct mw_client *one, const struct mw_client *other);
/* The user's id, or, of the anonymous and of users without one, the client's name. */
struct bytes client_user_id(const struct mw_client *client);
/* With a new id and no user. `transport` is a constant. NULL if out of memory. */
struct mw_client *client_new(const char *transport, const char *remote);

VISIBILITY_POP

#endif
