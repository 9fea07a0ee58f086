/* Starts redis-server and other programs for a test, in a directory of its own. */
#ifndef MOONWIRE_TEST_SUPPORT_REAL_REDIS_H
#define MOONWIRE_TEST_SUPPORT_REAL_REDIS_H

#include <sys/types.h>

enum { REAL_REDIS_MAX = 4 };

struct real_redis {
  char directory[64];
  pid_t programs[REAL_REDIS_MAX]; /* 0: none */
};

/* Makes the directory. */
void real_redis_begin(struct real_redis *real);
/* Kills all programs, and removes the directory. */
void real_redis_end(struct real_redis *real);
/* Starts a Redis on the unix socket <directory>/<name>, which keeps <name>.rdb there. `more` are further
 * options of its command line. */
void real_redis_start(struct real_redis *real, size_t index, const char *name, const char *more);
/* Starts a command of the shell in the directory. Its output goes nowhere. */
void real_redis_start_program(struct real_redis *real, size_t index, const char *command);
void real_redis_kill(struct real_redis *real, size_t index);
/* Runs a command of the shell in the directory, and waits for it. It must succeed. */
void real_redis_run(struct real_redis *real, const char *command);
/* Returns a port that was free just now. */
unsigned real_redis_find_port(void);

#endif
