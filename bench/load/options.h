/* The command line of the load generator. */
#ifndef MOONWIRE_BENCH_LOAD_OPTIONS_H
#define MOONWIRE_BENCH_LOAD_OPTIONS_H

#include "load/phase.h"
#include "load/subscriber.h"

enum { PHASES_MAX = 16 };

struct options {
  uint32_t subscribers, channels;
  const char *paths[TRANSPORT_COUNT]; /* of the transports that subscribers use; the others are NULL */
  struct target subscribe, publish;   /* the fields belong to this struct */
  struct greetings subscribe_greetings, publish_greetings;
  bool is_post;
  const char *message, *cursor;
  int pids[PROCESSES_MAX];
  size_t pid_count;
  struct phase phases[PHASES_MAX];
  size_t phase_count;
  double settle, stall, connect_timeout; /* seconds */
  bool is_strict;
};

/* Reads the command line. Exits with a message: status 0 after --help, 1 if it is wrong. */
void options_read(struct options *options, int argc, char **argv);
void options_deinit(struct options *options);

#endif
