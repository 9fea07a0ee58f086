/* Random bytes from the system, fit for secrets: ids that cannot be guessed, seeds of hash tables. */
#ifndef MOONWIRE_BASE_RANDOM_H
#define MOONWIRE_BASE_RANDOM_H

#include <stddef.h>

#include "base/visibility.h"

VISIBILITY_PUSH

/* Fills with random bytes from the system; aborts the process if it has none to give. */
void random_fill(void *out, size_t len);

VISIBILITY_POP

#endif
