/* The script's side: takes jobs from the workers, puts their questions to the app one after the other, and sends answers back. */
#ifndef MOONWIRE_SERVER_SCRIPT_H
#define MOONWIRE_SERVER_SCRIPT_H

#include "app/script_job.h"
#include "app/send_key.h"
#include "base/overrun.h"
#include "base/table.h"
#include "net/mailbox.h"

VISIBILITY_PUSH

struct script {
  struct mailbox queue; /* of jobs; its room is the server */
  struct list asked;    /* requests that wait for the app, oldest first */
  struct list ready;    /* tasks whose turn has come; only while they are run (task.c) */
  bool runs_ready;
  struct leaving *spare; /* for the next client that leaves; NULL: not made yet */
  struct send_keys send_keys;
  struct table occupancies; /* by channel */
  struct table presences;   /* likewise, those with members */
  atomic_uint rosters_lost; /* how often a worker had no memory for what changed among members */
  struct overrun handler;   /* of the app, which runs now */
};

int script_init(struct script *script, struct loop *loop, size_t limit);
/* Drops what still waits. Requests that the app has not answered are orphaned: their answers will be ignored. */
void script_deinit(struct mw_server *server);
/* Each takes a reference to the job. Any thread of a worker. */
void script_post_begin(struct mw_server *server, struct script_job *job);  /* the app is to be asked */
void script_post_cancel(struct mw_server *server, struct script_job *job); /* the asker has gone, or answered by itself */
/* The raw stream that it has begun is over. */
void script_post_stream_end(struct mw_server *server, struct script_job *job);
/* Takes it, to be undone. */
void script_post_leave(struct mw_server *server, struct membership *membership);
/* Takes a reference to a raw WebSocket that is over. */
void script_post_socket_leave(struct mw_server *server, struct mw_socket *socket);
/* Has the app told something that nobody waits for: takes the job, or drops it if too much waits already. Any thread of a worker. */
void script_post(struct mw_server *server, struct script_job *job);
/* Takes everything out of the queue; enters the app. */
void script_drain(struct mw_server *server);
/* Once a second: cancels what waits too long. */
void script_second(struct mw_server *server);
/* Cancels all that waits for the app. */
void script_cancel_all(struct mw_server *server);
/* Nothing waits and no channel is open. */
bool script_idle(struct mw_server *server);

/* Puts a question to the app; the answer comes by script_answered, perhaps before this returns. */
void script_ask(struct mw_server *server, struct mw_request *request, enum mw_request_type type);
/* The app has answered: what is stored in the job or the occupancy says how. */
void script_answered(struct mw_request *request);
void script_cancel_request(struct mw_request *request);

VISIBILITY_POP

#endif
