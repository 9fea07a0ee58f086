/* Code that should return soon and does not: it is named in the log while it runs and when it has returned. */
#ifndef MOONWIRE_BASE_OVERRUN_H
#define MOONWIRE_BASE_OVERRUN_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/list.h"
#include "base/visibility.h"

VISIBILITY_PUSH

/* How long code may run before it is named. */
enum { OVERRUN_MS = 1000 };

/* What one thread runs. Costs two reads of the clock each time, and no lock. */
struct overrun {
  struct list link;          /* of all, for the log's thread */
  _Atomic uint64_t begin_ms; /* 0: nothing runs; OVERRUN_CLAIMED: the log's thread is reading the rest */
  uint64_t started_ms;       /* the same, its owner's */
  uint64_t named_ms;         /* which start the log's thread has named, */
  uint64_t next_ms;          /* and when it does again; these are its own */
  /* Writes the name of what runs, terminated. Called on the log's thread as well: reads what does not change meanwhile. */
  void (*describe)(void *context, char *text, size_t size);
  void *context;
};

#define OVERRUN_CLAIMED UINT64_MAX

void overrun_init(struct overrun *overrun);
/* While nothing runs. */
void overrun_deinit(struct overrun *overrun);
/* Does not nest. */
void overrun_begin(struct overrun *overrun, void (*describe)(void *context, char *text, size_t size), void *context);
/* Logs what took longer than OVERRUN_MS. */
void overrun_end(struct overrun *overrun);

VISIBILITY_POP

#endif
