/* Which channels are open to the app, over all workers: opened before the first subscriber, closed some time after the last. */
#ifndef MOONWIRE_SERVER_OCCUPANCY_H
#define MOONWIRE_SERVER_OCCUPANCY_H

#include "app/script_job.h"
#include "net/alarm.h"
#include "server/names.h"

VISIBILITY_PUSH

enum occupancy_state { OCCUPANCY_OPENING, OCCUPANCY_OPEN, OCCUPANCY_LINGERING, OCCUPANCY_CLOSING };

struct occupancy {
  struct mw_server *server; /* NULL: it has gone */
  struct mw_config *config;
  const struct kind *kind;
  enum occupancy_state state;
  struct names_hold hold;
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
bool occupancy_enter(struct mw_server *server, struct script_job *job);
/* The opposite, for what was counted in. */
void occupancy_leave(struct mw_server *server, struct bytes name);
/* A job that waited has gone: if nobody waits any more, opening is cancelled. */
void occupancy_abandon(struct mw_server *server, struct bytes name);
/* OPEN or CLOSE was answered. */
void occupancy_answered(struct occupancy *occupancy);
/* Ends lingering at once, as the server stops. */
void occupancy_stop_all(struct mw_server *server);
/* Frees all; those that wait for an answer live on until it comes. */
void occupancy_free_all(struct mw_server *server);

VISIBILITY_POP

#endif
