/* The script's side: takes jobs from the workers, puts their questions to the app one after the
 * other, and sends answers back. On the script's thread, except the script_post functions. */
#ifndef MOONWIRE_SCRIPT_SCRIPT_H
#define MOONWIRE_SCRIPT_SCRIPT_H

#include "app/app.h"
#include "app/keys/send_key.h"
#include "app/script_job.h"
#include "base/overrun.h"
#include "base/table.h"
#include "net/mailbox.h"
#include "script/tickets.h"

VISIBILITY_PUSH

struct script {
  struct app *app;
  struct loop *loop;
  struct mailbox queue; /* of jobs; its room is the script */
  struct list asked;    /* requests without an answer, oldest first */
  struct list ready;    /* tasks whose turn has come; not empty only while they run (task.c) */
  bool runs_ready;
  struct leaving *spare; /* for the next client that leaves; NULL: not made yet */
  struct send_keys send_keys;
  struct tickets tickets;
  struct table open_channels; /* by channel */
  struct table presences;     /* by channel, those with members */
  atomic_uint rosters_lost;   /* how often a worker was out of memory for changes of members */
  struct overrun handler;     /* watches the app's handler that runs now */
};

/* Initializes the script. Its queue is bounded by limits.queue. Returns 0 or a status of libuv. */
int script_init(struct script *script, struct app *app, struct loop *loop);
/* Drops what is still queued. Requests that the app has not answered are orphaned: their answers
 * will be ignored. */
void script_deinit(struct script *script);
/* Post a job; each takes a reference. On a worker's thread. */
void script_post_begin(struct script *script, struct script_job *job); /* the app is asked */
/* its exchange has ended, or has answered by itself */
void script_post_cancel(struct script *script, struct script_job *job);
/* Posts that a raw stream that the job has begun has ended. */
void script_post_stream_end(struct script *script, struct script_job *job);
/* Takes it, to be undone. */
void script_post_leave(struct script *script, struct membership *membership);
/* Takes a reference to what a raw stream followed, which has ended. */
void script_post_follow_end(struct script *script, struct mw_follow *follow);
/* Takes a reference to a raw WebSocket that has ended. */
void script_post_socket_leave(struct script *script, struct mw_socket *socket);
/* Posts a job whose answer nothing waits for. Takes the job, or drops it if the queue is full. On a
 * worker's thread. */
void script_post(struct script *script, struct script_job *job);
/* Takes everything out of the queue; enters the app. */
void script_drain(struct script *script);
/* Called once a second: cancels requests that wait too long. */
void script_second(struct script *script);
/* Cancels all requests. */
void script_cancel_all(struct script *script);
/* Returns true if no request waits and no channel is open. */
bool script_idle(struct script *script);

VISIBILITY_POP

#endif
