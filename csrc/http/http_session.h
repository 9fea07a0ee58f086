/* What http needs of the sessions of its subscribers (session/session.h). It is handed in at the
 * start. */
#ifndef MOONWIRE_HTTP_HTTP_SESSION_H
#define MOONWIRE_HTTP_HTTP_SESSION_H

#include "app/membership.h"
#include "delivery/subscriber.h"

VISIBILITY_PUSH

struct budget;
struct closing;
struct exchange;
struct timer;
struct script_job;

/* Returns true if the subscriber has a session. */
static inline bool http_has_session(const struct subscriber *subscriber) {
  return subscriber->extra && !(subscriber->flags & SUBSCRIBER_BARE);
}

/* Every function is set. The first two are called only for subscribers that have a session. */
struct http_session {
  /* Returns its budget. */
  struct budget *(*budget)(struct subscriber *subscriber);
  /* Returns where its question to the script is kept. */
  struct script_job **(*question)(struct subscriber *subscriber);
  /* Makes a session if the subscriber has none. Returns false if out of memory. */
  bool (*make)(struct subscriber *subscriber);
  /* Asks the script; takes the job. Returns false, and releases the job, if out of memory, or if
   * limits.waiting or limits.queue is reached. */
  bool (*ask)(struct subscriber *subscriber, struct script_job *job);
  /* Drops the question: its answer is ignored. */
  void (*forget)(struct subscriber *subscriber);
  /* Notes why the session is about to end, with its close code, or 0. The first call counts. */
  void (*depart)(struct subscriber *subscriber, enum departure why, unsigned code);
  /* As depart, for what the session is closed with. */
  void (*depart_closing)(struct subscriber *subscriber, const struct closing *closing);
  /* Continues with the input that was put off (http/budget.h). */
  void (*resume)(struct subscriber *subscriber);
  /* As in sink_ops. */
  void (*event)(struct subscriber *subscriber, enum event_type type, struct bytes channel, struct bytes id);
  void (*slow)(struct subscriber *subscriber, const struct channel *channel);
  void (*left)(struct subscriber *subscriber, struct subscription *subscription, enum leave_reason reason);
  struct bytes (*identity)(const struct subscriber *subscriber);
  /* Called when the token of a session is about to expire, or has expired. */
  void (*expire)(struct timer *timer);
  /* Called when the exchange ends: ends its session, if it has one. */
  void (*end)(struct exchange *exchange);
};

VISIBILITY_POP

#endif
