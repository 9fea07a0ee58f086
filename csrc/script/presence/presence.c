/* The channels with members: who joins and leaves on this server. */
#include "script/presence/presence.h"

#include "app/order.h"
#include "base/memory.h"
#include "script/joining.h"
#include "script/presence/announcing.h"
#include "script/task.h"

/* ---- Channels -------------------------------------------------------------------------------- */

static void on_alarm(void *context);

struct presence *presence_make(struct script *script, struct mw_config *config, const struct kind *kind, struct bytes name) {
  struct presence *presence = memory_calloc(1, sizeof *presence + name.len);
  if (!presence) return NULL;
  memcpy(presence->text, name.ptr, name.len);
  presence->name = bytes_of(presence->text, name.len);
  presence->script = script;
  presence->kind = kind;
  presence->lost_seen = atomic_load(&script->rosters_lost);
  presence->armed_ms = script->loop->clock.now_ms + kind->presence_interval_ms;
  presence->alarm = alarm_new(script->loop, kind->presence_interval_ms, 0, on_alarm, presence);
  if (!presence->alarm || table_set(&script->presences, presence->name, presence) < 0) {
    alarm_free(presence->alarm);
    memory_free(presence);
    return NULL;
  }
  sorted_init(&presence->members);
  list_init(&presence->leaving);
  list_init(&presence->changed);
  presence->config = config_ref(config);
  return presence;
}

/* Makes it for a client, to which its name is charged. Returns NULL after it has refused the job. */
static struct presence *make_for(struct script *script, struct script_job *job, const struct job_channel *channel) {
  struct name_hold hold = {NULL, NULL};
  int status = job->by_app ? 0 : name_hold_take(script->app, &hold, PARTY_PRESENCE, job->client);
  struct presence *presence = status == 0 ? presence_make(script, job->config, channel->kind, channel->name) : NULL;
  if (presence) {
    presence->hold = hold;
    return presence;
  }
  name_hold_release(script->app, &hold, PARTY_PRESENCE);
  job_refuse(job, 503, "unavailable", status == MW_ELIMIT ? names_refusal : "out of memory");
  return NULL;
}

static void destroy_presence(struct presence *presence) {
  for (struct member *member; (member = member_first(&presence->members));) presence_remove(presence, member);
  name_hold_release(presence->script->app, &presence->hold, PARTY_PRESENCE);
  table_remove(&presence->script->presences, presence->name);
  alarm_free(presence->alarm);
  mw_config_unref(presence->config);
  memory_free(presence);
}

/* The user has left this server. May free the member. */
static void leave(struct presence *presence, struct member *member) {
  struct orderer *orderer = presence->script->app->orderer;
  member->is_joined = false;
  if (orderer->join) orderer->leave(orderer, presence->name, member->user_id);
  if (member->is_listed) presence_note(presence, member); /* its connections are those of other servers */
  presence_update(presence, member);
}

/* Removes members whose linger has ended. One that was never announced leaves silently. */
static void expire_members(struct presence *presence, uint64_t now_ms) {
  while (!list_empty(&presence->leaving)) {
    struct member *member = container_of(presence->leaving.next, struct member, in_leaving);
    if (member->leave_ms > now_ms) return;
    list_remove(&member->in_leaving);
    leave(presence, member);
  }
}

/* Nothing needs it any more. An empty channel is kept until its next announcement is due, so that it
 * does not announce more often by being forgotten. */
static bool is_unused(const struct presence *presence) {
  return presence->members.count == 0 && !presence->is_followed && !presence_has_changes(presence);
}

static void arm_presence(struct presence *presence, uint64_t now_ms) {
  uint64_t due_ms = UINT64_MAX;
  if (presence_has_changes(presence) || is_unused(presence)) due_ms = presence->ready_ms;
  if (!list_empty(&presence->leaving)) {
    uint64_t leave_ms = container_of(presence->leaving.next, struct member, in_leaving)->leave_ms;
    if (leave_ms < due_ms) due_ms = leave_ms;
  }
  if (due_ms >= presence->armed_ms) return;
  presence->armed_ms = due_ms;
  alarm_set(presence->alarm, due_ms > now_ms ? due_ms - now_ms : 0);
}

