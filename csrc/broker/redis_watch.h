/* A connection to one of the sentinels, which tells when another Redis has become the master. The
 * old one may still answer: it becomes a replica later, or its network has parted from the others. */
#ifndef MOONWIRE_BROKER_REDIS_WATCH_H
#define MOONWIRE_BROKER_REDIS_WATCH_H

#include "broker/redis_connection.h"
#include "broker/redis_link.h"
#include "net/alarm.h"

VISIBILITY_PUSH

struct redis_watch {
  const struct redis_link_options *options;
  struct connections *connections;
  struct redis_connection redis;
  struct alarm *alarm; /* the next attempt, or a ping */
  size_t next_sentinel;
  bool is_waiting, is_pinged;
  struct link_command login, question;
  /* The sentinel names this Redis as the master: after connecting, and whenever it has changed. */
  void (*on_master)(struct redis_watch *watch, const struct redis_url *master);
};

/* Without sentinels, it does nothing. MW_ENOMEM: nothing is to be freed. */
int redis_watch_init(struct redis_watch *watch, const struct redis_link_options *options, struct connections *connections,
                     void (*on_master)(struct redis_watch *watch, const struct redis_url *master));
void redis_watch_deinit(struct redis_watch *watch);
void redis_watch_turn(struct redis_watch *watch);

VISIBILITY_POP

#endif
