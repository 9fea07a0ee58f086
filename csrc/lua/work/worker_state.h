/* The Lua state of a thread of moonwire.work. It knows nothing of the app's. */
#ifndef MOONWIRE_LUA_WORK_WORKER_STATE_H
#define MOONWIRE_LUA_WORK_WORKER_STATE_H

#include "lua/work/values.h"

BINDING_BEGIN

/* What the script's state hands over. */
struct worker_setup {
  char *path, *cpath; /* of malloc: package.path, package.cpath */
};

/* What a thread is asked for, and what came of it. Strings of malloc. */
struct work_call {
  const char *module; /* NULL: `code` */
  const char *function;
  struct mw_bytes code; /* of string.dump */
  struct values arguments, results;
  char *fault; /* what was raised; NULL: nothing */
};

/* See mw_pool_options. `setup` is a struct worker_setup. */
void *worker_state_open(void *setup);
void worker_state_close(void *state);
/* Calls the function. */
void worker_state_call(void *state, struct work_call *call);

BINDING_END

#endif
