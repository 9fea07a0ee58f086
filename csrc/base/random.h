/* Random bytes from the system, for secrets, for ids that cannot be guessed, and for the seeds of
 * hash tables. */
#ifndef MOONWIRE_BASE_RANDOM_H
#define MOONWIRE_BASE_RANDOM_H

#include <stddef.h>

#include "base/visibility.h"

VISIBILITY_PUSH

/* Fills `out` with random bytes. Aborts the process if the system has none. Any thread. */
void random_fill(void *out, size_t len);

VISIBILITY_POP

#endif
