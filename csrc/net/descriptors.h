/* How many connections the process may have: each takes a descriptor. */
#ifndef MOONWIRE_NET_DESCRIPTORS_H
#define MOONWIRE_NET_DESCRIPTORS_H

#include <stddef.h>

#include "base/visibility.h"

VISIBILITY_PUSH

enum { CONNECTIONS_MAX = 100000 };

/* What `ulimit -n` allows, less a reserve for everything else that the process opens; at most `most`, at least 1. */
size_t descriptors_for_connections(size_t most);
/* The present `ulimit -n`. */
size_t descriptors_limit(void);

VISIBILITY_POP

#endif
