/* Included by every fuzz target. */
#ifndef MOONWIRE_FUZZ_FUZZ_H
#define MOONWIRE_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/bytes.h"

/* Called by libFuzzer with each input. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Aborts unless the property holds. It must hold for every input. */
#define must(condition)                                                                                                          \
  do {                                                                                                                           \
    if (!(condition)) {                                                                                                          \
      fprintf(stderr, "%s:%d: must hold: %s\n", __FILE__, __LINE__, #condition);                                                 \
      abort();                                                                                                                   \
    }                                                                                                                            \
  } while (0)

static inline struct bytes fuzz_bytes(const uint8_t *data, size_t size) { return bytes_of((const char *)data, size); }

#endif
