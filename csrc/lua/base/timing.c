#define _POSIX_C_SOURCE 200809L

#include "lua/base/timing.h"

#include <time.h>

/* Upper bounds of the buckets. */
static const uint64_t bounds_us[TIMING_BUCKETS] = {100,    500,     1000,    5000,     10000,    50000,   100000,
                                                   500000, 1000000, 5000000, 10000000, 30000000, 60000000};

static uint64_t timing_now_us(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void histogram_add(struct timing_histogram *histogram, uint64_t time_us) {
  int bucket = 0;
  while (bucket < TIMING_BUCKETS && time_us > bounds_us[bucket]) bucket++;
  histogram->counts[bucket]++;
  histogram->count++;
  histogram->sum_us += time_us;
}

void timing_resume(struct timings *timings, struct timing *timing) {
  uint64_t now_us = timing_now_us();
  if (timing->has_run) {
    timing->wait_us += now_us - timing->since_us;
    timing->has_waited = true;
    timings->waiting_count--;
  }
  timing->has_run = true;
  timing->began_us = now_us;
}

void timing_suspend(struct timings *timings, struct timing *timing) {
  timing->since_us = timing_now_us();
  timing->run_us += timing->since_us - timing->began_us;
  timings->waiting_count++;
}

void timing_end(struct timings *timings, struct timing *timing) {
  if (!timing->has_run) return;
  timings->waiting_count--;
  histogram_add(&timings->runs, timing->run_us);
  if (timing->has_waited) histogram_add(&timings->waits, timing->wait_us);
}

static void push_histogram(lua_State *L, const struct timing_histogram *histogram) {
  uint64_t count = 0;
  lua_createtable(L, 0, 3);
  lua_pushinteger(L, (lua_Integer)histogram->count);
  lua_setfield(L, -2, "count");
  lua_pushnumber(L, (lua_Number)histogram->sum_us / 1e6);
  lua_setfield(L, -2, "sum");
  lua_createtable(L, TIMING_BUCKETS, 0);
  for (int i = 0; i < TIMING_BUCKETS; i++) {
    count += histogram->counts[i];
    lua_createtable(L, 0, 2);
    lua_pushnumber(L, (lua_Number)bounds_us[i] / 1e6);
    lua_setfield(L, -2, "le");
    lua_pushinteger(L, (lua_Integer)count);
    lua_setfield(L, -2, "count");
    lua_rawseti(L, -2, i + 1);
  }
  lua_setfield(L, -2, "buckets");
}

void timings_push(lua_State *L, const struct timings *timings) {
  lua_createtable(L, 0, 3);
  lua_pushinteger(L, (lua_Integer)timings->waiting_count);
  lua_setfield(L, -2, "waiting");
  push_histogram(L, &timings->runs);
  lua_setfield(L, -2, "run_seconds");
  push_histogram(L, &timings->waits);
  lua_setfield(L, -2, "wait_seconds");
}
