#include "script/presence.h"

#include "app/member.h"
#include "base/log.h"
#include "base/memory.h"
#include "hub/news.h"
#include "script/script.h"

/* The size of one announcement, beyond its first change; the delay after the queues were full; and
 * the most members of a channel whose snapshots count a connection immediately: each change of a
 * number makes the next snapshot a text of its own. */
enum { BATCH_BYTES = 256 * 1024, RETRY_MS = 100, COUNTED_NOW_MAX = 64 };

static struct presence *find_presence(struct script *script, struct bytes name) { return table_get(&script->presences, name); }

/* ---- Members --------------------------------------------------------------------------------- */

static void remove_member(struct presence *presence, struct member *member) {
  if (member->gone && member->told) presence->gone_count--;
  member_remove(&presence->members, member);
}

static void note_change(struct presence *presence, struct member *member) {
  if (list_empty(&member->in_changed)) list_append(&presence->changed, &member->in_changed);
}

/* ---- Announcing ------------------------------------------------------------------------------ */

struct announcement {
  size_t taken;      /* changes that go with it */
  size_t news_count; /* those of them that subscribers are told */
  size_t bytes;      /* of their texts, about */
  size_t count;      /* members that are announced afterwards */
};

/* A change that is only in the number of connections goes to the replicas alone. */
static bool is_news(const struct member *member) { return member->gone || !member->told; }

/* Takes changes, oldest first, as many as one announcement may hold. */
static void take_changes(struct presence *presence, struct announcement *announcement) {
  size_t outbox = presence->config->options.limits.outbox / 2, limit = outbox < BATCH_BYTES ? outbox : BATCH_BYTES;
  bool counts_only = presence->kind->presence == MW_PRESENCE_COUNTS;
  for (struct list *link = presence->changed.next; link != &presence->changed; link = link->next) {
    struct member *member = container_of(link, struct member, in_changed);
    bool is_told = is_news(member) && !counts_only;
    size_t bytes = announcement->bytes + member->key->len + (member->gone ? 1 : blob_bytes(member->info).len + strlen(":null,"));
    if (announcement->taken > 0 && is_told && bytes > limit) return;
    member->taken = true;
    announcement->taken++;
    if (member->gone) {
      announcement->count--;
    } else if (!member->told) {
      announcement->count++;
    }
    if (!is_told) continue;
    announcement->news_count++;
    announcement->bytes = bytes;
  }
}

/* Returns the facts for subscribers, or NULL if out of memory. */
static struct news *make_news(const struct presence *presence, const struct announcement *announcement) {
  struct news *news = news_new(announcement->news_count);
  if (!news) return NULL;
  news->counts_only = presence->kind->presence == MW_PRESENCE_COUNTS;
  news->count = announcement->count;
  const struct list *link = presence->changed.next;
  for (size_t left = announcement->news_count; left > 0; link = link->next) {
    const struct member *member = container_of(link, struct member, in_changed);
    if (!is_news(member)) continue;
    news_add(news, member->key, member->gone ? NULL : member->info, member->gone);
    left--;
  }
  return news;
}

/* Returns false if out of memory. *message stays NULL if subscribers need none. */
static bool make_message(const struct presence *presence, const struct announcement *announcement, struct message **message) {
  bool counts_only = presence->kind->presence == MW_PRESENCE_COUNTS;
  if (counts_only ? announcement->count == presence->told_count : announcement->news_count == 0) return true;
  struct news *news = make_news(presence, announcement);
  if (!news) return false;
  struct message_parts parts = {.channel = presence->name, .type = MESSAGE_PRESENCE, .news = news};
  *message = message_new(&presence->kind->policy, &parts);
  news_unref(news);
  return *message != NULL;
}

static void add_change(struct roster_batch *batch, const struct member *member) {
  roster_batch_add(batch, &(struct roster_change){.key = member->key,
                                                  .info = member->info,
                                                  .connections = member->connections,
                                                  .left = member->gone && member->taken});
}

/* Sends a batch to the replicas; takes it. */
static bool post_batch(const struct presence *presence, struct roster_batch *batch, size_t count) {
  struct orderer *orderer = presence->script->app->orderer;
  batch->policy = policy_ref(&presence->kind->policy);
  batch->count = count;
  int status = orderer->update_roster(orderer, batch);
  roster_batch_unref(batch);
  return status == 0;
}

/* The member was announced before, and has one connection more, whose snapshot should count it. */
static void tell_number(struct presence *presence, struct member *member) {
  bool is_known = member->told && !list_empty(&member->in_changed) && presence->kind->presence == MW_PRESENCE_FULL;
  if (!is_known || presence->members.count > COUNTED_NOW_MAX) return;
  if (atomic_load(&presence->script->rosters_lost) != presence->lost_seen) return;
  struct orderer *orderer = presence->script->app->orderer;
  struct roster_batch *batch = roster_batch_new(presence->name, 1, orderer->worker_count(orderer));
  if (!batch) return;
  add_change(batch, member);
  if (post_batch(presence, batch, presence->told_count)) list_remove(&member->in_changed);
}

