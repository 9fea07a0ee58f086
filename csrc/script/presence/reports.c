/* The members of a channel on all servers, as a broker reports them. */
#include "app/order.h"
#include "base/log_limit.h"
#include "base/memory.h"
#include "script/presence/announcing.h"

/* Beyond it, members that a broker lists are ignored: more than it lists, and than the channel may
 * have. */
enum { LISTED_MAX = 100000 };

static bool has_room(const struct presence *presence) {
  size_t max = presence->kind->members > LISTED_MAX ? presence->kind->members : LISTED_MAX;
  if (presence->members.count < max) return true;
  log_limited(MW_LOG_WARNING, "ignored a member from redis: limits.members (%zu) reached (channel=%.*s)", max,
              (int)presence->name.len, presence->name.ptr);
  return false;
}

static bool has_info(const struct member *member, struct bytes info) {
  return bytes_equal(member->info ? blob_bytes(member->info) : bytes_of(NULL, 0), info);
}

/* Sets the info that all servers have. */
static int set_info(struct presence *presence, struct member *member, struct bytes info) {
  if (has_info(member, info)) return 0;
  struct blob *blob = info.len > 0 ? blob_new(info) : NULL;
  if (info.len > 0 && !blob) return MW_ENOMEM;
  blob_unref(member->info);
  member->info = blob;
  member->is_renewed = member->told;
  presence_note(presence, member);
  return 0;
}

static int list_member(struct presence *presence, const struct presence_change *change) {
  struct blob *key = member_key(change->user_id);
  if (!key) return MW_ENOMEM;
  struct member *member = member_at(&presence->members, key);
  if (member) {
    blob_unref(key);
  } else if (has_room(presence)) {
    member = member_new(&presence->members, change->user_id, key, NULL);
    if (!member) return MW_ENOMEM;
  } else {
    blob_unref(key);
    return 0;
  }
  member->is_listed = true;
  presence_update(presence, member);
  return set_info(presence, member, change->info);
}

static int unlist_member(struct presence *presence, const struct presence_change *change) {
  struct blob *key = member_key(change->user_id);
  if (!key) return MW_ENOMEM;
  struct member *member = member_at(&presence->members, key);
  blob_unref(key);
  if (member) member->is_listed = false;
  if (member) presence_update(presence, member);
  return 0;
}

static int take_all(struct presence *presence, struct presence_report *report) {
  struct presence_change change;
  int status;
  while ((status = report->next(report, &change)) > 0) {
    status = change.left ? unlist_member(presence, &change) : list_member(presence, &change);
    if (status < 0) return status;
  }
  return status;
}

static void update_all(struct presence *presence) {
  struct member *next;
  for (struct member *member = member_first(&presence->members); member; member = next) {
    next = member_next(&presence->members, member);
    presence_update(presence, member);
  }
}

static void unlist_all(struct presence *presence) {
  struct member *member = member_first(&presence->members);
  for (; member; member = member_next(&presence->members, member)) member->is_listed = false;
}

/* A new subscriber waits for them, so they are announced immediately. */
static void announce_all(struct presence *presence) {
  uint64_t now_ms = presence->script->loop->clock.now_ms;
  while (presence_has_changes(presence) && presence_announce(presence, now_ms)) continue;
}

/* Members that are known already have not changed. */
static int take_whole(struct presence *presence, struct presence_report *report) {
  presence->is_followed = true;
  presence->is_listed = report->is_listed;
  unlist_all(presence);
  int status = report->is_listed ? take_all(presence, report) : 0;
  if (status == 0) update_all(presence);
  announce_all(presence);
  return status;
}

int presence_report(struct script *script, struct mw_config *config, const struct kind *kind, struct presence_report *report) {
  struct presence *presence = presence_find(script, report->channel);
  int status = 0;
  if (!presence && !report->is_whole) return 0;
  if (!presence) presence = presence_make(script, config, kind, report->channel);
  if (!presence) return MW_ENOMEM;
  presence_renew(presence, config, kind);
  presence->cluster_count = report->count;
  if (report->is_whole) {
    status = take_whole(presence, report);
  } else if (presence->is_listed) {
    status = take_all(presence, report);
  }
  presence_settle(presence);
  return status;
}

void presence_forget(struct script *script, struct bytes name) {
  struct presence *presence = presence_find(script, name);
  if (!presence || !presence->is_followed) return;
  presence->is_followed = presence->is_listed = false;
  unlist_all(presence);
  update_all(presence);
  announce_all(presence);
  presence_settle(presence);
}

bool presence_is_known(const struct script *script, struct bytes name, bool is_listed) {
  const struct orderer *orderer = script->app->orderer;
  if (!orderer->join) return !orderer->may_wait;
  const struct presence *presence = presence_find(script, name);
  return presence && (is_listed ? presence->is_listed : presence->is_followed);
}