void presence_settle(struct presence *presence) {
  uint64_t now_ms = presence->script->loop->clock.now_ms;
  expire_members(presence, now_ms);
  while (presence_has_changes(presence) && now_ms >= presence->ready_ms) presence_announce(presence, now_ms);
  if (is_unused(presence) && now_ms >= presence->ready_ms) {
    destroy_presence(presence);
  } else {
    arm_presence(presence, now_ms);
  }
}

static void on_alarm(void *context) {
  struct presence *presence = context;
  clock_update(&presence->script->loop->clock);
  presence->armed_ms = UINT64_MAX;
  presence_settle(presence);
}

/* ---- Coming and going ------------------------------------------------------------------------ */

/* Finding one needs a key, whose number is bounded by the channels of a job. NULL if out of
 * memory. */
static struct member *find_member(struct script *script, const struct script_job *job, struct bytes name) {
  struct presence *presence = presence_find(script, name);
  struct blob *key = presence ? member_key(client_user_id(job->client)) : NULL;
  struct member *member = key ? member_at(&presence->members, key) : NULL;
  blob_unref(key);
  return member;
}

size_t presence_unknown(struct script *script, const struct script_job *job) {
  if (atomic_load(&job->cancelled)) return job->channel_count;
  for (size_t i = 0; i < job->channel_count; i++) {
    const struct job_channel *channel = &job->channels[i];
    bool asks = (channel->kind->hooks & MW_HOOK_PRESENCE) && !channel->informed;
    if (asks && !find_member(script, job, channel->name)) return i;
  }
  return job->channel_count;
}

void presence_renew(struct presence *presence, struct mw_config *config, const struct kind *kind) {
  if (config->owner.number <= presence->config->owner.number) return;
  /* The replicas list members only in one of the modes. */
  if (kind->presence != presence->kind->presence) presence->lost_seen = atomic_load(&presence->script->rosters_lost) - 1;
  mw_config_unref(presence->config);
  presence->config = config_ref(config);
  presence->kind = kind;
}

static void refuse_full(struct script *script, struct script_job *job) {
  limit_count(&script->app->limits, MW_LIMIT_CHANNEL_MEMBERS);
  job_refuse(job, 403, "refused", "the channel is full");
}

/* Returns the member with one connection more, or NULL after it has refused the job. */
static struct member *count_in(struct presence *presence, struct script_job *job, struct job_channel *channel) {
  struct script *script = presence->script;
  struct blob *key = member_key(client_user_id(job->client));
  struct member *member = member_at(&presence->members, key);
  if (member) {
    blob_unref(key);
  } else if (!script->app->orderer->join && presence->members.count >= presence->kind->members) {
    blob_unref(key);
    refuse_full(script, job);
    return NULL;
  } else {
    member = member_new(&presence->members, client_user_id(job->client), key, channel->info);
  }
  if (!member) {
    job_refuse(job, 503, "unavailable", "out of memory");
    return NULL;
  }
  list_remove(&member->in_leaving);
  member->connections++;
  channel->membership->member = blob_ref(member->key);
  return member;
}

/* Undoes count_in, for a user that could not join. May free the member. */
static void count_out(struct presence *presence, struct member *member, struct membership *membership) {
  blob_unref(membership->member);
  membership->member = NULL;
  member->connections--;
  presence_update(presence, member);
}

/* Refuses a job after the broker has refused the join of its channel. */
static void refuse_join(struct script *script, struct script_job *job, size_t at, int status) {
  if (job->status != 0) return;
  job->at = at;
  if (status == MW_ELIMIT) {
    refuse_full(script, job);
  } else {
    job_refuse_order(job, status);
  }
}

/* The user is a member on this server. */
static void note_joined(struct presence *presence, struct member *member, const struct script_job *job) {
  member->is_joined = true;
  presence_update(presence, member);
  if (member->is_in) presence_note(presence, member);
  presence_settle(presence); /* keeps the member, which has a connection */
  if (!job->by_app) presence_tell_number(presence, member);
}

/* ---- Joins that a broker has to answer -------------------------------------------------------- */

