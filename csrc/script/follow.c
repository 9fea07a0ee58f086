#include "script/follow.h"

#include "base/memory.h"
#include "codec/envelope.h"
#include "script/stream.h"

struct mw_follow *follow_ref(struct mw_follow *follow) {
  refs_add(&follow->refs);
  return follow;
}

void follow_unref(struct mw_follow *follow) {
  if (!follow || !refs_remove(&follow->refs)) return;
  job_unref(follow->stream);
  job_unref(follow->join);
  memory_free(follow);
}

/* ---- The end --------------------------------------------------------------------------------- */

void follow_end(struct mw_follow *follow, int status) {
  if (follow->has_ended) return;
  follow->has_ended = true;
  follow->status = status;
  follow->app->script->end_follow(follow->app, follow_ref(follow));
}

static void detach_handle(struct mw_follow *follow) {
  if (follow->handle) follow->handle->follow = NULL;
  follow->handle = NULL;
}

static struct mw_follow *follow_of(struct mail *mail) { return container_of(mail, struct mw_follow, mail); }

static void take_follow_end(struct mail *mail, void *room, struct subscriber *none) {
  (void)room;
  (void)none;
  struct mw_follow *follow = follow_of(mail);
  follow->is_done = true;
  detach_handle(follow);
  if (follow->on_done) follow->on_done(follow->context, follow->status);
  follow_unref(follow);
}

static void drop_follow_end(struct mail *mail) { follow_unref(follow_of(mail)); }

const struct mail_class follow_ended_class = {.take = take_follow_end, .drop = drop_follow_end};

/* ---- The app's calls ------------------------------------------------------------------------- */

static struct mw_follow *new_follow(struct mw_stream *stream, struct bytes name, const struct kind *kind,
                                    struct mw_config *config) {
  struct mw_follow *follow = memory_calloc(1, sizeof *follow);
  struct job_channel channel = {.name = name, .kind = kind};
  struct script_job *join = follow ? job_new(JOB_JOIN, config, NULL, NULL, &channel, 1) : NULL;
  if (!join) {
    memory_free(follow);
    return NULL;
  }
  atomic_init(&follow->refs, 1);
  follow->app = stream->app;
  follow->stream = job_ref(stream->job);
  follow->join = join;
  join->follow = follow;
  join->status = 200; /* the app needs no permission */
  join->answered = stream->app->workers->follow;
  join->mail =
      (struct mail){.class = join->answered, .to = stream->job->mail.to, .size = mail_size(sizeof *follow + sizeof *join)};
  return follow;
}

int mw_stream_follow(struct mw_stream *stream, const struct mw_follow_options *options, struct mw_follow **out,
                     void (*on_done)(void *context, int status), void *context) {
  struct bytes name = bytes_of(options->channel.ptr, options->channel.len);
  if (stream->follow) return MW_ELIMIT;
  if (stream->closed || stream->ended) return MW_ECLOSED;
  if (channel_name_fault(name)) return MW_EINVAL;
  struct mw_config *config = app_hold_config(stream->app);
  const struct kind *kind = config_kind(config, name);
  struct mw_follow *follow = kind ? new_follow(stream, name, kind, config) : NULL;
  mw_config_unref(config);
  if (!follow) return kind ? MW_ENOMEM : MW_ENOTFOUND;
  struct bytes since = options->since.ptr ? bytes_of(options->since.ptr, options->since.len) : BYTES("0");
  follow->since_len = since.len < sizeof follow->since ? since.len : sizeof follow->since;
  if (since.len > 0) memcpy(follow->since, since.ptr, follow->since_len);
  follow->until_final = options->until_final;
  follow->on_done = on_done;
  follow->context = context;
  follow->handle = stream;
  follow_ref(follow);
  job_ref(follow->join);
  int status = stream->app->workers->post(stream->app, &follow->join->mail);
  if (status < 0) {
    job_unref(follow->join);
    follow_unref(follow);
    follow_unref(follow);
    return status;
  }
  stream->follow = follow;
  *out = follow;
  return 0;
}

void mw_follow_unref(struct mw_follow *follow) {
  if (!follow) return;
  follow->on_done = NULL;
  if (!follow->is_done) {
    detach_handle(follow);
    follow_ref(follow);
    follow->cancel = (struct mail){.class = follow->app->workers->cancel_follow, .to = follow->stream->mail.to};
    follow->app->workers->post(follow->app, &follow->cancel);
  }
  follow_unref(follow);
}
