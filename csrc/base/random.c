#define _DEFAULT_SOURCE /* getentropy on glibc and musl */

#include "base/random.h"

#include <stdlib.h>
#include <unistd.h>
#if defined(__APPLE__)
#include <sys/random.h>
#endif

enum { ENTROPY_MAX = 256 }; /* the most that one call of getentropy returns */

void random_fill(void *out, size_t len) {
  unsigned char *at = out;
  while (len > 0) {
    size_t part = len < ENTROPY_MAX ? len : ENTROPY_MAX;
    /* Ids that can be guessed are worse than a server that does not run. */
    if (getentropy(at, part) != 0) abort();
    at += part;
    len -= part;
  }
}
