#include "load/process.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "net/poller.h"

static FILE *open_proc(int pid, const char *name) {
  char path[64];
  snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
  FILE *file = fopen(path, "r");
  if (!file) die("the server's process %d has ended (%s)", pid, path);
  return file;
}

struct process_usage process_usage(int pid) {
  struct process_usage usage = {0, 0, 0};
  clockid_t clock;
  struct timespec time;
  if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &time) != 0) die("the server's process %d has ended", pid);
  usage.cpu_ns = (uint64_t)time.tv_sec * 1000000000U + (uint64_t)time.tv_nsec;

  FILE *file = open_proc(pid, "stat");
  char line[1024];
  unsigned long user = 0, system = 0;
  if (fgets(line, sizeof(line), file)) {
    const char *after_name = strrchr(line, ')'); /* the name may have spaces */
    if (after_name) sscanf(after_name + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system);
  }
  fclose(file);
  const uint64_t tick = 1000000000U / (uint64_t)sysconf(_SC_CLK_TCK);
  usage.user_ns = user * tick;
  usage.system_ns = system * tick;
  return usage;
}

struct process_usage process_used(const struct process_usage *begin, const struct process_usage *end) {
  uint64_t user = end->user_ns - begin->user_ns, ticks = user + (end->system_ns - begin->system_ns);
  struct process_usage used = {.cpu_ns = end->cpu_ns - begin->cpu_ns};
  used.user_ns = ticks > 0 ? (uint64_t)((double)used.cpu_ns * (double)user / (double)ticks) : 0;
  used.system_ns = used.cpu_ns - used.user_ns;
  return used;
}

/* Returns the bytes of a line such as "Pss:   123 kB", or 0. */
static uint64_t read_kilobytes(int pid, const char *name, const char *label) {
  FILE *file = open_proc(pid, name);
  char line[256];
  unsigned long kilobytes = 0;
  while (fgets(line, sizeof(line), file))
    if (strncmp(line, label, strlen(label)) == 0 && sscanf(line + strlen(label), " %lu kB", &kilobytes) == 1) break;
  fclose(file);
  return (uint64_t)kilobytes << 10;
}

struct process_memory process_memory(int pid) {
  return (struct process_memory){read_kilobytes(pid, "status", "VmRSS:"), read_kilobytes(pid, "smaps_rollup", "Pss:")};
}
