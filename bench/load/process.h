/* What a process of the server has used: CPU time and memory, from Linux's /proc. */
#ifndef MOONWIRE_BENCH_LOAD_PROCESS_H
#define MOONWIRE_BENCH_LOAD_PROCESS_H

#include <stdint.h>

struct process_usage {
  uint64_t cpu_ns;    /* user and system, of all threads; exact */
  uint64_t user_ns;   /* the share in user mode, from the kernel's ticks */
  uint64_t system_ns; /* the rest of cpu_ns */
};

struct process_memory {
  uint64_t resident; /* bytes (VmRSS) */
  uint64_t unshared; /* bytes (Pss): pages that are shared with other processes count in parts */
};

/* Exit with a message if the process has ended. */
struct process_usage process_usage(int pid);
struct process_memory process_memory(int pid);
/* Returns `end` less `begin`. The ticks divide the exact time between them in user and system. */
struct process_usage process_used(const struct process_usage *begin, const struct process_usage *end);

#endif
