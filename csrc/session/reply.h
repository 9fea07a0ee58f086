/* Answers to verbs, and events: a dialect writes them, and a reply class sends them. On the
 * worker's thread. */
#ifndef MOONWIRE_SESSION_REPLY_H
#define MOONWIRE_SESSION_REPLY_H

#include "dialect/dialect.h"
#include "session/session.h"

VISIBILITY_PUSH

/* Where answers go. Every function is set. */
struct reply_class {
  const struct dialect *dialect; /* that writes them; NULL: the client's */
  /* a request waits for every answer; otherwise, a success is answered only if the verb has a
   * ref */
  bool is_awaited;
  /* a poll waits: the channels that it joins belong to its query, and it reads their histories
   * itself */
  bool is_query;
  /* Return how many bytes of members the answer may have. */
  size_t (*room)(struct subscriber *subscriber, const struct reply *reply);
  /* Sends the answer to a verb that has succeeded. */
  void (*ok)(struct subscriber *subscriber, const struct reply *reply, const struct rope *text);
  /* The same for values that may be large: they are not compressed, because that would take longer
   * than any other request of a client. */
  void (*page)(struct subscriber *subscriber, const struct reply *reply, const struct rope *text);
  void (*error)(struct subscriber *subscriber, const struct reply *reply, const struct refusal *refusal, struct bytes text);
};

/* Sends answers to the client itself. */
extern const struct reply_class reply_to_client;

static inline const struct dialect *reply_dialect(const struct subscriber *subscriber, const struct reply *reply) {
  return reply->class->dialect ? reply->class->dialect : session_dialect(subscriber);
}
/* Returns false if a success is not answered. */
static inline bool reply_is_wanted(const struct reply *reply, struct bytes ref) {
  return ref.len > 0 || reply->class->is_awaited;
}
static inline size_t reply_room(struct subscriber *subscriber, const struct reply *reply) {
  return reply->class->room(subscriber, reply);
}
/* Returns the outcome of a message that the app has accepted, borrowed from the job. */
struct outcome reply_outcome(const struct script_job *job);
/* Answers with the outcome, if the answer is wanted. If out of memory, breaks the subscriber. */
void reply_ok(struct subscriber *subscriber, const struct reply *reply, struct bytes ref, const struct outcome *outcome);
/* The same for a page. Returns false, without an answer, if out of memory or if the members are
 * unknown. */
bool reply_page(struct subscriber *subscriber, const struct reply *reply, struct bytes ref, const struct outcome *outcome);
/* Sends a successful answer that the dialect has written. */
void reply_text(struct subscriber *subscriber, const struct reply *reply, const struct rope *text);
enum { UNKNOWN_EVENT_MAX = 128 };
/* Writes the reason of the code "unknown_event": a client sent that event, for which the channel has
 * no rule. */
void reply_write_unknown_event(char reason[UNKNOWN_EVENT_MAX], struct bytes event);
/* Answers with a refusal. */
void reply_error(struct subscriber *subscriber, const struct reply *reply, struct bytes ref, const struct refusal *refusal);

/* Sends an event to the client. If out of memory, or if the members are unknown, breaks the
 * subscriber, and returns false. */
bool session_tell(struct subscriber *subscriber, const struct event *event);

/* Returns the HTTP status of a refusal. */
int reply_status(const struct refusal *refusal);

VISIBILITY_POP

#endif
