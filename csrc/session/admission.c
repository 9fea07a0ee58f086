#include "session/admission.h"

#include "app/app.h"
#include "base/memory.h"
#include "hub/channel.h"

/* A job whose interest, or whose histories, are to come. */
struct admission {
  struct completion completion;
  struct app *app;
  struct script_job *job; /* with the reference of its mail */
};

static void note_admission(struct script_job *job) {
  if (job->admission == ADMISSION_NONE) {
    for (size_t i = 0; i < job->channel_count; i++) job->channels[i].is_followed = true;
  }
  job->admission++;
}

static void on_admission(struct completion *completion, int status) {
  struct admission *admission = container_of(completion, struct admission, completion);
  struct script_job *job = admission->job;
  struct app *app = admission->app;
  order_end_waiting(app);
  if (status < 0) {
    job_refuse_order(job, status);
  } else {
    note_admission(job);
  }
  app->workers->post(app, &job->mail);
  memory_free(admission);
}

static struct completion *keep_admission(struct completion *completion) {
  const struct admission *admission = container_of(completion, struct admission, completion);
  struct admission *kept = memory_alloc(sizeof *kept);
  if (kept && order_begin_waiting(admission->app)) {
    *kept = *admission;
    return &kept->completion;
  }
  memory_free(kept);
  return NULL;
}

bool admission_must_ask(const struct http *http, const struct script_job *job) {
  return http->app->orderer->may_wait || job_needs_script(job);
}

/* True if the job leads to subscriptions, or reads a history. */
static bool is_admitted(const struct script_job *job) {
  bool joins = job->type == JOB_JOIN || job->type == JOB_HISTORY || job->permits;
  return joins && job->channel_count > 0 && job->status == 200;
}

/* What is to be read of the channel's history. */
static void describe_reading(const struct script_job *job, struct job_channel *channel) {
  channel->since = job->since;
  channel->before = job->before;
  channel->limit = job->limit;
  channel->reads_page = job->type == JOB_HISTORY;
}

int admission_enter(struct http *http, struct script_job *job) {
  struct orderer *orderer = http->app->orderer;
  if (!orderer->may_wait || !is_admitted(job)) return 0;
  /* a client that reads a history is in the channel */
  if (job->type == JOB_HISTORY && job->admission == ADMISSION_NONE) job->admission = ADMISSION_FOLLOWED;
  while (job->admission < ADMISSION_DONE) {
    struct admission admission = {
        .completion = {.http = http, .keep = keep_admission, .on_done = on_admission}, .app = http->app, .job = job};
    for (size_t i = 0; i < job->channel_count; i++) describe_reading(job, &job->channels[i]);
    int status = job->admission == ADMISSION_NONE
                     ? orderer->interest(orderer, job->channels, job->channel_count, &admission.completion)
                     : orderer->fetch(orderer, job->channels, job->channel_count, &admission.completion);
    if (status == MW_PENDING) return status;
    if (status < 0) {
      job_refuse_order(job, status);
      return status;
    }
    note_admission(job);
  }
  /* The epoch may be another one than when the job began. */
  since_judge(&job->since, http->delivery->epoch, http->delivery->hub->position);
  since_judge(&job->before, http->delivery->epoch, UINT64_MAX);
  return 0;
}

int admission_follow(struct http *http, struct job_channel *channel) {
  if (channel->is_followed) return 0;
  int status = http->app->orderer->interest(http->app->orderer, channel, 1, NULL);
  channel->is_followed = status == 0;
  return status;
}

void admission_leave(struct http *http, const struct subscription *subscription) {
  http->app->orderer->end_interest(http->app->orderer, subscription->channel->name);
}

void admission_return(struct http *http, struct job_channel *channels, size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (channels[i].is_followed) http->app->orderer->end_interest(http->app->orderer, channels[i].name);
    channels[i].is_followed = false;
  }
}
