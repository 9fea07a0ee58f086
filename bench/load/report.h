/* What was measured, as one line of JSON. */
#ifndef MOONWIRE_BENCH_LOAD_REPORT_H
#define MOONWIRE_BENCH_LOAD_REPORT_H

#include "load/options.h"

struct connect_result {
  double seconds;
  uint64_t server_cpu_ns; /* of all its processes */
  struct process_memory before[PROCESSES_MAX], after[PROCESSES_MAX];
};

/* Prints the line to standard output. */
void report_print(const struct options *options, const struct connect_result *connected, const struct phase_result *results,
                  const struct faults *faults);

#endif
