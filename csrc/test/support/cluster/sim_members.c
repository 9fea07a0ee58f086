#include "test/support/cluster/sim_members.h"

#include <stdlib.h>

#include "base/status.h"
#include "test/support.h"

enum { LEASE_MS = 3000 };

static const struct bytes user_names[SIM_USERS] = {BYTES("ada"), BYTES("b\n c"), BYTES("0"), BYTES("#"), BYTES("zo\xc3\xab")};

static unsigned long long seed_of(const struct sim_presence *presence) { return presence->seed; }

static struct bytes name_of(size_t channel) { return bytes_of(&"abcdefgh"[channel], 1); }

static size_t user_index(const struct sim_presence *presence, struct bytes name) {
  for (size_t user = 0; user < SIM_USERS; user++)
    if (bytes_equal(user_names[user], name)) return user;
  fail_msg("seed %llu: a user that does not exist", seed_of(presence));
  return 0;
}

size_t sim_members_max(size_t channel) { return channel == 1 ? 3 : 0; }

enum broker_roster sim_roster(size_t channel) {
  return channel == 3 ? BROKER_ROSTER_NONE : channel == 2 ? BROKER_ROSTER_COUNT : BROKER_ROSTER_LIST;
}

/* ---- Joins and leaves of clients --------------------------------------------------------------- */

struct sim_member {
  struct sim_presence *presence;
  unsigned life; /* of the node */
  size_t channel, user;
  bool is_pending, is_in, has_left;
};

static void leave_if_last(struct sim_presence *presence, size_t channel, size_t user) {
  if (presence->here[channel][user] == 0 && presence->pending[channel][user] == 0)
    broker_leave(presence->broker, name_of(channel), user_names[user]);
}

static void on_joined(void *context, int status) {
  struct sim_member *member = context;
  struct sim_presence *presence = member->presence;
  member->is_pending = false;
  bool is_of_now = presence->broker && presence->life == member->life;
  if (is_of_now) presence->pending[member->channel][member->user]--;
  member->is_in = status == 0 && !member->has_left;
  if (is_of_now && member->is_in) presence->here[member->channel][member->user]++;
  if (is_of_now && member->has_left) leave_if_last(presence, member->channel, member->user);
  if (member->has_left) free(member);
}

struct sim_member *sim_member_join(struct sim_presence *presence, size_t channel, size_t user) {
  struct sim_member *member = calloc(1, sizeof *member);
  *member =
      (struct sim_member){.presence = presence, .life = presence->life, .channel = channel, .user = user, .is_pending = true};
  struct broker_join join = {.channel = name_of(channel),
                             .user = user_names[user],
                             .info = BYTES("{}"),
                             .members_max = sim_members_max(channel),
                             .on_done = on_joined,
                             .context = member};
  presence->pending[channel][user]++;
  int status = broker_join(presence->broker, &join);
  if (status == MW_PENDING) return member;
  on_joined(member, status);
  if (status == 0) return member;
  free(member);
  return NULL;
}

void sim_member_leave(struct sim_member *member) {
  if (!member) return;
  struct sim_presence *presence = member->presence;
  member->has_left = true;
  if (member->is_pending) return;
  if (member->is_in && presence->broker && presence->life == member->life) {
    presence->here[member->channel][member->user]--;
    leave_if_last(presence, member->channel, member->user);
  }
  free(member);
}

void sim_presence_begin(struct sim_presence *presence, struct broker *broker, uint64_t seed) {
  *presence = (struct sim_presence){.broker = broker, .seed = seed, .life = presence->life + 1};
}

void sim_presence_end(struct sim_presence *presence) { presence->broker = NULL; }

/* ---- What nodes hear --------------------------------------------------------------------------- */

void sim_presence_take(struct sim_presence *presence, size_t channel, const struct broker_members *members) {
  struct broker_change change;
  struct bytes rest = members->changes;
  bool is_list = sim_roster(channel) == BROKER_ROSTER_LIST;
  if (!members->is_whole && !presence->is_known[channel])
    fail_msg("seed %llu: a change of members before the members", seed_of(presence));
  if (members->is_whole) memset(presence->is_there[channel], 0, sizeof presence->is_there[channel]);
  if (members->is_whole && is_list != members->is_listed && members->count > 0)
    fail_msg("seed %llu: members are listed, or not", seed_of(presence));
  presence->is_known[channel] = true;
  presence->count[channel] = members->count;
  size_t count = 0;
  while (broker_next_change(&rest, &change)) {
    bool *is_there = &presence->is_there[channel][user_index(presence, change.user)];
    if (is_list && *is_there != change.left) fail_msg("seed %llu: a member joins or leaves twice", seed_of(presence));
    if (!change.left) assert_bytes_string(change.info, "{}");
    *is_there = !change.left;
  }
  for (size_t user = 0; user < SIM_USERS; user++) count += presence->is_there[channel][user];
  if (is_list && count != members->count) fail_msg("seed %llu: members are missing", seed_of(presence));
}

