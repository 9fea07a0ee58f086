/* A link (broker/link.h) to a real Redis: two connections, which are opened again after random
 * delays, and the sentinels that know which Redis to connect to. */
#ifndef MOONWIRE_BROKER_REDIS_LINK_H
#define MOONWIRE_BROKER_REDIS_LINK_H

#include "broker/link.h"
#include "codec/redis_url.h"
#include "net/connection/connection.h"

VISIBILITY_PUSH

enum { REDIS_SCRIPTS_MAX = 32 };

struct redis_link_options {
  /* With sentinels, the host is the master name that they monitor. */
  struct redis_url url;
  struct redis_url sentinels[REDIS_SENTINELS_MAX]; /* host and port, and username and password */
  size_t sentinel_count;
  const char *ca_file;   /* for rediss:, as in struct tls_options */
  bool is_unverified;    /* any certificate is accepted */
  uint32_t delay_ms;     /* before the second attempt to connect, doubled for each further one; 0: 100 */
  uint32_t delay_max_ms; /* 0: 5,000. Each delay is random, between a half and the whole of it. */
  uint32_t attempt_ms;   /* one attempt, until the connection is open; 0: 5,000 */
  const struct link_script *scripts;
  size_t script_count;
};

/* Opens both connections as soon as the loop runs. The options are copied; the scripts must last.
 * `link->events` and `context` must be set before the loop runs. Returns 0, MW_EINVAL (too many
 * scripts), or MW_ENOMEM. */
int redis_link_new(struct link **link, const struct redis_link_options *options, struct connections *connections);
/* To be called once in each turn of the loop, at its end: sends what was written, and carries out
 * `reset`. */
void redis_link_turn(struct link *link);
/* Closes both connections: each command has its on_reply (NULL), and nothing else follows. Not
 * within an event. NULL is allowed. */
void redis_link_free(struct link *link);

VISIBILITY_POP

#endif
