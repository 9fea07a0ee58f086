/* The script's side: takes jobs from the workers, puts their questions to the app one after the other, and sends answers back. */
#ifndef MOONWIRE_SCRIPT_SCRIPT_H
#define MOONWIRE_SCRIPT_SCRIPT_H

#include "app/app.h"
#include "app/keys/send_key.h"
#include "app/script_job.h"
#include "base/overrun.h"
#include "base/table.h"
#include "net/mailbox.h"

VISIBILITY_PUSH

struct script {
  struct app *app;
  struct loop *loop;
  struct mailbox queue; /* of jobs; its room is the script */
  struct list asked;    /* requests that wait for the app, oldest first */
  struct list ready;    /* tasks whose turn has come; only while they are run (task.c) */
  bool runs_ready;
  struct leaving *spare; /* for the next client that leaves; NULL: not made yet */
  struct send_keys send_keys;
  struct table open_channels; /* by channel */
  struct table presences;     /* likewise, those with members */
  atomic_uint rosters_lost;   /* how often a worker had no memory for what changed among members */
  struct overrun handler;     /* of the app, which runs now */
};

/* The queue is bounded by limits.queue. A status of libuv. */
int script_init(struct script *script, struct app *app, struct loop *loop);
/* Drops what still waits. Requests that the app has not answered are orphaned: their answers will be ignored. */
void script_deinit(struct script *script);
/* Each takes a reference to the job. Any thread of a worker. */
void script_post_begin(struct script *script, struct script_job *job);  /* the app is to be asked */
void script_post_cancel(struct script *script, struct script_job *job); /* the asker has gone, or answered by itself */
/* The raw stream that it has begun is over. */
void script_post_stream_end(struct script *script, struct script_job *job);
/* Takes it, to be undone. */
void script_post_leave(struct script *script, struct membership *membership);
/* Takes a reference to a raw WebSocket that is over. */
void script_post_socket_leave(struct script *script, struct mw_socket *socket);
/* Has the app told something that nobody waits for: takes the job, or drops it if too much waits already. Any thread of a worker. */
void script_post(struct script *script, struct script_job *job);
/* Takes everything out of the queue; enters the app. */
void script_drain(struct script *script);
/* Once a second: cancels what waits too long. */
void script_second(struct script *script);
/* Cancels all that waits for the app. */
void script_cancel_all(struct script *script);
/* Nothing waits and no channel is open. */
bool script_idle(struct script *script);

VISIBILITY_POP

#endif
