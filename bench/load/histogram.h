/* Counts times in buckets, each at most 1.6 % wide, and finds percentiles. */
#ifndef MOONWIRE_BENCH_LOAD_HISTOGRAM_H
#define MOONWIRE_BENCH_LOAD_HISTOGRAM_H

#include <stdint.h>

enum { HISTOGRAM_STEP_BITS = 6, HISTOGRAM_BUCKETS = 40 << HISTOGRAM_STEP_BITS };

/* Zeroed: empty. */
struct histogram {
  uint64_t count, max_ns;
  uint64_t buckets[HISTOGRAM_BUCKETS];
};

void histogram_add(struct histogram *histogram, uint64_t ns);
/* Returns the upper end of the bucket that has the time below which `share` of all times are; 0 if
 * the histogram is empty. */
uint64_t histogram_at(const struct histogram *histogram, double share);

#endif
