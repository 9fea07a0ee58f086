/* The number of connections that the process may have. Each takes a descriptor. */
#ifndef MOONWIRE_NET_DESCRIPTORS_H
#define MOONWIRE_NET_DESCRIPTORS_H

#include <stddef.h>

#include "base/visibility.h"

VISIBILITY_PUSH

enum { CONNECTIONS_MAX = 100000 };

/* Returns the number that `ulimit -n` allows, less a reserve for everything else that the process
 * opens; at most `most`, and at least 1. */
size_t descriptors_for_connections(size_t most);
/* Returns the current `ulimit -n`. */
size_t descriptors_limit(void);

VISIBILITY_POP

#endif
