/* A simulated cluster's members (who is in which channel, as each node knows it), commands, and
 * leases. */
#ifndef MOONWIRE_TEST_SUPPORT_CLUSTER_SIM_MEMBERS_H
#define MOONWIRE_TEST_SUPPORT_CLUSTER_SIM_MEMBERS_H

#include "test/support/cluster/simulation.h"

enum { SIM_USERS = 5, SIM_COMMANDS = 4096 };

/* One client of a user in one channel. Its end is noted, if its join is still pending. */
struct sim_member;

/* What one node knows. */
struct sim_presence {
  struct broker *broker; /* NULL: dead */
  uint64_t seed;
  unsigned life;
  size_t here[SIM_CHANNELS][SIM_USERS];    /* clients whose join has succeeded */
  size_t pending[SIM_CHANNELS][SIM_USERS]; /* joins */
  bool is_known[SIM_CHANNELS];             /* its members were read */
  bool is_there[SIM_CHANNELS][SIM_USERS];
  size_t count[SIM_CHANNELS];
  bool has_begun, has_missed; /* commands: the node hears them; and has missed some */
  bool has_heard[SIM_COMMANDS];
};

/* What all nodes have sent. */
struct sim_commands {
  size_t count;
  bool is_done[SIM_COMMANDS];
  unsigned lives[SIM_COMMANDS][MODEL_NODES]; /* of the nodes that must hear it; 0: need not */
  uint64_t lease_until_ms, lease_holder;
  const uint64_t *now_ms;
};

/* How many members the channel may have; 0: any number. */
size_t sim_members_max(size_t channel);
enum broker_roster sim_roster(size_t channel);
/* Returns NULL if it was refused. */
struct sim_member *sim_member_join(struct sim_presence *presence, size_t channel, size_t user);
/* It leaves; its node may be dead. NULL is allowed. */
void sim_member_leave(struct sim_member *member);
void sim_presence_begin(struct sim_presence *presence, struct broker *broker, uint64_t seed);
/* The node has died. */
void sim_presence_end(struct sim_presence *presence);
/* What the node's broker tells. */
void sim_presence_take(struct sim_presence *presence, size_t channel, const struct broker_members *members);
void sim_presence_forget(struct sim_presence *presence, size_t channel);
/* Everything was settled: each node knows exactly those who are there. */
void sim_presence_check(const struct sim_presence *presences, size_t count, const bool *is_followed);

/* Node `index` sends a command to all others. */
void sim_command_send(struct sim_commands *commands, struct sim_presence *presences, size_t count, size_t index);
void sim_command_hear(struct sim_presence *presence, struct bytes command);
void sim_command_check(const struct sim_commands *commands, const struct sim_presence *presences, size_t count);
/* The node wants the lease. `is_strict`: no two may have it. */
void sim_lease(struct sim_commands *commands, struct sim_presence *presence, bool is_strict);

#endif
