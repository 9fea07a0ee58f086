/* How long handlers and other tasks run, and how long they wait: histograms for app:stats(). */
#ifndef MOONWIRE_LUA_TIMING_H
#define MOONWIRE_LUA_TIMING_H

#include "lua/base/binding.h"

BINDING_BEGIN

enum { TIMING_BUCKETS = 13 };

struct timing_histogram {
  uint64_t counts[TIMING_BUCKETS + 1]; /* the last: longer than all bounds */
  uint64_t count, sum_us;
};

/* Of all tasks of a group. */
struct timings {
  struct timing_histogram runs, waits;
  uint64_t waiting_count; /* tasks that wait now */
};

/* Of one task. Zeroed before it starts. */
struct timing {
  uint64_t run_us, wait_us;
  uint64_t began_us; /* when it was resumed */
  uint64_t since_us; /* when it was suspended */
  bool has_run, has_waited;
};

/* The task is resumed. */
void timing_resume(struct timings *timings, struct timing *timing);
/* It waits, or has ended. */
void timing_suspend(struct timings *timings, struct timing *timing);
/* It has ended, after timing_suspend or before its first timing_resume. */
void timing_end(struct timings *timings, struct timing *timing);
/* Pushes a table: waiting, run_seconds, wait_seconds. */
void timings_push(lua_State *L, const struct timings *timings);

BINDING_END

#endif
