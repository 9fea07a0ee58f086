/* A session: the state of a subscriber that sends requests, or that others address. An idle
 * subscriber that only receives has none.
 *
 * A session belongs to the stream of an exchange (transport/exchange_session.c), or to a client
 * that polls (transport/poll/poll_client.h), which has no connection. struct session_ops, which the
 * subscriber's sink points to, holds the differences. On the worker's thread. */
#ifndef MOONWIRE_SESSION_SESSION_H
#define MOONWIRE_SESSION_SESSION_H

#include "app/command.h"
#include "app/script_job.h"
#include "base/buffer.h"
#include "delivery/slots.h"
#include "delivery/subscriber.h"
#include "http/http.h"
#include "http/role.h"

VISIBILITY_PUSH

struct expiry;
struct kept_input;
struct replay;

/* Memory that a session needs only while it waits for the script, or has input that is queued or
 * incomplete. */
struct input_backlog {
  struct buffer bytes;    /* queued input (session/input.c) */
  size_t at;              /* where its first message begins */
  struct reply asked_by;  /* of the verb that is with the script */
  struct blob *asked_ref; /* its ref; NULL: none */
  bool is_asked;          /* a request is with the script */
  /* the beginning of a verb, which a later frame continues (struct dialect_reader); NULL: none */
  struct blob *unfinished;
  /* a WebSocket message that has not arrived completely (transport/websocket/ws_input.c); NULL:
   * none */
  struct kept_input *arriving;
};

struct session {
  struct subscriber_extra extra;
  /* a reference; with the script, or returned to the app at the end; NULL: none */
  struct script_job *question;
  struct mw_client *client;      /* NULL until it is needed */
  struct input_backlog *backlog; /* NULL while it is not needed */
  union {
    /* with which the app checks its token, or a newer one (session_http); NULL: it cannot have one */
    struct http_copy *http;
    struct expiry *expiry; /* with `expires`: of its token (session/expiry.h) */
  };
  struct membership *memberships; /* to be undone when the session ends; the connecting one last */
  struct budget budget;
  uint16_t close_code; /* of its end; 0: none */
  uint8_t departure;   /* enum departure: why it is about to end */
  bool is_raw : 1;     /* role->is_raw of its stream */
  bool expires : 1;    /* it has `expiry` in place of `http` */
};

/* A bit of subscription->mark: the query of a poll named the channel. The subscription ends when a
 * later query does not name it. */
enum { SUBSCRIPTION_QUERIED = 1 << 8 };
/* Another: the app has subscribed it, so no token need grant the channel. */
enum { SUBSCRIPTION_BY_APP = 1 << 9 };

/* The functions that depend on the owner of the session. Every function is set. */
struct session_ops {
  /* Makes the session of a subscriber that has none. Returns NULL if out of memory. */
  struct session *(*make)(struct subscriber *subscriber);
  /* Returns where its name is kept (delivery/slots.h). */
  uint32_t *(*slot)(struct subscriber *subscriber);
  /* Returns where its question to the script is kept, or NULL if there is no place. */
  struct script_job **(*question)(struct subscriber *subscriber);
  /* Returns true while it can be sent to, and takes input. */
  bool (*is_open)(struct subscriber *subscriber);
  /* Returns true if it must connect before anything else. */
  bool (*is_connecting)(struct subscriber *subscriber);
  /* Called when it has connected. */
  void (*connected)(struct subscriber *subscriber);
  /* Writes the client's address, NUL-terminated (stream_remote). */
  void (*remote)(struct subscriber *subscriber, char *out, size_t size);
  /* Stops reading while the input backlog is full (false), or starts again (true). */
  void (*read)(struct subscriber *subscriber, bool on);
  /* Continues with the input that was put off (http/budget.h). */
  void (*resume)(struct subscriber *subscriber);
  /* Called with the script's answer to its question. */
  void (*on_answer)(struct subscriber *subscriber, struct script_job *job);
  /* Closes it; called only while it is open. */
  void (*close)(struct subscriber *subscriber, const struct closing *closing);
  /* Returns false if it may not join another channel now. */
  bool (*may_join)(struct subscriber *subscriber);
  /* Called when it has just been subscribed to a channel. Returns MW_ELIMIT or MW_ENOMEM to
   * refuse. */
  int (*charge)(struct subscriber *subscriber);
  /* Called after the acknowledgement: sends what follows. The caller frees `replay`. */
  void (*joined)(struct subscriber *subscriber, struct bytes channel, struct replay *replay);
};

