/* What members.c and counting.c share: the members of this node, by channel. Callers outside of this
 * directory use broker/members.h. */
#ifndef MOONWIRE_BROKER_MEMBERS_OWN_MEMBERS_H
#define MOONWIRE_BROKER_MEMBERS_OWN_MEMBERS_H

#include "broker/node/node.h"

VISIBILITY_PUSH

struct own_channel {
  struct list link;   /* in members->ready or cooling, if something is to be sent and may be */
  struct list in_all; /* in members->all */
  struct broker *broker;
  struct link_command command;
  struct table users;
  struct list changes; /* own_member: to be sent */
  struct list settled; /* own_member: nothing is to be sent */
  struct list sent;    /* own_member: on the way */
  bool is_sent;
  uint64_t sent_owner;
  uint64_t ready_ms; /* when the next call may be sent */
  size_t members_max;
  struct bytes name;
  char text[];
};

struct own_member {
  struct list link;
  struct own_channel *channel;
  bool is_wanted;
  bool is_established; /* a join has succeeded, and no leave followed */
  bool is_unsure;      /* a call was lost: it may be counted, or not */
  bool is_recounting;
  uint64_t counted; /* the owner for which it is counted; 0: none */
  char sent;        /* what is on the way: '+', '!', '-', or 0 */
  struct list joins;
  struct bytes user, info;
  char text[];
};

struct join {
  struct list link;   /* in own_member.joins, or in members->ended_joins */
  struct list expiry; /* in members->joins */
  struct own_member *member;
  uint64_t due_ms;
  int status;
  void (*on_done)(void *context, int status);
  void *context;
};

/* ---- broker/members/members.c ---------------------------------------------------------------------- */

/* Moves the member to the list of its state, or frees it. Does nothing while a call with it is in
 * progress. */
void member_settle(struct own_member *member);
void member_stop_recounting(struct own_member *member);
void member_end_joins(struct own_member *member, int status);
/* Its joins end. If none has succeeded before, it is not a member. */
void member_give_up(struct own_member *member, int status);
/* Moves the channel to the list of its state. */
void own_channel_settle(struct own_channel *channel);
/* Frees the channel if it has no members, no call in progress, and no pause before the next one. */
void own_channel_release(struct own_channel *channel);

/* ---- broker/members/counting.c --------------------------------------------------------------------- */

/* The reply to the call of a channel. */
void own_channel_on_answer(struct link_command *command, const struct resp_value *reply);

VISIBILITY_POP

#endif
