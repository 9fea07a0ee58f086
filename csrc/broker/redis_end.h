/* One of the two connections of a link, through its life: it waits, asks the sentinels, connects,
 * greets, is open, is lost, and waits again. */
#ifndef MOONWIRE_BROKER_REDIS_END_H
#define MOONWIRE_BROKER_REDIS_END_H

#include "broker/redis_connection.h"
#include "broker/redis_link.h"
#include "net/alarm.h"

VISIBILITY_PUSH

enum {
  REDIS_RUN_ID_MAX = 64,
  REDIS_GREETING_MAX = REDIS_SCRIPTS_MAX + 4,
  REDIS_SHA_SIZE = 41, /* with a NUL */
};

enum redis_end_state {
  REDIS_END_WAITING,    /* until the next attempt */
  REDIS_END_ASKING,     /* a sentinel, for the address */
  REDIS_END_CONNECTING, /* TLS included */
  REDIS_END_GREETING,   /* login, run id, scripts */
  REDIS_END_OPEN
};

struct redis_end;
struct end_command {
  struct link_command command;
  struct redis_end *end;
};

struct redis_end {
  enum link_end which;
  enum redis_end_state state;
  const struct redis_link_options *options;
  struct connections *connections;
  struct redis_connection redis;
  struct alarm *alarm; /* the next attempt, or the end of this one, or a look at the silence */
  unsigned attempts;   /* since it was open for a while */
  size_t next_sentinel;
  bool has_master;
  struct redis_url master;  /* what the sentinel has answered */
  const char *reset_reason; /* redis_end_turn closes it */
  char reason[REDIS_PROBLEM_SIZE];
  char error[64];                  /* with which Redis has refused this attempt; empty: it has not */
  char logged[REDIS_PROBLEM_SIZE]; /* the last problem in the log; empty while it is open */
  uint64_t lost_ms;
  /* the greeting: commands that were sent in one go */
  struct end_command greeting[REDIS_GREETING_MAX];
  size_t greeting_count, greeting_at, script_at;
  char run_id[REDIS_RUN_ID_MAX + 1];
  char shas[REDIS_SCRIPTS_MAX][REDIS_SHA_SIZE]; /* of the scripts */
  struct {
    void (*on_open)(struct redis_end *end);
    void (*on_lost)(struct redis_end *end, const char *problem);
    void (*on_failed)(struct redis_end *end, struct bytes error);
    void (*on_push)(struct redis_end *end, const struct resp_value *push);
  } events;
};

/* The first attempt follows from the loop. MW_ENOMEM: nothing is to be freed. */
int redis_end_init(struct redis_end *end, enum link_end which, const struct redis_link_options *options,
                   struct connections *connections);
void redis_end_deinit(struct redis_end *end);
/* Notes that it is of no use; redis_end_turn closes it. */
void redis_end_reset(struct redis_end *end, const char *reason);
void redis_end_turn(struct redis_end *end);

VISIBILITY_POP

#endif
