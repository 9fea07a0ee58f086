/* A session: what a subscriber needs that asks for something, or that others ask about. An idle subscriber that only receives has none.
 *
 * A session belongs to the stream of an exchange (transport/exchange_session.c), or to a client that polls (transport/poll/poll_client.h), which has no
 * connection. What differs between the two is in session_ops, by way of the subscriber's sink. */
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

struct replay;

/* What a session has only while something waits: the answer of the script, or input. */
struct input_backlog {
  struct buffer bytes;     /* input that waits (session/input.c) */
  size_t at;               /* where the first message that is still in it begins */
  struct reply asked_by;   /* of the verb that is with the script */
  struct blob *asked_ref;  /* its ref; NULL: none */
  bool is_asked;           /* there is one */
  struct blob *unfinished; /* the beginning of a verb, which a later frame continues (struct dialect_reader); NULL: none */
};

struct session {
  struct subscriber_extra extra;
  struct script_job *question;    /* that is with the script, or what the app is told of at the end: a reference; NULL: none */
  struct mw_client *client;       /* NULL until somebody must know who it is */
  struct input_backlog *backlog;  /* NULL: nothing waits */
  struct http_copy *http;         /* what it is judged by if it has a token, or a newer one; NULL: it cannot have one */
  struct membership *memberships; /* to be undone when the session ends; the connecting one last */
  struct budget budget;
  uint16_t close_code; /* with which it is about to end; 0: none */
  uint8_t departure;   /* enum departure: why it is about to end */
  bool is_raw;         /* a raw WebSocket: follows channels, and is not a client of them */
};

/* A bit of subscription->mark: the query of a poll asked for it, and it ends when a later one does not. */
enum { SUBSCRIPTION_QUERIED = 1 << 8 };

/* What differs by whom the session belongs to. Every function is set. */
struct session_ops {
  /* Makes the session of a subscriber that has none. NULL: out of memory. */
  struct session *(*make)(struct subscriber *subscriber);
  /* Returns where its name is kept (delivery/slots.h). */
  uint32_t *(*slot)(struct subscriber *subscriber);
  /* Returns where its question to the script is kept; NULL: it has none. */
  struct script_job **(*question)(struct subscriber *subscriber);
  /* True while it can be sent to, and takes input. */
  bool (*is_open)(struct subscriber *subscriber);
  /* True if it must say who it is before anything else. */
  bool (*is_connecting)(struct subscriber *subscriber);
  /* It has said who it is. */
  void (*connected)(struct subscriber *subscriber);
  /* Writes where its client is, terminated (stream_remote). */
  void (*remote)(struct subscriber *subscriber, char *out, size_t size);
  /* False: nothing more fits into the stash, so nothing is to be read. True: there is room again. */
  void (*read)(struct subscriber *subscriber, bool on);
  /* Continues with the input that was put off (http/budget.h). */
  void (*resume)(struct subscriber *subscriber);
  /* The script has answered its question. */
  void (*on_answer)(struct subscriber *subscriber, struct script_job *job);
  /* Closes it; called only while it is open. */
  void (*close)(struct subscriber *subscriber, const struct closing *closing);
  /* False: for the time being it may be in no further channel. */
  bool (*may_join)(struct subscriber *subscriber);
  /* It has just been subscribed to a channel. MW_ELIMIT, MW_ENOMEM: it may not. */
  int (*charge)(struct subscriber *subscriber);
  /* That is acknowledged: sends what follows. `replay` is freed by the caller. */
  void (*joined)(struct subscriber *subscriber, struct bytes channel, struct replay *replay);
};

/* Returns how its client speaks. */
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
/* Returns the session, which is made if necessary. NULL: out of memory. */
struct session *session_get(struct subscriber *subscriber);
/* For those who make sessions. Session is zeroed. */
void session_init(struct session *session, struct subscriber *subscriber);
/* Notes why the session is about to end, for the app, with a close code or 0. The first word counts. Does nothing without a session. */
void session_depart(struct subscriber *subscriber, enum departure why, unsigned code);
/* The same by what it is closed with. */
void session_depart_closing(struct subscriber *subscriber, const struct closing *closing);
/* Ends the session, whose memory is its owner's: leaves everything, and releases what it holds. `otherwise` is why, if that was not noted. */
void session_deinit(struct subscriber *subscriber, enum departure otherwise);

/* Returns the backlog, which is made if necessary. NULL: out of memory. */
struct input_backlog *session_backlog(struct session *session);
/* Frees the backlog if nothing waits. */
void session_release_backlog(struct session *session);

/* ---- Identity ---- */

/* Gives the subscriber a name that others can hold, until its owner releases it. MW_ENOMEM. */
int session_take_name(struct subscriber *subscriber);
/* Returns the address of a subscriber that has a name. */
struct address session_address(struct subscriber *subscriber);
/* Returns the client, which is made if necessary, and which others can find from then on. NULL: out of memory. */
struct mw_client *session_client(struct subscriber *subscriber);
/* Gives the session a client that was made before it. MW_ENOMEM. */
int session_identify(struct subscriber *subscriber, struct mw_client *client);
/* Returns the id of the client, borrowed; empty: there is none. */
struct bytes session_identity(const struct subscriber *subscriber);
bool session_is_identified(const struct subscriber *subscriber);

/* ---- Questions to the script ---- */

/* Returns the question that is with the script, or NULL. */
struct script_job *session_question(struct subscriber *subscriber);
/* Asks the script; takes the job. The answer comes by `on_answer`. False: no memory, or too much is waiting, and the job is released. */
bool session_ask(struct subscriber *subscriber, struct script_job *job);
/* The answer is not wanted any more. */
void session_forget(struct subscriber *subscriber);
/* The job was answered: carries out the mail that had to wait for that. */
void session_release_held(struct http *http, struct script_job *job);
/* A job was answered, and everything was done about that: takes it. What was joined by it and is not kept is left again. */
void session_return_job(struct http *http, struct script_job *job);

/* ---- Memberships ---- */

/* Takes what is to be undone out of the job, and keeps it until the session ends. */
void session_keep(struct subscriber *subscriber, struct script_job *job);
/* True if a membership of this channel is kept. */
bool session_is_member(struct subscriber *subscriber, struct bytes channel);
/* Sends the membership of one channel back to the script, if there is one. */
void session_leave(struct subscriber *subscriber, struct bytes channel);
/* Ends a subscription; with a code the client is told why. */
void session_unsubscribe(struct subscriber *subscriber, struct bytes channel, const char *code, const char *reason);

/* Returns how many bytes, besides messages of channels, may be pushed before half of limits.outbox waits. */
size_t session_room(const struct subscriber *subscriber);

VISIBILITY_POP

#endif