void sim_presence_forget(struct sim_presence *presence, size_t channel) { presence->is_known[channel] = false; }

static bool is_anywhere(const struct sim_presence *presences, size_t count, size_t channel, size_t user) {
  for (size_t i = 0; i < count; i++)
    if (presences[i].here[channel][user] > 0) return true;
  return false;
}

void sim_presence_check(const struct sim_presence *presences, size_t count, const bool *is_followed) {
  for (size_t i = 0; i < count; i++) {
    const struct sim_presence *presence = &presences[i];
    for (size_t channel = 0; channel < SIM_CHANNELS; channel++) {
      size_t expected = 0;
      if (sim_roster(channel) == BROKER_ROSTER_NONE || !is_followed[i * SIM_CHANNELS + channel]) continue;
      if (!presence->is_known[channel]) fail_msg("seed %llu: node %zu does not know the members", seed_of(presence), i);
      for (size_t user = 0; user < SIM_USERS; user++) {
        bool is_there = is_anywhere(presences, count, channel, user);
        expected += is_there;
        if (sim_roster(channel) == BROKER_ROSTER_LIST && is_there != presence->is_there[channel][user])
          fail_msg("seed %llu: node %zu, channel %zu: user %zu is%s there", seed_of(presence), i, channel, user,
                   is_there ? "" : " not");
      }
      if (expected != presence->count[channel])
        fail_msg("seed %llu: node %zu, channel %zu: %zu members of %zu", seed_of(presence), i, channel, presence->count[channel],
                 expected);
    }
  }
}

/* ---- Commands and leases ----------------------------------------------------------------------- */

struct command_call {
  struct sim_commands *commands;
  struct sim_presence *presence;
  size_t number;
  uint64_t begun_ms;
  bool is_strict;
};

static struct command_call *call_new(struct sim_commands *commands, struct sim_presence *presence) {
  struct command_call *call = calloc(1, sizeof *call);
  *call = (struct command_call){.commands = commands, .presence = presence, .begun_ms = *commands->now_ms};
  return call;
}

static void on_command_done(void *context, int status) {
  struct command_call *call = context;
  if (status == 0) call->commands->is_done[call->number] = true;
  free(call);
}

void sim_command_send(struct sim_commands *commands, struct sim_presence *presences, size_t count, size_t index) {
  char text[24];
  if (commands->count == SIM_COMMANDS) return;
  size_t number = commands->count++;
  struct command_call *call = call_new(commands, &presences[index]);
  call->number = number;
  for (size_t i = 0; i < count; i++)
    if (i != index && presences[i].broker && presences[i].has_begun) commands->lives[number][i] = presences[i].life;
  int len = snprintf(text, sizeof text, "%zu", number);
  int status = broker_control(presences[index].broker, bytes_of(text, (size_t)len), on_command_done, call);
  if (status < 0) on_command_done(call, status);
}

void sim_command_hear(struct sim_presence *presence, struct bytes command) {
  uint64_t number;
  assert_true(bytes_to_u64(command, &number) && number < SIM_COMMANDS);
  if (presence->has_heard[number]) fail_msg("seed %llu: command %llu came twice", seed_of(presence), (unsigned long long)number);
  presence->has_heard[number] = true;
}

void sim_command_check(const struct sim_commands *commands, const struct sim_presence *presences, size_t count) {
  for (size_t number = 0; number < commands->count; number++) {
    for (size_t i = 0; i < count; i++) {
      bool is_of_now = commands->lives[number][i] == presences[i].life;
      bool must_hear = commands->is_done[number] && is_of_now && !presences[i].has_missed;
      if (must_hear && !presences[i].has_heard[number])
        fail_msg("seed %llu: node %zu has not heard command %zu", seed_of(&presences[i]), i, number);
    }
  }
}

static void on_lease(void *context, int status, uint64_t left_ms) {
  struct command_call *call = context;
  struct sim_commands *commands = call->commands;
  if (status == 0 && left_ms == 0) {
    if (call->is_strict && *commands->now_ms < commands->lease_until_ms)
      fail_msg("seed %llu: two nodes have a lease", seed_of(call->presence));
    commands->lease_until_ms = call->begun_ms + LEASE_MS;
  }
  if (call->is_strict) assert_true(left_ms <= LEASE_MS);
  free(call);
}

void sim_lease(struct sim_commands *commands, struct sim_presence *presence, bool is_strict) {
  struct command_call *call = call_new(commands, presence);
  call->is_strict = is_strict;
  struct broker_lease lease = {.name = BYTES("sweep"), .holder = ++commands->lease_holder, .ms = LEASE_MS};
  int status = broker_lease(presence->broker, &lease, on_lease, call);
  if (status < 0) on_lease(call, status, 0);
}
