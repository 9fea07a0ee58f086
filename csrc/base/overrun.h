/* Finds code that does not return soon. The log names it while it runs and when it has returned. */
#ifndef MOONWIRE_BASE_OVERRUN_H
#define MOONWIRE_BASE_OVERRUN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/visibility.h"

VISIBILITY_PUSH

/* Code that runs longer than this is named. */
enum { OVERRUN_MS = 1000 };

/* The code that one thread is running. Costs two reads of the clock for each run, and no lock. */
struct overrun {
  struct list link; /* in the list of all, for the thread of the log */
  /* 0: nothing runs; OVERRUN_CLAIMED: the thread of the log reads the other members */
  _Atomic uint64_t begin_ms;
  uint64_t started_ms; /* the same; only its owner uses it */
  uint64_t named_ms;   /* begin_ms of the run that the thread of the log has named */
  uint64_t next_ms;    /* when it names it again; both belong to that thread */
  /* Writes the name of the code, terminated. The thread of the log calls it too, so it may read
   * only what does not change while the code runs. */
  void (*describe)(void *context, char *text, size_t size);
  void *context;
  bool has_own_thread; /* only code of the same kind waits for it; set after overrun_init */
};

#define OVERRUN_CLAIMED UINT64_MAX

void overrun_init(struct overrun *overrun);
/* Removes it from the list of all. Nothing may be running. */
void overrun_deinit(struct overrun *overrun);
/* Starts a run; `describe` and `context` must stay valid until overrun_end. Runs do not nest. */
void overrun_begin(struct overrun *overrun, void (*describe)(void *context, char *text, size_t size), void *context);
/* Ends the run, and logs it if it took longer than OVERRUN_MS. */
void overrun_end(struct overrun *overrun);

VISIBILITY_POP

#endif
