/* What the files of presence share. Others use script/presence/presence.h. */
#ifndef MOONWIRE_SCRIPT_PRESENCE_ANNOUNCING_H
#define MOONWIRE_SCRIPT_PRESENCE_ANNOUNCING_H

#include "app/member.h"
#include "script/presence/presence.h"

VISIBILITY_PUSH

static inline struct presence *presence_find(const struct script *script, struct bytes name) {
  return table_get(&script->presences, name);
}

/* ---- script/presence/announcing.c ------------------------------------------------------------- */

/* The workers must know the member's state. */
void presence_note(struct presence *presence, struct member *member);
/* Whether the member is present may have changed. May free it. */
void presence_update(struct presence *presence, struct member *member);
/* The member was announced before, and has one connection more, whose snapshot should count it. */
void presence_tell_number(struct presence *presence, struct member *member);
/* Returns true if something is to be announced. */
bool presence_has_changes(const struct presence *presence);
/* Announces as many changes as one announcement may hold. Returns false if that failed: it is to be
 * repeated when presence->ready_ms is reached. */
bool presence_announce(struct presence *presence, uint64_t now_ms);
/* Removes the member, without telling anyone. */
void presence_remove(struct presence *presence, struct member *member);

/* ---- script/presence/presence.c --------------------------------------------------------------- */

/* Returns a channel without members, or NULL if out of memory. */
struct presence *presence_make(struct script *script, struct mw_config *config, const struct kind *kind, struct bytes name);
/* Takes over what a newer configuration says of the channel, which its members show by joining. */
void presence_renew(struct presence *presence, struct mw_config *config, const struct kind *kind);
/* Does what is due by now. May free the presence. */
void presence_settle(struct presence *presence);

VISIBILITY_POP

#endif
