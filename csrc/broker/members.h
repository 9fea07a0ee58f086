/* Members: the users who are in a channel, over all nodes. A user that is in it on several nodes is
 * one member. Redis counts them (broker/scripts/presence.lua); each node reports who has
 * joined and left on it, and receives the changes of all nodes.
 *
 * As for broker.h: one thread, and callbacks from link events and from broker_tick only. */
#ifndef MOONWIRE_BROKER_MEMBERS_H
#define MOONWIRE_BROKER_MEMBERS_H

#include "base/bytes.h"

VISIBILITY_PUSH

struct broker;

/* What a node knows of the members of a channel that it follows. */
enum broker_roster {
  BROKER_ROSTER_NONE,
  BROKER_ROSTER_COUNT, /* how many there are, and who has joined and left; not who was there before */
  BROKER_ROSTER_LIST   /* who they are */
};

struct broker_change {
  struct bytes user;
  struct bytes info; /* empty if it has left */
  bool left;
};

/* Other programs can publish, so texts may be anything. Borrowed. */
struct broker_members {
  struct bytes channel;
  bool is_whole;  /* these are all members, instead of all that were known before */
  bool is_listed; /* for is_whole; false: only their number is known, because there are too many */
  size_t count;   /* members after the changes */
  struct bytes changes;
};

/* Takes the next change from *changes. Returns false at the end. */
bool broker_next_change(struct bytes *changes, struct broker_change *change);

/* A member of this node. Everything is copied. */
struct broker_join {
  struct bytes channel, user, info;
  size_t members_max; /* of the channel, on all nodes; 0: any number */
  /* 0: it is a member. MW_ELIMIT: there are too many. MW_ECLOSED. MW_EBROKER_LOST and the statuses after
   * it: not in time, or refused. Called once. */
  void (*on_done)(void *context, int status);
  void *context;
};

/* 0: the user is a member of this node already (its info stays what it was). MW_PENDING: on_done follows.
 * MW_EUNAVAILABLE: too many wait. MW_ENOMEM, MW_ECLOSED. A user that has joined is a member until
 * broker_leave, regardless of what happens to Redis in the meantime. */
int broker_join(struct broker *broker, const struct broker_join *join);
/* Removes the user from the channel on this node. Only after a join of the user has succeeded. */
void broker_leave(struct broker *broker, struct bytes channel, struct bytes user);
/* Asks for all members of a channel that is followed; they follow as is_whole. For an owner that has
 * lost track. */
void broker_read_members(struct broker *broker, struct bytes channel);

VISIBILITY_POP

#endif
