/* Who is in which channel, over all workers: users with the number of their connections. Kept once
 * for the server, on the script's thread. Changes are announced to the workers' replicas
 * (hub/roster.h) and to subscribers in batches. */
#ifndef MOONWIRE_SCRIPT_PRESENCE_H
#define MOONWIRE_SCRIPT_PRESENCE_H

#include "app/limits/name_hold.h"
#include "base/sorted.h"
#include "net/alarm.h"
#include "script/script.h"

VISIBILITY_PUSH

struct presence {
  struct script *script;
  struct mw_config *config;
  const struct kind *kind;
  struct sorted members; /* by their keys without quotes: the user's ids as they stand in JSON */
  size_t gone_count;     /* those that have left and were not announced as left yet */
  struct list leaving;   /* members without a connection, by the end of their linger */
  /* members of which the workers do not know the last state, oldest change first */
  struct list changed;
  size_t told_count;  /* members that were announced */
  uint64_t ready_ms;  /* when the next batch may go */
  unsigned lost_seen; /* script->rosters_lost at the last batch */
  struct name_hold hold;
  struct alarm *alarm;
  uint64_t armed_ms; /* when the alarm rings; UINT64_MAX: never */
  struct bytes name;
  char text[];
};

/* Returns the job's first channel for whose members the app must give an info, or channel_count if
 * there is none. */
size_t presence_unknown(struct script *script, const struct script_job *job);
/* Adds the job's client to all of its channels with members, or refuses (job->status). */
void presence_enter(struct script *script, struct script_job *job);
/* Undoes that for one membership. Does nothing if it was not added. */
void presence_leave(struct script *script, struct membership *membership);
/* As mw_channel_presence. */
size_t presence_list(struct script *script, struct bytes name, const struct mw_presence_query *query,
                     void (*on_member)(void *context, const struct mw_member *member), void *context, bool *more);
void presence_free_all(struct script *script);

VISIBILITY_POP

#endif
