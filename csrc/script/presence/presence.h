/* Who is in which channel, over all workers: users with the number of their connections. Kept once
 * for the server, on the script's thread. Changes are announced to the workers' replicas
 * (hub/roster.h) and to subscribers in batches.
 *
 * With a broker that counts members (orderer->join), a user is a member as long as it is on any
 * server. The broker reports the members of each channel that this server follows
 * (presence_report). */
#ifndef MOONWIRE_SCRIPT_PRESENCE_PRESENCE_H
#define MOONWIRE_SCRIPT_PRESENCE_PRESENCE_H

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
  size_t count;          /* members that are present */
  struct list leaving;   /* members without a connection, by the end of their linger */
  /* members of which the workers do not know the last state, oldest change first */
  struct list changed;
  bool is_followed;     /* the broker reports its members */
  bool is_listed;       /* it is followed, and all members are known; otherwise, only their number */
  size_t cluster_count; /* that number */
  size_t told_count;    /* members that were announced, and */
  size_t shown_count;   /* what was announced as their number */
  uint64_t ready_ms;    /* when the next batch may go */
  unsigned lost_seen;   /* script->rosters_lost at the last batch */
  struct name_hold hold;
  struct alarm *alarm;
  uint64_t armed_ms; /* when the alarm rings; UINT64_MAX: never */
  struct bytes name;
  char text[];
};

/* Returns the job's first channel for whose members the app must give an info, or channel_count if
 * there is none. */
size_t presence_unknown(struct script *script, const struct script_job *job);
/* Adds the job's client to all of its channels with members, or refuses (job->status). Returns true if
 * a broker has yet to answer: then joining_resume follows. */
bool presence_enter(struct script *script, struct script_job *job);
/* Undoes that for one membership. Does nothing if it was not added. */
void presence_leave(struct script *script, struct membership *membership);
/* As mw_channel_presence. */
size_t presence_list(struct script *script, struct bytes name, const struct mw_presence_query *query,
                     void (*on_member)(void *context, const struct mw_member *member), void *context, bool *more);
void presence_free_all(struct script *script);

/* ---- What a broker reports -------------------------------------------------------------------- */

struct presence_change {
  struct bytes user_id; /* UTF-8 */
  struct bytes info;    /* JSON without white space; empty: null */
  bool left;
};

struct presence_report {
  struct bytes channel;
  bool is_whole;  /* these are all members, instead of changes */
  bool is_listed; /* for is_whole; false: only their number is known */
  size_t count;   /* members after it, on all servers */
  /* Takes the next change. 1; 0 at the end; MW_ENOMEM. */
  int (*next)(struct presence_report *report, struct presence_change *change);
};

/* Takes a report about a channel of that kind. Returns 0, or MW_ENOMEM: it is incomplete, and must be
 * followed by one that is whole. */
int presence_report(struct script *script, struct mw_config *config, const struct kind *kind, struct presence_report *report);
/* The broker does not report the members of the channel any more. It has no subscribers here. */
void presence_forget(struct script *script, struct bytes name);
/* Returns true if all members of the channel are known, or their number: without a broker, always. */
bool presence_is_known(const struct script *script, struct bytes name, bool is_listed);

VISIBILITY_POP

#endif