/* Makes a batch of all future members, or of the changes that were taken. NULL if out of memory. */
static struct roster_batch *make_batch(const struct presence *presence, size_t taken, bool is_whole) {
  bool counts_only = presence->kind->presence == MW_PRESENCE_COUNTS;
  size_t room = counts_only ? 0 : is_whole ? presence->members.count : taken;
  struct orderer *orderer = presence->script->app->orderer;
  struct roster_batch *batch = roster_batch_new(presence->name, room, orderer->worker_count(orderer));
  if (batch) batch->is_whole = is_whole;
  if (!batch || counts_only) return batch;
  const struct member *member = is_whole ? member_first(&presence->members) : NULL;
  for (; member; member = member_next(&presence->members, member)) {
    if (member->taken ? !member->gone : member->told) add_change(batch, member);
  }
  const struct list *link = presence->changed.next;
  for (size_t i = 0; !is_whole && i < taken; i++, link = link->next) {
    add_change(batch, container_of(link, struct member, in_changed));
  }
  return batch;
}

static bool send_batch(struct presence *presence, struct announcement *announcement) {
  struct message *message = NULL;
  if (!make_message(presence, announcement, &message)) return false;
  unsigned lost = atomic_load(&presence->script->rosters_lost);
  bool is_whole = lost != presence->lost_seen;
  if (!message && !is_whole && presence->kind->presence == MW_PRESENCE_COUNTS) return true;
  struct roster_batch *batch = make_batch(presence, announcement->taken, is_whole);
  if (!batch) {
    message_unref(message);
    return false;
  }
  batch->message = message;
  bool sent = post_batch(presence, batch, announcement->count);
  if (sent) presence->lost_seen = lost;
  return sent;
}

/* Settles what was taken: it was sent, or waits for another attempt. */
static void settle_taken(struct presence *presence, size_t taken, bool sent) {
  struct list *link = presence->changed.next;
  while (taken-- > 0) {
    struct member *member = container_of(link, struct member, in_changed);
    link = link->next;
    member->taken = false;
    if (!sent) continue;
    list_remove(&member->in_changed);
    member->told = true;
    if (member->gone) remove_member(presence, member);
  }
}

static void announce_presence(struct presence *presence, uint64_t now_ms) {
  uint64_t interval_ms = presence->kind->presence_interval_ms;
  struct announcement announcement = {.count = presence->told_count};
  take_changes(presence, &announcement);
  bool sent = send_batch(presence, &announcement);
  settle_taken(presence, announcement.taken, sent);
  if (sent) {
    presence->told_count = announcement.count;
  } else if (interval_ms < RETRY_MS) {
    interval_ms = RETRY_MS;
  }
  presence->ready_ms = now_ms + interval_ms;
}

/* ---- Channels -------------------------------------------------------------------------------- */

static void on_alarm(void *context);

/* Returns NULL after it has refused the job. */
static struct presence *make_presence(struct script *script, struct script_job *job, const struct job_channel *channel) {
  struct name_hold hold = {NULL, NULL};
  int status = job->by_app ? 0 : name_hold_take(script->app, &hold, PARTY_PRESENCE, job->client);
  struct presence *presence = status == 0 ? memory_calloc(1, sizeof *presence + channel->name.len) : NULL;
  if (!presence) {
    name_hold_release(script->app, &hold, PARTY_PRESENCE);
    job_refuse(job, 503, "unavailable", status == MW_ELIMIT ? names_refusal : "out of memory");
    return NULL;
  }
  presence->hold = hold;
  memcpy(presence->text, channel->name.ptr, channel->name.len);
  presence->name = bytes_of(presence->text, channel->name.len);
  presence->script = script;
  presence->kind = channel->kind;
  presence->lost_seen = atomic_load(&script->rosters_lost);
  presence->armed_ms = script->loop->clock.now_ms + channel->kind->presence_interval_ms;
  presence->alarm = alarm_new(script->loop, channel->kind->presence_interval_ms, 0, on_alarm, presence);
  if (!presence->alarm || table_set(&script->presences, presence->name, presence) < 0) {
    alarm_free(presence->alarm);
    name_hold_release(script->app, &presence->hold, PARTY_PRESENCE);
    memory_free(presence);
    job_refuse(job, 503, "unavailable", "out of memory");
    return NULL;
  }
  sorted_init(&presence->members);
  list_init(&presence->leaving);
  list_init(&presence->changed);
  presence->config = config_ref(job->config);
  return presence;
}

static void destroy_presence(struct presence *presence) {
  for (struct member *member; (member = member_first(&presence->members));) remove_member(presence, member);
  name_hold_release(presence->script->app, &presence->hold, PARTY_PRESENCE);
  table_remove(&presence->script->presences, presence->name);
  alarm_free(presence->alarm);
  mw_config_unref(presence->config);
  memory_free(presence);
}

/* Removes members whose linger has ended. One that was never announced leaves silently. */
static void expire_members(struct presence *presence, uint64_t now_ms) {
  while (!list_empty(&presence->leaving)) {
    struct member *member = container_of(presence->leaving.next, struct member, in_leaving);
    if (member->leave_ms > now_ms) return;
    list_remove(&member->in_leaving);
    member->gone = true;
    if (member->told) {
      presence->gone_count++;
      note_change(presence, member);
    } else {
      remove_member(presence, member);
    }
  }
}

