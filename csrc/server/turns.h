/* What a turn of a loop does: the turns of its workers, and of the script. */
#ifndef MOONWIRE_SERVER_TURNS_H
#define MOONWIRE_SERVER_TURNS_H

#include "net/loop.h"

VISIBILITY_PUSH

struct mw_server;

/* A turn of the server's loop. */
void turns_run(struct loop *loop);
/* Runs the timers of workers whose clock a test moves. */
void turns_run_timers(struct mw_server *server);

VISIBILITY_POP

#endif
