#include "transport/http_session.h"

#include "session/admission.h"
#include "session/expiry.h"
#include "session/names.h"
#include "session/reply.h"
#include "transport/exchange_session.h"

static struct budget *http_session_budget(struct subscriber *subscriber) { return &session_of(subscriber)->budget; }

static struct script_job **http_session_question(struct subscriber *subscriber) { return &session_of(subscriber)->question; }

static bool http_session_make(struct subscriber *subscriber) { return session_get(subscriber) != NULL; }

static void http_session_resume(struct subscriber *subscriber) { session_ops(subscriber)->resume(subscriber); }

/* ---- Events ---------------------------------------------------------------------------------- */

static void report_event(struct subscriber *subscriber, enum event_type type, struct bytes channel, struct bytes id) {
  session_tell(subscriber, &(struct event){.type = type, .channel = channel, .id = id});
}

/* Nothing depends on it, and it may fail. */
static void report_slow(struct subscriber *subscriber, const struct channel *channel) {
  struct app *app = http_of(subscriber)->app;
  const struct kind *kind = config_kind_of(channel->policy);
  const struct script_job *question = session_question(subscriber);
  if (question && question->type == JOB_STREAM) return; /* a raw stream is not a client of the channel */
  struct job_channel about = {.name = channel->name, .kind = kind};
  struct mw_client *client = kind->hooks & MW_HOOK_SLOW ? session_client(subscriber) : NULL;
  struct script_job *job = client ? job_new(JOB_SLOW, config_of(channel->policy), client, NULL, &about, 1) : NULL;
  if (!job) return;
  job->mail.to = session_address(subscriber);
  job->step = STEP_SLOW;
  app->script->tell(app, job);
}

static void report_left(struct subscriber *subscriber, struct subscription *subscription, enum leave_reason reason) {
  names_leave(subscriber, subscription, reason != LEAVE_OVER);
  admission_leave(http_of(subscriber), subscription);
  if (reason == LEAVE_FINAL) session_leave(subscriber, subscription->channel->name);
}

const struct http_session server_http_session = {.budget = http_session_budget,
                                                 .question = http_session_question,
                                                 .make = http_session_make,
                                                 .ask = session_ask,
                                                 .forget = session_forget,
                                                 .depart = session_depart,
                                                 .depart_closing = session_depart_closing,
                                                 .resume = http_session_resume,
                                                 .event = report_event,
                                                 .slow = report_slow,
                                                 .left = report_left,
                                                 .identity = session_identity,
                                                 .expire = expiry_due,
                                                 .end = exchange_session_end};
