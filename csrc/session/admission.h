/* Channels that clients join: what orders messages must hand over their messages, and the store must
 * have their histories (app/order.h, interest and fetch). Each subscription has one interest in its
 * channel. On the worker's thread. */
#ifndef MOONWIRE_SESSION_ADMISSION_H
#define MOONWIRE_SESSION_ADMISSION_H

#include "app/script_job.h"
#include "http/http.h"

VISIBILITY_PUSH

struct subscription;

/* Returns true if joining may have to wait, or the script must be asked: then a job goes to the
 * script, and admission_enter follows its answer. */
bool admission_must_ask(const struct http *http, const struct script_job *job);
/* Called with a job that the script has accepted. Returns 0 if its channels may be joined, or read.
 * MW_PENDING: the job was taken, and is posted to its session again. Otherwise the job was refused. */
int admission_enter(struct http *http, struct script_job *job);
/* Declares an interest for a subscription that is about to be made, unless the job has done so, and
 * does not wait. Sets channel->is_followed. Returns 0, or why it failed. */
int admission_follow(struct http *http, struct job_channel *channel);
/* The subscription has the interest from now on, and ends it. */
static inline void admission_move(struct job_channel *channel) { channel->is_followed = false; }
/* Called just before a subscription ends. */
void admission_leave(struct http *http, const struct subscription *subscription);
/* Ends the interests in channels that were not joined. */
void admission_return(struct http *http, struct job_channel *channels, size_t count);

VISIBILITY_POP

#endif
