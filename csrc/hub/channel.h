/* One channel of one hub: its subscribers, its history, and what was published to it in this turn. */
#ifndef MOONWIRE_HUB_CHANNEL_H
#define MOONWIRE_HUB_CHANNEL_H

#include "base/list.h"
#include "hub/history.h"
#include "hub/roster.h"

VISIBILITY_PUSH

/* What happens to a subscriber that takes less than there is, when its limit is reached. */
enum slow {
  SLOW_CLOSE,   /* it is closed */
  SLOW_CATCHUP, /* what waits for it is let go, and read from the histories when it takes something again */
  SLOW_DROP,    /* what waits for it is let go, and it is told so */
  SLOW_LATEST,  /* of what waits for it, the newest by key is kept */
};

/* How the channels of a kind behave. */
struct channel_policy {
  uint32_t kind;
  struct history_bounds history;
  uint64_t history_ttl_ms; /* 0: for ever */
  uint32_t replay;         /* for subscribers without a cursor */
  enum slow slow;
  size_t outbox;   /* bytes that may wait for one subscriber */
  uint64_t age_ms; /* how long they may; 0: as long as it lasts */
};

/* Belongs to its channel, which points to it, and is listed by its owner, the subscriber, in whose memory it lies. */
struct subscription {
  struct channel *channel;   /* NULL: not subscribed */
  struct subscription *next; /* of the same owner */
  uint32_t index;            /* the place in channel->subscriptions */
  uint32_t mark;             /* free for the owner */
};

struct channel {
  struct list link; /* in the hub's list of all */
  struct channel_policy policy;
  struct history history;
  uint64_t ended;           /* the position of its last message, if that was final; 0: more may come */
  uint64_t oldest_position; /* hub/oldest.h's */
  uint32_t oldest_place;
  struct roster *roster; /* its members; NULL: there are none */
  bool roster_lost;      /* it is incomplete, for lack of memory, until a whole batch comes */
  struct subscription **subscriptions;
  uint32_t subscription_count, subscription_capacity;
  /* What was published in this turn, oldest first, one list for all subscribers. */
  struct message **turn;
  uint32_t turn_count, turn_capacity;
  struct subscription *inventor; /* which brought it into being, while it is subscribed; NULL: another, or nobody */
  void *charged[2];              /* whom its name is charged to (server/names.h); NULL: nobody */
  struct channel *next_in_turn;  /* in the hub's list of channels that have a turn list */
  uint64_t floor;                /* where its mark was not there: what stood in for it (hub/marks.h); 0: the mark is known */
  uint32_t promised;             /* messages that were promised a place in the history */
  struct bytes name;
  char text[];
};

/* `evicted` as in struct history. NULL without memory. */
struct channel *channel_new(struct bytes name, const struct channel_policy *policy, uint64_t evicted, atomic_size_t *account);
/* There must be no subscriptions and no turn list. */
void channel_free(struct channel *channel);
/* 0 or MW_ENOMEM. The subscription must be in no channel. */
int channel_add(struct channel *channel, struct subscription *subscription);
void channel_remove(struct channel *channel, struct subscription *subscription);
/* Appends to the turn list, keeping a reference; 0 or MW_ENOMEM. */
int channel_turn_append(struct channel *channel, struct message *message);
void channel_turn_clear(struct channel *channel);

VISIBILITY_POP

#endif