/* Returns the dialect of its client. */
static inline const struct dialect *session_dialect(const struct subscriber *subscriber) {
  return container_of(subscriber->sink, const struct http_sink, sink)->dialect;
}

static inline const struct session_ops *session_ops(const struct subscriber *subscriber) {
  return container_of(subscriber->sink, const struct http_sink, sink)->session;
}

/* ---- Life ---- */

/* Returns the session, or NULL. */
static inline struct session *session_of(const struct subscriber *subscriber) {
  if (!subscriber->extra || subscriber->flags & SUBSCRIBER_BARE) return NULL;
  return container_of(subscriber->extra, struct session, extra);
}
/* Returns the request with which the app checks a newer token, or NULL. */
static inline struct http_copy *session_http(const struct session *session) { return session->expires ? NULL : session->http; }
/* Returns the session, and makes it if necessary. NULL if out of memory. */
struct session *session_get(struct subscriber *subscriber);
/* Initializes a session, which is zeroed, for its owner. */
void session_init(struct session *session, struct subscriber *subscriber);
/* Notes why the session is about to end, for the app, with a close code or 0. The first call
 * counts. Does nothing without a session. */
void session_depart(struct subscriber *subscriber, enum departure why, unsigned code);
/* As session_depart, with the reason and the code of a closing. */
void session_depart_closing(struct subscriber *subscriber, const struct closing *closing);
/* Ends the session, whose memory belongs to its owner: leaves everything, and releases what it
 * holds. `otherwise` is the reason if none was noted. */
void session_deinit(struct subscriber *subscriber, enum departure otherwise);

/* Returns the backlog, and makes it if necessary. NULL if out of memory. */
struct input_backlog *session_backlog(struct session *session);
/* Frees the backlog if nothing is queued. */
void session_release_backlog(struct session *session);

/* ---- Identity ---- */

/* Gives the subscriber a name that others can keep, until its owner releases it. Returns 0 or
 * MW_ENOMEM. */
int session_take_name(struct subscriber *subscriber);
/* Returns the address of a subscriber that has a name. */
struct address session_address(struct subscriber *subscriber);
/* Returns the client, and makes it if necessary; others can find it from then on. NULL if out of
 * memory. */
struct mw_client *session_client(struct subscriber *subscriber);
/* Gives the session a client that was made before it. Returns 0 or MW_ENOMEM. */
int session_identify(struct subscriber *subscriber, struct mw_client *client);
/* Returns the id of the client, borrowed; empty: there is none. */
struct bytes session_identity(const struct subscriber *subscriber);
bool session_is_identified(const struct subscriber *subscriber);

/* ---- Questions to the script ---- */

/* Returns the question that is with the script, or NULL. */
struct script_job *session_question(struct subscriber *subscriber);
/* Returns true if the client has seen messages on another worker that this one has not received yet.
 * They are in its queue. */
bool session_is_ahead(const struct http *http, const struct since *since);
/* Returns true if the job cannot be carried out now: the script must be asked, or the worker must
 * first receive what the client has seen on another one. */
bool session_must_ask(struct subscriber *subscriber, const struct script_job *job);
/* Asks the script, if it must be asked; takes the job. The answer comes by `on_answer`. Returns false, and releases the
 * job, if out of memory, or if limits.waiting or limits.queue is reached. */
bool session_ask(struct subscriber *subscriber, struct script_job *job);
/* Drops the question: its answer is ignored. */
void session_forget(struct subscriber *subscriber);
/* Carries out the mail that was held until the job was answered. */
void session_release_held(struct http *http, struct script_job *job);
/* Takes a job that was answered and handled. Undoes the memberships that it made and the session
 * did not keep. */
void session_return_job(struct http *http, struct script_job *job);

/* ---- Memberships ---- */

/* Moves the job's memberships to the session, which keeps them until it ends. */
void session_keep(struct subscriber *subscriber, struct script_job *job);
/* Returns true if it keeps a membership of this channel. */
bool session_is_member(struct subscriber *subscriber, struct bytes channel);
/* Sends the membership of one channel to the script, to be undone, if there is one. */
void session_leave(struct subscriber *subscriber, struct bytes channel);
/* Ends a subscription. With a code, the client receives the code and the reason. */
void session_unsubscribe(struct subscriber *subscriber, struct bytes channel, const char *code, const char *reason);

/* Returns how many bytes, besides messages of channels, may be pushed before half of limits.outbox
 * is unsent. */
size_t session_room(const struct subscriber *subscriber);

VISIBILITY_POP

#endif
