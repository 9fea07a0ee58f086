/* The channels that are open to the app, over all workers: opened before the first subscriber,
 * closed some time after the last. On the script's thread. */
#ifndef MOONWIRE_SCRIPT_OPEN_CHANNEL_H
#define MOONWIRE_SCRIPT_OPEN_CHANNEL_H

#include "app/limits/name_hold.h"
#include "app/script_job.h"
#include "net/alarm.h"

VISIBILITY_PUSH

enum open_channel_state { OPEN_CHANNEL_OPENING, OPEN_CHANNEL_OPEN, OPEN_CHANNEL_LINGERING, OPEN_CHANNEL_CLOSING };

struct open_channel {
  struct script *script; /* NULL: it was freed */
  struct mw_config *config;
  const struct kind *kind;
  enum open_channel_state state;
  struct name_hold hold;
  size_t count;        /* subscriptions, and jobs that are joining */
  struct list waiters; /* jobs that wait for the end of OPENING or CLOSING */
  struct alarm *linger;
  struct mw_request request;
  bool refused;
  int status; /* the refusal */
  char code[65], reason[256];
  struct bytes name;
  char text[];
};

/* Adds the job's channel. Returns true if it must wait: joining_resume is called later. Returns
 * false if it is in, or was refused (job->status). */
bool open_channel_enter(struct script *script, struct script_job *job);
/* Undoes open_channel_enter. */
void open_channel_leave(struct script *script, struct bytes name);
/* Called when a job that waited has ended. Cancels the opening if no other job waits. */
void open_channel_abandon(struct script *script, struct bytes name);
/* The app has not answered the opening in time, see joining_note_late. NULL is allowed. */
void open_channel_note_late(struct open_channel *open_channel);
/* Ends lingering immediately, as the server stops. */
void open_channel_stop_all(struct script *script);
/* Frees all. Channels that wait for an answer last until it comes. */
void open_channel_free_all(struct script *script);

VISIBILITY_POP

#endif
