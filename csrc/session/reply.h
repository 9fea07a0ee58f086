/* Answers to verbs, and events: written by a dialect, and handed to whom they are for. */
#ifndef MOONWIRE_SESSION_REPLY_H
#define MOONWIRE_SESSION_REPLY_H

#include "dialect/dialect.h"
#include "session/session.h"

VISIBILITY_PUSH

/* Where answers go. Every function is set. */
struct reply_class {
  const struct dialect *dialect; /* in whose words they are; NULL: in the client's */
  /* a request waits, whatever was asked; else only what has a ref is answered if it succeeds */
  bool is_awaited;
  bool is_query; /* a poll waits: what is joined for it is of its query, and it reads for itself */
  /* Return how many bytes of members the answer may have. */
  size_t (*room)(struct subscriber *subscriber, const struct reply *reply);
  /* It has succeeded. */
  void (*ok)(struct subscriber *subscriber, const struct reply *reply, const struct rope *text);
  /* As reply_ok, for values that may be large: they are not compressed, which would take longer
   * than any other request of a client. */
  void (*page)(struct subscriber *subscriber, const struct reply *reply, const struct rope *text);
  void (*error)(struct subscriber *subscriber, const struct reply *reply, const struct refusal *refusal, struct bytes text);
};

/* To the client itself. */
extern const struct reply_class reply_to_client;

static inline const struct dialect *reply_dialect(const struct subscriber *subscriber, const struct reply *reply) {
  return reply->class->dialect ? reply->class->dialect : session_dialect(subscriber);
}
/* False: nobody waits for the answer, if it is a good one. */
static inline bool reply_is_wanted(const struct reply *reply, struct bytes ref) {
  return ref.len > 0 || reply->class->is_awaited;
}
static inline size_t reply_room(struct subscriber *subscriber, const struct reply *reply) {
  return reply->class->room(subscriber, reply);
}
/* Answers with what has come of it, unless nobody waits for that. If out of memory, the subscriber
 * is broken. */
void reply_ok(struct subscriber *subscriber, const struct reply *reply, struct bytes ref, const struct outcome *outcome);
/* The same for a page. False if out of memory, or if its members are unknown: nothing was
 * answered. */
bool reply_page(struct subscriber *subscriber, const struct reply *reply, struct bytes ref, const struct outcome *outcome);
/* A good answer that the dialect has written. */
void reply_text(struct subscriber *subscriber, const struct reply *reply, const struct rope *text);
void reply_error(struct subscriber *subscriber, const struct reply *reply, struct bytes ref, const struct refusal *refusal);

/* Tells the client of an event. If out of memory, or if the members are unknown, the subscriber is
 * broken, and false is returned. */
bool session_tell(struct subscriber *subscriber, const struct event *event);

/* The HTTP status that goes with a refusal. */
int reply_status(const struct refusal *refusal);

VISIBILITY_POP

#endif