struct entering {
  struct script *script;
  struct script_job *job; /* which waits in its step as for the app's answer */
  size_t at;
};

static void note_entered(const struct entering *entering, int status) {
  struct script_job *job = entering->job;
  struct job_channel *channel = &job->channels[entering->at];
  struct presence *presence = presence_find(entering->script, channel->name);
  struct member *member = presence ? member_at(&presence->members, channel->membership->member) : NULL;
  if (status < 0) refuse_join(entering->script, job, entering->at, status);
  if (!member) return; /* the script has ended */
  if (status == 0) {
    note_joined(presence, member, job);
  } else {
    count_out(presence, member, channel->membership);
    presence_settle(presence);
  }
}

static void on_entered(void *context, int status) {
  struct entering *entering = context;
  struct script *script = entering->script;
  struct script_job *job = entering->job;
  note_entered(entering, status);
  memory_free(entering);
  if (--job->entering > 0) return;
  bool is_over = script->app->state >= APP_FREED;
  if (is_over) task_drop_followers(job->client);
  job->request.script = is_over ? NULL : script;
  job->request.on_answer(&job->request);
}

/* Returns 0 if the member has joined, or MW_PENDING. */
static int join(struct presence *presence, const struct member *member, struct script_job *job, size_t at) {
  struct orderer *orderer = presence->script->app->orderer;
  if (!orderer->join || member->is_joined) return 0;
  struct entering *entering = memory_alloc(sizeof *entering);
  if (!entering) return MW_ENOMEM;
  *entering = (struct entering){.script = presence->script, .job = job, .at = at};
  struct order_join joined = {.channel = presence->name,
                              .user_id = member->user_id,
                              .info = member->info ? blob_bytes(member->info) : bytes_of(NULL, 0),
                              .members_max = presence->kind->members,
                              .on_done = on_entered,
                              .context = entering};
  int status = orderer->join(orderer, &joined);
  if (status != MW_PENDING) memory_free(entering);
  return status;
}

static void enter(struct presence *presence, struct script_job *job, size_t at) {
  struct job_channel *channel = &job->channels[at];
  struct member *member = count_in(presence, job, channel);
  int status = member ? join(presence, member, job, at) : 0;
  if (status == MW_PENDING) {
    job->entering++;
  } else if (member && status == 0) {
    note_joined(presence, member, job);
    return;
  } else if (member) {
    count_out(presence, member, channel->membership);
    refuse_join(presence->script, job, at, status);
  }
  presence_settle(presence);
}

bool presence_enter(struct script *script, struct script_job *job) {
  if (atomic_load(&job->cancelled)) return false;
  for (size_t i = 0; i < job->channel_count && job->status == 0; i++) {
    struct job_channel *channel = &job->channels[i];
    if (channel->kind->presence == MW_PRESENCE_NONE || channel->membership->member) continue;
    struct presence *presence = presence_find(script, channel->name);
    if (!presence) presence = make_for(script, job, channel);
    if (presence) {
      presence_renew(presence, job->config, channel->kind);
      enter(presence, job, i);
    }
    blob_unref(channel->info);
    channel->info = NULL;
  }
  return job->entering > 0;
}

void presence_leave(struct script *script, struct membership *membership) {
  struct presence *presence = membership->member ? presence_find(script, membership_name(membership)) : NULL;
  struct member *member = presence ? member_at(&presence->members, membership->member) : NULL;
  blob_unref(membership->member);
  membership->member = NULL;
  if (!member || member->connections == 0) return;
  if (member->is_in) presence_note(presence, member);
  if (--member->connections == 0) {
    bool lingers = !membership_is_final(membership);
    member->leave_ms = script->loop->clock.now_ms + (lingers ? presence->kind->presence_linger_ms : 0);
    /* In the order of their times: one that does not linger is the first. */
    list_append(lingers ? &presence->leaving : presence->leaving.next, &member->in_leaving);
  }
  presence_settle(presence);
}

void presence_free_all(struct script *script) {
  size_t cursor = 0;
  struct presence *presence;
  while ((presence = table_next(&script->presences, &cursor))) {
    destroy_presence(presence);
    cursor = 0;
  }
}
