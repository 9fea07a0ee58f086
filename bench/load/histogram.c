#include "load/histogram.h"

/* Times below 64 have a bucket each. Above, each power of two has 64. */
static unsigned bucket_of(uint64_t ns) {
  unsigned shift = 0;
  while (ns >> shift >= 2U << HISTOGRAM_STEP_BITS) shift++;
  unsigned bucket = (shift << HISTOGRAM_STEP_BITS) + (unsigned)(ns >> shift);
  return bucket < HISTOGRAM_BUCKETS ? bucket : HISTOGRAM_BUCKETS - 1;
}

static uint64_t end_of(unsigned bucket) {
  const unsigned steps = 1U << HISTOGRAM_STEP_BITS;
  if (bucket < 2 * steps) return bucket;
  unsigned shift = (bucket >> HISTOGRAM_STEP_BITS) - 1;
  return (((uint64_t)(bucket & (steps - 1)) + steps + 1) << shift) - 1;
}

void histogram_add(struct histogram *histogram, uint64_t ns) {
  histogram->buckets[bucket_of(ns)]++;
  histogram->count++;
  if (ns > histogram->max_ns) histogram->max_ns = ns;
}

uint64_t histogram_at(const struct histogram *histogram, double share) {
  uint64_t rank = (uint64_t)((double)histogram->count * share), seen = 0;
  if (rank >= histogram->count) return histogram->max_ns;
  for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
    seen += histogram->buckets[i];
    if (seen > rank) return end_of(i) < histogram->max_ns ? end_of(i) : histogram->max_ns;
  }
  return histogram->max_ns;
}
