/* The members of a channel, as the app reads them. */
#include "app/member.h"
#include "script/presence/presence.h"
#include "script/script.h"

/* The first member after that user id; if out of memory, none. */
static const struct member *begin_at(const struct presence *presence, struct mw_bytes after) {
  if (after.len == 0) return member_first(&presence->members);
  struct blob *key = member_key(bytes_of(after.ptr, after.len));
  const struct member *member = key ? member_after(&presence->members, key) : NULL;
  blob_unref(key);
  return member;
}

size_t presence_list(struct script *script, struct bytes name, const struct mw_presence_query *query,
                     void (*on_member)(void *context, const struct mw_member *member), void *context, bool *more) {
  const struct presence *presence = table_get(&script->presences, name);
  struct mw_presence_query all = {.limit = 0};
  if (!query) query = &all;
  if (more) *more = false;
  if (!presence) return 0;
  const struct member *member = begin_at(presence, query->after);
  for (size_t shown_count = 0; member; member = member_next(&presence->members, member)) {
    if (!member->is_in) continue;
    if (query->limit > 0 && shown_count == query->limit) break;
    shown_count++;
    struct bytes info = member->info ? blob_bytes(member->info) : BYTES("null");
    struct mw_member shown = {.user_id = {member->user_id.ptr, member->user_id.len},
                              .info = {info.ptr, info.len},
                              .connections = member_connections(member)};
    if (on_member) on_member(context, &shown);
  }
  if (more) *more = member != NULL;
  return presence->is_followed && !presence->is_listed ? presence->cluster_count : presence->count;
}
