/* Who is in which channel, over all workers: users with the number of their connections. Kept once for the server, on the script's side;
 * what is announced of it goes to the workers' replicas (hub/roster.h) and subscribers in batches. */
#ifndef MOONWIRE_SCRIPT_PRESENCE_H
#define MOONWIRE_SCRIPT_PRESENCE_H

#include "app/name_hold.h"
#include "base/sorted.h"
#include "net/alarm.h"
#include "script/script.h"

VISIBILITY_PUSH

struct presence {
  struct script *script;
  struct mw_config *config;
  const struct kind *kind;
  struct sorted members; /* by the inside of their keys: the user's ids as they stand in JSON */
  size_t gone_count;     /* those of them that are gone and were not announced as left yet */
  struct list leaving;   /* members whose last connection has gone, by the end of their linger */
  struct list changed;   /* members of whom the workers do not know all, oldest change first */
  size_t told_count;     /* members that were announced */
  uint64_t ready_ms;     /* from when on the next batch may go */
  unsigned lost_seen;    /* script->rosters_lost at the last batch */
  struct name_hold hold;
  struct alarm *alarm;
  uint64_t armed_ms; /* when it rings; UINT64_MAX: it does not */
  struct bytes name;
  char text[];
};

/* The job's first channel whose members' info the app must be asked for; channel_count: none. */
size_t presence_unknown(struct script *script, const struct script_job *job);
/* Counts the job's client in wherever members are kept; or refuses (job->status). */
void presence_enter(struct script *script, struct script_job *job);
/* The opposite, for one membership; does nothing if it was not counted in. */
void presence_leave(struct script *script, struct membership *membership);
/* As mw_channel_presence. */
size_t presence_list(struct script *script, struct bytes name, const struct mw_presence_query *query,
                     void (*on_member)(void *context, const struct mw_member *member), void *context, bool *more);
void presence_free_all(struct script *script);

VISIBILITY_POP

#endif
