/* Announces to the workers and to subscribers who has joined and left a channel. */
#include "script/presence/announcing.h"
#include "base/memory.h"
#include "hub/news.h"

/* The size of one announcement, beyond its first change; the delay after the queues were full; and
 * the most members of a channel whose snapshots count a connection immediately: each change of a
 * number makes the next snapshot a text of its own. */
enum { BATCH_BYTES = 256 * 1024, RETRY_MS = 100, COUNTED_NOW_MAX = 64 };

/* ---- Members --------------------------------------------------------------------------------- */

void presence_remove(struct presence *presence, struct member *member) {
  if (member->is_in) presence->count--;
  member_remove(&presence->members, member);
}

void presence_note(struct presence *presence, struct member *member) {
  if (list_empty(&member->in_changed)) list_append(&presence->changed, &member->in_changed);
}

/* Where the broker lists the members, it decides who comes in. But a member of this server stays in as
 * long as it has not left: the broker may forget it for a moment, when this server counts as dead or
 * Redis has lost its data. */
static bool must_be_in(const struct presence *presence, const struct member *member) {
  if (member->is_listed) return true;
  return member->is_joined && (member->is_in || !presence->is_listed);
}

/* Nothing here needs it any more. */
static bool is_unused(const struct member *member) { return !member->is_in && !member->is_joined && member->connections == 0; }

void presence_update(struct presence *presence, struct member *member) {
  bool was_in = member->is_in;
  member->is_in = must_be_in(presence, member);
  if (member->is_in && !was_in) presence->count++;
  if (!member->is_in && was_in) presence->count--;
  if (member->is_in != was_in) presence_note(presence, member);
  if (member->is_in || member->told) return;
  list_remove(&member->in_changed);
  if (is_unused(member)) presence_remove(presence, member);
}

/* ---- Announcing ------------------------------------------------------------------------------ */

struct announcement {
  size_t taken;      /* changes that go with it */
  size_t news_count; /* what subscribers are told of them */
  size_t bytes;      /* of their texts, about */
  size_t told_count; /* members that are announced afterwards */
  size_t count;      /* members, as subscribers are told */
};

/* A change that is only in the number of connections goes to the replicas alone. */
static bool is_news(const struct member *member) { return !member->is_in || !member->told || member->is_renewed; }

/* Returns how many news a change is: a member that is renewed leaves, and joins. */
static size_t count_news(const struct member *member) { return member->is_in && member->told && member->is_renewed ? 2 : 1; }

/* Returns the number of members that subscribers are told if so many of them are announced: the broker
 * may know more members than it lists. */
static size_t shown_count(const struct presence *presence, size_t told_count) {
  return presence->is_followed && !presence->is_listed ? presence->cluster_count : told_count;
}

/* Takes changes, oldest first, as many as one announcement may hold. */
static void take_changes(struct presence *presence, struct announcement *announcement) {
  size_t outbox = presence->config->options.limits.outbox / 2, limit = outbox < BATCH_BYTES ? outbox : BATCH_BYTES;
  bool counts_only = presence->kind->presence == MW_PRESENCE_COUNTS;
  for (struct list *link = presence->changed.next; link != &presence->changed; link = link->next) {
    struct member *member = container_of(link, struct member, in_changed);
    bool is_told = is_news(member) && !counts_only;
    size_t bytes = announcement->bytes + member->key->len + (member->is_in ? blob_bytes(member->info).len + strlen(":null,") : 1);
    if (announcement->taken > 0 && is_told && bytes > limit) return;
    member->taken = true;
    announcement->taken++;
    if (!member->is_in) {
      announcement->told_count--;
    } else if (!member->told) {
      announcement->told_count++;
    }
    if (!is_told) continue;
    announcement->news_count += count_news(member);
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
    if (count_news(member) == 2) {
      news_add(news, member->key, NULL, true);
      left--;
    }
    news_add(news, member->key, member->is_in ? member->info : NULL, !member->is_in);
    left--;
  }
  return news;
}

/* Returns false if out of memory. *message stays NULL if subscribers need none. */
static bool make_message(const struct presence *presence, const struct announcement *announcement, struct message **message) {
  bool counts_only = presence->kind->presence == MW_PRESENCE_COUNTS;
  bool is_same = announcement->count == presence->shown_count;
  if (is_same && (counts_only || announcement->news_count == 0)) return true;
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
                                                  .connections = member_connections(member),
                                                  .left = !member->is_in && member->taken});
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
void presence_tell_number(struct presence *presence, struct member *member) {
  bool is_known = member->told && !list_empty(&member->in_changed) && presence->kind->presence == MW_PRESENCE_FULL;
  if (!is_known || presence->members.count > COUNTED_NOW_MAX) return;
  if (atomic_load(&presence->script->rosters_lost) != presence->lost_seen) return;
  struct orderer *orderer = presence->script->app->orderer;
  struct roster_batch *batch = roster_batch_new(presence->name, 1, orderer->worker_count(orderer));
  if (!batch) return;
  add_change(batch, member);
  if (post_batch(presence, batch, presence->shown_count)) list_remove(&member->in_changed);
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
    if (member->taken ? member->is_in : member->told) add_change(batch, member);
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
    member->told = member->is_in;
    member->is_renewed = false;
    if (is_unused(member)) presence_remove(presence, member);
  }
}

bool presence_has_changes(const struct presence *presence) {
  return !list_empty(&presence->changed) || shown_count(presence, presence->told_count) != presence->shown_count;
}

bool presence_announce(struct presence *presence, uint64_t now_ms) {
  uint64_t interval_ms = presence->kind->presence_interval_ms;
  struct announcement announcement = {.told_count = presence->told_count};
  take_changes(presence, &announcement);
  announcement.count = shown_count(presence, announcement.told_count);
  bool sent = send_batch(presence, &announcement);
  settle_taken(presence, announcement.taken, sent);
  if (sent) {
    presence->told_count = announcement.told_count;
    presence->shown_count = announcement.count;
  } else if (interval_ms < RETRY_MS) {
    interval_ms = RETRY_MS;
  }
  presence->ready_ms = now_ms + interval_ms;
  return sent;
}
