/* Which channels are open to the app, over all workers: opened before the first subscriber, closed some time after the last. */
#ifndef MOONWIRE_SCRIPT_OPEN_CHANNEL_H
#define MOONWIRE_SCRIPT_OPEN_CHANNEL_H

#include "app/name_hold.h"
#include "app/script_job.h"
#include "net/alarm.h"

VISIBILITY_PUSH

enum open_channel_state { OPEN_CHANNEL_OPENING, OPEN_CHANNEL_OPEN, OPEN_CHANNEL_LINGERING, OPEN_CHANNEL_CLOSING };

struct open_channel {
  struct script *script; /* NULL: it has gone */
  struct mw_config *config;
  const struct kind *kind;
  enum open_channel_state state;
  struct name_hold hold;
  size_t count;        /* subscriptions, and those that are just joining */
  struct list waiters; /* jobs that wait for OPENING or CLOSING to end */
  struct alarm *linger;
  struct mw_request request;
  bool refused;
  int status; /* the refusal */
  char code[65], reason[256];
  struct bytes name;
  char text[];
};

/* Counts the job's channel in. True if it must wait: joining_resume comes later. False: it is in, or was refused (job->status). */
bool open_channel_enter(struct script *script, struct script_job *job);
/* The opposite, for what was counted in. */
void open_channel_leave(struct script *script, struct bytes name);
/* A job that waited has gone: if nobody waits any more, opening is cancelled. */
void open_channel_abandon(struct script *script, struct bytes name);
/* Ends lingering at once, as the server stops. */
void open_channel_stop_all(struct script *script);
/* Frees all; those that wait for an answer live on until it comes. */
void open_channel_free_all(struct script *script);

VISIBILITY_POP

#endif