static void arm_presence(struct presence *presence, uint64_t now_ms) {
  uint64_t due_ms = UINT64_MAX;
  /* An empty channel is kept until its next announcement is due, so that it does not announce more
   * often by being forgotten. */
  if (!list_empty(&presence->changed) || presence->members.count == 0) due_ms = presence->ready_ms;
  if (!list_empty(&presence->leaving)) {
    uint64_t leave_ms = container_of(presence->leaving.next, struct member, in_leaving)->leave_ms;
    if (leave_ms < due_ms) due_ms = leave_ms;
  }
  if (due_ms >= presence->armed_ms) return;
  presence->armed_ms = due_ms;
  alarm_set(presence->alarm, due_ms > now_ms ? due_ms - now_ms : 0);
}

/* Does what is due by now. May free the presence. */
static void settle_presence(struct presence *presence) {
  uint64_t now_ms = presence->script->loop->clock.now_ms;
  expire_members(presence, now_ms);
  while (!list_empty(&presence->changed) && now_ms >= presence->ready_ms) announce_presence(presence, now_ms);
  if (presence->members.count == 0 && now_ms >= presence->ready_ms) {
    destroy_presence(presence);
  } else {
    arm_presence(presence, now_ms);
  }
}

static void on_alarm(void *context) {
  struct presence *presence = context;
  clock_update(&presence->script->loop->clock);
  presence->armed_ms = UINT64_MAX;
  settle_presence(presence);
}

/* ---- Coming and going ------------------------------------------------------------------------ */

/* Finding one needs a key, whose number is bounded by the channels of a job. NULL if out of
 * memory. */
static struct member *find_member(struct script *script, const struct script_job *job, struct bytes name) {
  struct presence *presence = find_presence(script, name);
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

/* Returns the member, or NULL after it has refused the job. */
static struct member *count_in(struct presence *presence, struct script_job *job, struct job_channel *channel) {
  struct blob *key = member_key(client_user_id(job->client));
  struct member *member = member_at(&presence->members, key);
  if (member) {
    blob_unref(key);
  } else if (presence->members.count >= presence->kind->members) {
    blob_unref(key);
    limit_count(&presence->script->app->limits, MW_LIMIT_CHANNEL_MEMBERS);
    job_refuse(job, 403, "refused", "the channel is full");
    return NULL;
  } else {
    member = member_new(&presence->members, client_user_id(job->client), key, channel->info);
  }
  if (!member) {
    job_refuse(job, 503, "unavailable", "out of memory");
    return NULL;
  }
  list_remove(&member->in_leaving);
  if (member->gone) presence->gone_count--;
  member->gone = false;
  member->connections++;
  channel->membership->member = blob_ref(member->key);
  note_change(presence, member);
  return member;
}

/* Takes over what a newer configuration says of the channel, which its members show by joining. */
static void renew_presence(struct presence *presence, struct mw_config *config, const struct kind *kind) {
  if (config->owner.number <= presence->config->owner.number) return;
  /* The replicas list members only in one of the modes. */
  if (kind->presence != presence->kind->presence) presence->lost_seen = atomic_load(&presence->script->rosters_lost) - 1;
  mw_config_unref(presence->config);
  presence->config = config_ref(config);
  presence->kind = kind;
}

void presence_enter(struct script *script, struct script_job *job) {
  if (atomic_load(&job->cancelled)) return;
  for (size_t i = 0; i < job->channel_count && job->status == 0; i++) {
    struct job_channel *channel = &job->channels[i];
    if (channel->kind->presence == MW_PRESENCE_NONE || channel->membership->member) continue;
    struct presence *presence = find_presence(script, channel->name);
    if (!presence) presence = make_presence(script, job, channel);
    if (presence) {
      renew_presence(presence, job->config, channel->kind);
      struct member *member = count_in(presence, job, channel);
      settle_presence(presence);
      if (member && !job->by_app) tell_number(presence, member);
    }
    blob_unref(channel->info);
    channel->info = NULL;
  }
}

void presence_leave(struct script *script, struct membership *membership) {
  struct presence *presence = membership->member ? find_presence(script, membership_name(membership)) : NULL;
  struct member *member = presence ? member_at(&presence->members, membership->member) : NULL;
  blob_unref(membership->member);
  membership->member = NULL;
  if (!member || member->connections == 0) return;
  note_change(presence, member);
  if (--member->connections == 0) {
    bool lingers = !membership_is_final(membership);
    member->leave_ms = script->loop->clock.now_ms + (lingers ? presence->kind->presence_linger_ms : 0);
    /* In the order of their times: one that does not linger is the first. */
    list_append(lingers ? &presence->leaving : presence->leaving.next, &member->in_leaving);
  }
  settle_presence(presence);
}

void presence_free_all(struct script *script) {
  size_t cursor = 0;
  struct presence *presence;
  while ((presence = table_next(&script->presences, &cursor))) {
    destroy_presence(presence);
    cursor = 0;
  }
}
