/* A worker that has a thread and a loop of its own. */
#ifndef MOONWIRE_SERVER_WORKER_THREAD_H
#define MOONWIRE_SERVER_WORKER_THREAD_H

#include "server/worker.h"

VISIBILITY_PUSH

/* Initializes the worker with a loop of its own, and starts its thread. Returns 0 or a status of
 * libuv; after a failure, nothing is left. On the server's thread, as those below. */
int worker_thread_start(struct worker *worker, struct mw_server *server, uint32_t index);
/* Runs a function on the worker's thread, after all mail that was posted before, and waits for it.
 * Without a thread, or after worker_thread_close: runs it here. */
void worker_call(struct worker *worker, void (*run)(struct worker *worker, void *context), void *context);
/* Closes the worker; its thread still drops mail. First step of the end of all workers: those that
 * are not closed yet may post to it. */
void worker_thread_close(struct worker *worker);
/* Second step: closes the loop, and waits for the end of the thread. */
void worker_thread_end(struct worker *worker);

VISIBILITY_POP

#endif
