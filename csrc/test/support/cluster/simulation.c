#include "test/support/cluster/simulation.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/status.h"
#include "broker/push.h"
#include "test/support.h"
#include "test/support/cluster/sim_members.h"

enum { ALL_NODES = MODEL_NODES, MARK_TTL_S = 25 * 3600 };

static const struct broker_history histories[SIM_CHANNELS] = {
    {.size = 5}, {.size = 50}, {.size = 0}, {.size = 20, .ttl_ms = 3000}};

struct ring {
  bool is_known;
  size_t count;
  uint64_t positions[SIM_RING];
  size_t ops[SIM_RING];
  uint64_t evicted, gone;
};

struct sim;

struct node {
  struct sim *sim;
  size_t index;
  struct broker *broker; /* NULL: dead */
  char name[24];
  unsigned epoch;
  uint64_t position;
  struct ring rings[SIM_CHANNELS];
  size_t last_op[SIM_CHANNELS]; /* the latest that was committed */
  uint64_t stopped_until_ms;
};

enum client_state { CLIENT_AWAY, CLIENT_JOINING, CLIENT_REACHING, CLIENT_FETCHING, CLIENT_ATTACHED };

struct client {
  struct sim *sim;
  enum client_state state;
  struct node *node;
  unsigned life; /* changes when its node dies: what was begun before does not count */
  bool must_leave;
  bool is_gone;      /* permanently */
  unsigned channels; /* a bit for each */
  bool has_cursor;
  unsigned epoch;
  uint64_t position;
  struct sim_expectation expected[SIM_CHANNELS];
  struct sim_member *members[SIM_CHANNELS];
};

/* A wait of a client; or a publish. */
struct call {
  struct client *client;
  struct node *node;
  unsigned life;
  size_t op, channel;
  uint64_t begun_ms;
};

struct sim {
  struct model_cluster cluster;
  struct node nodes[ALL_NODES];
  struct sim_presence presences[ALL_NODES];
  struct sim_commands commands;
  struct client clients[SIM_CLIENTS];
  struct sim_check check;
  uint64_t state; /* of the random numbers */
  unsigned faults;
  unsigned node_count;
  size_t op_count, pending, fetched;
  uint64_t down_until_ms, full_until_ms;
};

static bool is_stopped(const struct node *node) { return node->stopped_until_ms > node->sim->cluster.now_ms; }

/* xorshift64*: the run depends on the seed alone. */
static uint64_t draw(struct sim *sim, uint64_t below) {
  sim->state ^= sim->state >> 12;
  sim->state ^= sim->state << 25;
  sim->state ^= sim->state >> 27;
  return (sim->state * UINT64_C(2685821657736338717) >> 16) % below;
}

static uint64_t draw_for_cluster(void *context, uint64_t below) { return draw(context, below); }

static size_t channel_index(struct bytes name) { return (size_t)(name.ptr[0] - 'a'); }

static struct bytes channel_name(size_t channel) {
  static const char names[] = "abcdefgh";
  return bytes_of(&names[channel], 1);
}

/* For a seed that fails: what happens, on standard error. */
static void trace(const struct sim *sim, const char *format, ...) {
  static int is_on = -1;
  if (is_on < 0) is_on = getenv("SIM_TRACE") != NULL;
  if (!is_on) return;
  va_list arguments;
  fprintf(stderr, "%llu ", (unsigned long long)(sim->cluster.now_ms % 1000000));
  va_start(arguments, format);
  vfprintf(stderr, format, arguments);
  va_end(arguments);
  fputc('\n', stderr);
}

static size_t op_of(struct bytes record) {
  uint64_t op = 0;
  assert_true(bytes_to_u64(record, &op));
  return (size_t)op;
}

/* ---- What a client receives ------------------------------------------------------------------- */

static bool listens(const struct client *client, const struct node *node, size_t channel) {
  return client->state == CLIENT_ATTACHED && client->node == node && !client->must_leave && (client->channels >> channel & 1);
}

static void receive(struct client *client, size_t channel, size_t op, uint64_t position) {
  if (client->has_cursor && position <= client->position)
    fail_msg("seed %llu: positions go back", (unsigned long long)client->sim->check.seed);
  client->has_cursor = true;
  client->epoch = client->node->epoch;
  client->position = position;
  trace(client->sim, "client %zu node %zu receives %zu:%zu at %llu epoch %u", client - client->sim->clients, client->node->index,
        channel, op, (unsigned long long)position, client->epoch);
  check_receive(&client->sim->check, &client->expected[channel], channel, op, position, client->epoch);
}

static void tell_gap(struct client *client, size_t channel, bool is_excused) {
  trace(client->sim, "client %zu node %zu gap %zu", client - client->sim->clients, client->node->index, channel);
  check_gap(&client->sim->check, &client->expected[channel], is_excused);
}

/* ---- What a node is told by its broker -------------------------------------------------------- */

static void ring_evict(struct ring *ring, size_t count) {
  if (count == 0) return;
  ring->evicted = ring->positions[count - 1];
  memmove(ring->positions, ring->positions + count, (ring->count - count) * sizeof ring->positions[0]);
  memmove(ring->ops, ring->ops + count, (ring->count - count) * sizeof ring->ops[0]);
  ring->count -= count;
}

static void on_deliver(void *context, struct bytes name, const struct broker_message *message) {
  struct node *node = context;
  struct sim *sim = node->sim;
  size_t channel = channel_index(name), op = op_of(message->record);
  struct ring *ring = &node->rings[channel];
  if (message->position == 0) return; /* may be lost, and has no order */
  trace(sim, "node %zu delivers %zu:%zu at %llu", node->index, channel, op, (unsigned long long)message->position);
  if (message->position <= node->position) fail_msg("seed %llu: a node goes back", (unsigned long long)sim->check.seed);
  if (histories[channel].size == 0) {
    ring->evicted = ring->gone = message->position;
  } else {
    if (ring->count == histories[channel].size) {
      ring_evict(ring, 1);
      ring->gone = ring->evicted;
    }

    ring->positions[ring->count] = message->position;
    ring->ops[ring->count++] = op;
    if (sim->faults & FAULT_EVICT && op % 2 == 0) ring_evict(ring, ring->count);
  }
  check_see(&sim->check, channel, op, message->position, node->index);
  for (size_t i = 0; i < SIM_CLIENTS; i++) {
    if (listens(&sim->clients[i], node, channel)) receive(&sim->clients[i], channel, op, message->position);
  }
}

/* Older messages, which end where those that are kept begin. */
static void restore_older(struct node *node, const struct broker_page *page) {
  size_t channel = channel_index(page->channel), count = page->count, room;
  struct ring *ring = &node->rings[channel];
  trace(node->sim, "node %zu restores %zu: %zu messages after %llu up to %llu", node->index, channel, count,
        (unsigned long long)page->after, (unsigned long long)page->until);
  assert_true(ring->is_known && page->after <= page->until && page->gone <= page->after);
  if (page->gone > ring->gone) ring->gone = page->gone;
  if (page->until < ring->evicted || page->after >= ring->evicted) return;
  while (count > 0 && page->messages[count - 1].position > ring->evicted) count--;
  ring->evicted = page->after;
  room = histories[channel].size - ring->count;
  if (count > room) ring->evicted = ring->gone = page->messages[count - room - 1].position;
  size_t added = count < room ? count : room;
  memmove(ring->positions + added, ring->positions, ring->count * sizeof ring->positions[0]);
  memmove(ring->ops + added, ring->ops, ring->count * sizeof ring->ops[0]);
  for (size_t i = 0; i < added; i++) {
    ring->positions[i] = page->messages[count - added + i].position;
    ring->ops[i] = op_of(page->messages[count - added + i].record);
  }
  ring->count += added;
  node->sim->fetched++;
}

static void on_restore(void *context, const struct broker_page *page) {
  struct node *node = context;
  struct ring *ring = &node->rings[channel_index(page->channel)];
  if (page->until < UINT64_MAX) {
    restore_older(node, page);
    return;
  }
  *ring = (struct ring){.is_known = true, .evicted = page->after, .gone = page->gone};
  trace(node->sim, "node %zu restores %zu: %zu messages after %llu, position %llu", node->index, channel_index(page->channel),
        page->count, (unsigned long long)page->after, (unsigned long long)node->position);
  size_t first = page->count > SIM_RING ? page->count - SIM_RING : 0;
  for (size_t i = first; i < page->count; i++) {
    assert_true(page->messages[i].position <= node->position);
    ring->positions[ring->count] = page->messages[i].position;
    ring->ops[ring->count++] = op_of(page->messages[i].record);
    check_see(&node->sim->check, channel_index(page->channel), op_of(page->messages[i].record), page->messages[i].position,
              node->index);
  }
}

static void on_gap(void *context, struct bytes name, uint64_t position) {
  struct node *node = context;
  size_t channel = channel_index(name);
  trace(node->sim, "node %zu gap %zu up to %llu", node->index, channel, (unsigned long long)position);
  struct ring *ring = &node->rings[channel];
  ring->count = 0;
  if (position > ring->evicted) ring->evicted = position;
  if (position > ring->gone) ring->gone = position;
  /* Redis keeps 50 messages of this channel, which is more than come while a connection is lost. */
  if (channel == 1 && node->sim->faults == FAULT_CUT)
    fail_msg("seed %llu: a gap where nothing is missing in Redis", (unsigned long long)node->sim->check.seed);
  for (size_t i = 0; i < SIM_CLIENTS; i++) {
    if (listens(&node->sim->clients[i], node, channel)) tell_gap(&node->sim->clients[i], channel, false);
  }
}

static void on_forget(void *context, struct bytes name) {
  struct node *node = context;
  sim_presence_forget(&node->sim->presences[node->index], channel_index(name));
  node->rings[channel_index(name)] = (struct ring){0};
}

static void on_disconnect(void *context, struct bytes name) {
  struct node *node = context;
  size_t channel = channel_index(name);
  node->rings[channel] = (struct ring){0};
  for (size_t i = 0; i < SIM_CLIENTS; i++) {
    struct client *client = &node->sim->clients[i];
    bool is_there = client->state >= CLIENT_REACHING;
    if (is_there && client->node == node && (client->channels >> channel & 1)) client->must_leave = true;
  }
}

static void on_reach(void *context, uint64_t position) {
  struct node *node = context;
  assert_true(position > node->position);
  node->position = position;
}

static void on_begin_epoch(void *context, const struct epoch *epoch, uint64_t position) {
  struct node *node = context;
  node->sim->presences[node->index].has_begun = true;
  node->epoch = check_epoch(&node->sim->check, epoch);
  trace(node->sim, "node %zu epoch %u position %llu", node->index, node->epoch, (unsigned long long)position);
  node->position = position;
  for (size_t i = 0; i < SIM_CHANNELS; i++)
    node->rings[i] = (struct ring){.is_known = true, .evicted = position, .gone = position};
  for (size_t i = 0; i < SIM_CLIENTS; i++) {
    if (node->sim->clients[i].node == node) node->sim->clients[i].must_leave = true;
  }
}

static void on_members(void *context, const struct broker_members *members) {
  struct node *node = context;
  size_t channel = channel_index(members->channel);
  trace(node->sim, "node %zu members of %zu: %s%zu: %.*s", node->index, channel, members->is_whole ? "all " : "", members->count,
        (int)members->changes.len, members->changes.ptr);
  sim_presence_take(&node->sim->presences[node->index], channel, members);
}

static void on_command(void *context, struct bytes command) {
  struct node *node = context;
  sim_command_hear(&node->sim->presences[node->index], command);
}

static void on_miss_commands(void *context) {
  struct node *node = context;
  node->sim->presences[node->index].has_missed = true;
}

static const struct broker_sink sink = {.deliver = on_deliver,
                                        .restore = on_restore,
                                        .gap = on_gap,
                                        .disconnect = on_disconnect,
                                        .forget = on_forget,
                                        .reach = on_reach,
                                        .begin_epoch = on_begin_epoch,
                                        .members = on_members,
                                        .command = on_command,
                                        .miss_commands = on_miss_commands};

/* ---- Clients ---------------------------------------------------------------------------------- */

static void end_interests(struct client *client) {
  for (size_t c = 0; c < SIM_CHANNELS; c++) {
    if (client->channels >> c & 1) broker_end_interest(client->node->broker, channel_name(c));
  }
}

static void leave_members(struct client *client) {
  for (size_t c = 0; c < SIM_CHANNELS; c++) {
    sim_member_leave(client->members[c]);
    client->members[c] = NULL;
  }
}

static void join_members(struct client *client) {
  struct sim *sim = client->sim;
  for (size_t c = 0; c < SIM_CHANNELS; c++) {
    bool is_member = (client->channels >> c & 1) && sim_roster(c) != BROKER_ROSTER_NONE;
    size_t user = (size_t)(client - sim->clients) % SIM_USERS;
    if (is_member) client->members[c] = sim_member_join(&sim->presences[client->node->index], c, user);
  }
}

static void leave(struct client *client) {
  leave_members(client);
  end_interests(client);
  trace(client->sim, "client %zu leaves", client - client->sim->clients);
  client->state = CLIENT_AWAY;
  client->node = NULL;
  client->must_leave = false;
}

/* Sends what the rings have after the client's cursor, by position over all channels. */
static void replay(struct client *client, uint64_t since) {
  struct node *node = client->node;
  for (;;) {
    size_t best = SIM_CHANNELS, at = 0;
    for (size_t c = 0; c < SIM_CHANNELS; c++) {
      if (!(client->channels >> c & 1)) continue;
      const struct ring *ring = &node->rings[c];
      size_t i = 0;
      while (i < ring->count && ring->positions[i] <= since) i++;
      if (i == ring->count) continue;
      if (best < SIM_CHANNELS && node->rings[best].positions[at] < ring->positions[i]) continue;
      best = c;
      at = i;
    }
    if (best == SIM_CHANNELS) return;
    since = node->rings[best].positions[at];
    receive(client, best, node->rings[best].ops[at], since);
  }
}

static void fetch(struct client *client, size_t channel);

/* Returns true if the client waits for messages that only Redis has. */
static bool must_fetch(struct client *client, uint64_t since) {
  if (!(client->sim->faults & FAULT_EVICT)) return false; /* seeds that failed must not change */
  for (size_t c = 0; c < SIM_CHANNELS; c++) {
    const struct ring *ring = &client->node->rings[c];
    if (!(client->channels >> c & 1) || ring->evicted <= since || ring->evicted <= ring->gone) continue;
    fetch(client, c);
    return true;
  }
  return false;
}

static void attach(struct client *client) {
  struct node *node = client->node;
  struct sim *sim = client->sim;
  trace(sim, "client %zu node %zu attaches, cursor %u %llu, node at %u %llu", client - sim->clients, node->index,
        client->has_cursor ? client->epoch : 0, (unsigned long long)client->position, node->epoch,
        (unsigned long long)node->position);
  bool is_new = !client->has_cursor, is_foreign = !is_new && (client->epoch != node->epoch || client->position > node->position);
  if (!is_new && !is_foreign && must_fetch(client, client->position)) return;
  client->state = CLIENT_ATTACHED;
  uint64_t since = is_new || is_foreign ? node->position : client->position;
  for (size_t c = 0; c < SIM_CHANNELS; c++) {
    if (!(client->channels >> c & 1)) continue;
    if (!node->rings[c].is_known) fail_msg("seed %llu: a client joined before its history", (unsigned long long)sim->check.seed);
    if (is_new) check_begin(&sim->check, &client->expected[c], c, node->epoch, node->position);
    if (is_foreign) {
      tell_gap(client, c, true);
    } else if (!is_new && since < node->rings[c].evicted) {
      tell_gap(client, c, false);
    }
  }
  if (client->epoch != node->epoch) client->position = 0;
  if (!is_new && !is_foreign) replay(client, since);
  client->has_cursor = true;
  client->epoch = node->epoch;
  client->position = node->position;
  join_members(client);
}

static void on_reached(void *context, int status) {
  struct call *call = context;
  struct client *client = call->client;
  bool is_of_now = client->life == call->life && client->state == CLIENT_REACHING;
  free(call);
  if (!is_of_now) return;
  if (client->must_leave || status < 0) { /* it is refused, and tries again */
    leave(client);
  } else {
    attach(client);
  }
}

static struct call *call_new(struct client *client);

static void on_fetched(void *context, int status) {
  struct call *call = context;
  struct client *client = call->client;
  bool is_of_now = client->life == call->life && client->state == CLIENT_FETCHING;
  free(call);
  if (!is_of_now) return;
  if (client->must_leave || status < 0) {
    leave(client);
  } else {
    attach(client);
  }
}

static void fetch(struct client *client, size_t channel) {
  struct call *call = call_new(client);
  client->state = CLIENT_FETCHING;
  int status = broker_page(client->node->broker, channel_name(channel), client->node->rings[channel].evicted, on_fetched, call);
  if (status != MW_PENDING) on_fetched(call, status);
}

static struct call *call_new(struct client *client) {
  struct call *call = calloc(1, sizeof *call);
  *call = (struct call){.client = client, .node = client->node, .life = client->life};
  return call;
}

static void reach(struct client *client) {
  uint64_t position = client->has_cursor ? client->position : 0;
  bool is_foreign = client->has_cursor && client->epoch != client->node->epoch;
  struct call *call = call_new(client);
  client->state = CLIENT_REACHING;
  int status = broker_reach(client->node->broker, is_foreign ? UINT64_MAX : position, on_reached, call);
  if (status != MW_PENDING) on_reached(call, status);
}

static void on_joined(void *context, int status) {
  struct call *call = context;
  struct client *client = call->client;
  bool is_of_now = client->life == call->life && client->state == CLIENT_JOINING;
  free(call);
  if (!is_of_now) return;
  if (status < 0) {
    client->state = CLIENT_AWAY;
    client->node = NULL;
    client->must_leave = false;
  } else if (client->must_leave) {
    leave(client);
  } else {
    reach(client);
  }
}

static void join(struct client *client, struct node *node) {
  struct broker_interest interests[SIM_CHANNELS];
  size_t count = 0;
  for (size_t c = 0; c < SIM_CHANNELS; c++) {
    if (client->channels >> c & 1) interests[count++] = (struct broker_interest){channel_name(c), histories[c], sim_roster(c)};
  }
  client->node = node;
  client->state = CLIENT_JOINING;
  client->must_leave = false;
  struct call *call = call_new(client);
  int status = broker_interest(node->broker, interests, count, on_joined, call);
  if (status != MW_PENDING) on_joined(call, status);
}

static void client_step(struct sim *sim) {
  struct client *client = &sim->clients[draw(sim, SIM_CLIENTS)];
  if (client->node && is_stopped(client->node)) return;
  if (client->state == CLIENT_ATTACHED && (client->must_leave || draw(sim, 4) == 0)) {
    leave(client);
  } else if (client->state == CLIENT_AWAY) {
    struct node *node = &sim->nodes[draw(sim, ALL_NODES)];
    if (draw(sim, 50) == 0) client->has_cursor = false; /* somebody else */
    if (node->broker && !is_stopped(node)) join(client, node);
  }
}

/* ---- Publishing ------------------------------------------------------------------------------- */

static void on_published(void *context, int status, const struct epoch *epoch, uint64_t position) {
  struct call *call = context;
  struct sim *sim = call->node->sim;
  sim->pending--;
  trace(sim, "node %zu published %zu:%zu: %d at %llu", call->node->index, call->channel, call->op, status,
        (unsigned long long)position);
  if (status == 0) {
    unsigned number = check_epoch(&sim->check, epoch);
    bool was_quick = sim->cluster.now_ms - call->begun_ms < 5000;
    if (call->node->broker) check_see(&sim->check, call->channel, call->op, position, call->node->index);
    for (size_t i = 0; i < SIM_CLIENTS && was_quick; i++) {
      const struct client *client = &sim->clients[i];
      bool has_gap = client->expected[call->channel].has_gap;
      if (!has_gap && listens(client, call->node, call->channel) && client->epoch == number && client->position < position)
        fail_msg("seed %llu: message %zu was acknowledged before it was delivered", (unsigned long long)sim->check.seed,
                 call->op);
    }
  }
  free(call);
}

static void publish(struct sim *sim) {
  struct node *node = &sim->nodes[draw(sim, ALL_NODES)];
  if (!node->broker || is_stopped(node)) return;
  struct call *call = calloc(1, sizeof *call);
  char record[24];
  *call = (struct call){.node = node, .op = sim->op_count++, .channel = draw(sim, SIM_CHANNELS), .begun_ms = sim->cluster.now_ms};
  int len = snprintf(record, sizeof record, "%zu", call->op);
  struct bytes text = bytes_of(record, (size_t)len), name = channel_name(call->channel);
  if (draw(sim, 10) == 0) {
    (void)broker_publish_volatile(node->broker, name, text);
    free(call);
    return;
  }
  struct broker_publish parts = {
      .channel = name, .record = text, .history = histories[call->channel], .on_done = on_published, .context = call};
  sim->pending++;
  if (broker_publish(node->broker, &parts) == 0) return;
  sim->pending--;
  free(call);
}

/* Redis publishes a message: it is ordered. */
static void on_commit(void *context, struct bytes name, struct bytes payload) {
  struct sim *sim = context;
  struct push_message message;
  struct epoch epoch;
  if (!bytes_starts_with(name, BYTES("{mw}:m:"))) return;
  struct push_presence presence;
  if (push_is_presence(payload)) {
    assert_true(push_read_presence(payload, &presence));
    size_t most = sim_members_max(channel_index(bytes_of(name.ptr + 7, 1)));
    bool is_exact = !(sim->faults & ~(unsigned)(FAULT_CUT | FAULT_FULL | FAULT_TRIM | FAULT_MEMORY));
    if (is_exact && most > 0 && presence.count > most)
      fail_msg("seed %llu: too many members", (unsigned long long)sim->check.seed);
    return;
  }
  assert_true(push_read_message(payload, &epoch, &message));
  if (message.position == 0) return;
  size_t channel = channel_index(bytes_of(name.ptr + 7, 1)), op = op_of(message.record);
  trace(sim, "commit %zu:%zu at %llu before %llu", channel, op, (unsigned long long)message.position,
        (unsigned long long)message.before);
  check_commit(&sim->check, channel, op, message.position, check_epoch(&sim->check, &epoch));
}

/* ---- Nodes ------------------------------------------------------------------------------------ */

static void node_begin(struct sim *sim, size_t index) {
  struct node *node = &sim->nodes[index];
  model_link_reset(&sim->cluster, index);
  *node = (struct node){.sim = sim, .index = index};
  int len = snprintf(node->name, sizeof node->name, "node%u", ++sim->node_count);
  struct broker_options options = {.prefix = BYTES("mw"),
                                   .node = bytes_of(node->name, (size_t)len),
                                   .publish_ms = 5000,
                                   .linger_ms = 1000,
                                   .bell_ms = 1000,
                                   .silence_ms = 5000,
                                   .expiry_ms = 10000,
                                   .recover_ms = 2000,
                                   .gather_ms = 100,
                                   .mark_ttl_s = MARK_TTL_S,
                                   .held_max = draw(sim, 4) == 0 ? 4000 : 1 << 20,
                                   .waiting_max = 10000};
  memory_fail_after(0);
  node->broker = broker_new(&options, &sim->cluster.links[index].link, &sink, node, sim->cluster.now_ms);
  assert_non_null(node->broker);
  sim_presence_begin(&sim->presences[index], node->broker, sim->check.seed);
}

static void node_die(struct sim *sim, size_t index) {
  struct node *node = &sim->nodes[index];
  if (!node->broker) return;
  for (size_t i = 0; i < SIM_CLIENTS; i++) {
    struct client *client = &sim->clients[i];
    if (client->node != node) continue;
    leave_members(client);
    client->life++;
    client->state = CLIENT_AWAY;
    client->node = NULL;
    client->must_leave = false;
  }
  struct broker *broker = node->broker;
  node->broker = NULL;
  sim_presence_end(&sim->presences[index]);
  broker_stop(broker);
  model_link_reset(&sim->cluster, index);
  broker_free(broker);
  check_node_dies(&sim->check, index);
}

/* ---- Faults ----------------------------------------------------------------------------------- */

static void lose(struct sim *sim, size_t transactions) {
  struct bytes query[] = {BYTES("HGET"), BYTES("{mw}:h"), BYTES("epoch")};
  struct epoch epoch;
  model_cluster_restart(&sim->cluster);
  redis_model_fail_over(sim->cluster.redis, transactions);
  struct resp_value *reply = redis_model_command(sim->cluster.redis, sim->cluster.now_ms, query, 3);
  bool has_epoch = epoch_read(&epoch, resp_text(reply));
  resp_value_free(reply);
  check_lose(&sim->check, has_epoch ? check_epoch(&sim->check, &epoch) : 0, redis_model_position(sim->cluster.redis, "{mw}:h"));
}

static void flush(struct sim *sim) {
  struct bytes command[] = {BYTES("FLUSHALL")};
  resp_value_free(redis_model_command(sim->cluster.redis, sim->cluster.now_ms, command, 1));
}

static void fault(struct sim *sim) {
  unsigned one = 1u << draw(sim, sim->faults >= FAULT_MEMORY ? 11 : 10);
  size_t index = draw(sim, ALL_NODES);
  if (!(sim->faults & one)) return;
  trace(sim, "fault %u of %zu", one, index);
  struct model_link *link = &sim->cluster.links[index];
  switch ((enum sim_fault)one) {
    case FAULT_CUT: model_link_cut(link, draw(sim, 2) ? LINK_COMMANDS : LINK_PUSHES); break;
    case FAULT_RESTART: model_cluster_restart(&sim->cluster); break;
    case FAULT_PAUSE: sim->down_until_ms = sim->cluster.now_ms + draw(sim, 8000); break;
    case FAULT_KILL:
      if (draw(sim, 3) == 0) node_die(sim, index);
      break;
    case FAULT_FULL: sim->full_until_ms = sim->cluster.now_ms + draw(sim, 2000); break;
    case FAULT_TRIM: redis_model_drop(sim->cluster.redis, draw(sim, 2) ? "{mw}:s:a" : "{mw}:s:b"); break;
    case FAULT_CLOCK: sim->cluster.skew_ms = -(int64_t)draw(sim, 10000); break;
    case FAULT_FAIL_OVER: lose(sim, draw(sim, 4)); break;
    case FAULT_FLUSH:
      if (draw(sim, 4) == 0) flush(sim);
      break;
    case FAULT_MEMORY: memory_fail_after(1 + draw(sim, 20)); break;
    case FAULT_EVICT: break; /* always */
    case FAULT_STOP: sim->nodes[index].stopped_until_ms = sim->cluster.now_ms + draw(sim, 20000); break;
  }
}

/* ---- Steps ------------------------------------------------------------------------------------ */

static void pass_time(struct sim *sim, uint64_t ms) {
  sim->cluster.now_ms += ms;
  sim->cluster.is_up = sim->down_until_ms <= sim->cluster.now_ms;
  redis_model_fill(sim->cluster.redis, sim->full_until_ms > sim->cluster.now_ms);
  for (size_t i = 0; i < ALL_NODES; i++) {
    struct node *node = &sim->nodes[i];
    if (node->broker && !is_stopped(node)) broker_tick(node->broker, sim->cluster.now_ms);
  }
}

static void step(struct sim *sim) {
  size_t index = draw(sim, ALL_NODES), what = draw(sim, 1000);
  enum link_end end = draw(sim, 2) ? LINK_COMMANDS : LINK_PUSHES;
  struct model_link *link = &sim->cluster.links[index];
  struct node *node = &sim->nodes[index];
  if (what < 350) {
    model_link_serve(link, end);
  } else if (what < 800) {
    if (node->broker && !is_stopped(node)) model_link_arrive(link, end);
  } else if (what < 830) {
    if (node->broker && !is_stopped(node)) model_link_open(link, end);
  } else if (what < 890) {
    pass_time(sim, 1 + draw(sim, 30));
  } else if (what < 893) {
    pass_time(sim, 1 + draw(sim, 1500));
  } else if (what < 945) {
    publish(sim);
  } else if (what < 990) {
    client_step(sim);
  } else if (what < 994) {
    fault(sim);
  } else if (!node->broker) {
    node_begin(sim, index);
  } else if (!is_stopped(node) && what < 997) {
    sim_command_send(&sim->commands, sim->presences, ALL_NODES, index);
  } else if (!is_stopped(node)) {
    sim_lease(&sim->commands, &sim->presences[index],
              !(sim->faults & (FAULT_FAIL_OVER | FAULT_FLUSH | FAULT_CLOCK | FAULT_STOP)));
  }
}

/* No more faults: everything must arrive. */
static void settle(struct sim *sim, size_t rounds) {
  sim->down_until_ms = sim->full_until_ms = 0;
  memory_fail_after(0);
  for (size_t i = 0; i < ALL_NODES; i++) {
    if (!sim->nodes[i].broker) node_begin(sim, i);
    sim->nodes[i].stopped_until_ms = 0;
  }
  for (size_t round = 0; round < rounds; round++) {
    pass_time(sim, 20);
    for (size_t i = 0; i < ALL_NODES; i++) {
      for (size_t end = 0; end < 2; end++) {
        struct model_link *link = &sim->cluster.links[i];
        model_link_open(link, (enum link_end)end);
        while (model_link_serve(link, (enum link_end)end)) {
        }
        while (model_link_arrive(link, (enum link_end)end)) {
        }
      }
    }
    for (size_t i = 0; i < SIM_CLIENTS; i++) {
      struct client *client = &sim->clients[i];
      if (client->state == CLIENT_ATTACHED && client->must_leave) leave(client);
      if (client->state == CLIENT_AWAY && !client->is_gone) join(client, &sim->nodes[i % ALL_NODES]);
    }
  }
}

static void check_members(const struct sim *sim) {
  bool is_followed[ALL_NODES * SIM_CHANNELS] = {false};
  for (size_t i = 0; i < SIM_CLIENTS; i++) {
    const struct client *client = &sim->clients[i];
    for (size_t c = 0; c < SIM_CHANNELS && client->node; c++)
      if (client->channels >> c & 1) is_followed[client->node->index * SIM_CHANNELS + c] = true;
  }
  sim_presence_check(sim->presences, ALL_NODES, is_followed);
}

static void check_all(struct sim *sim) {
  unsigned long long seed = sim->check.seed;
  if (sim->pending > 0) fail_msg("seed %llu: %zu publishes are not done", seed, sim->pending);
  for (size_t i = 0; i < ALL_NODES; i++) {
    if (broker_state(sim->nodes[i].broker) != BROKER_UP) fail_msg("seed %llu: node %zu is not up", seed, i);
  }
  check_members(sim);
  if (!sim->check.may_lose) sim_command_check(&sim->commands, sim->presences, ALL_NODES);
  for (size_t i = 0; i < SIM_CLIENTS; i++) {
    struct client *client = &sim->clients[i];
    if (client->state != CLIENT_ATTACHED) fail_msg("seed %llu: client %zu is not attached", seed, i);
    for (size_t c = 0; c < SIM_CHANNELS; c++) {
      if (client->channels >> c & 1) check_end(&sim->check, &client->expected[c], c);
    }
  }
}

void simulate(uint64_t seed, size_t steps, unsigned faults) {
  struct sim *sim = calloc(1, sizeof *sim);
  assert_non_null(sim);
  sim->state = seed * UINT64_C(0x9E3779B97F4A7C15) + 1;
  sim->faults = faults;
  sim->check.seed = seed;
  sim->check.may_lose = faults & (FAULT_FAIL_OVER | FAULT_FLUSH);
  sim->cluster.random = draw_for_cluster;
  sim->cluster.on_publish = on_commit;
  sim->cluster.context = sim;
  sim->commands.now_ms = &sim->cluster.now_ms;
  model_cluster_init(&sim->cluster, 1790000000000);
  for (size_t i = 0; i < ALL_NODES; i++) node_begin(sim, i);
  for (size_t i = 0; i < SIM_CLIENTS; i++) sim->clients[i] = (struct client){.sim = sim, .channels = 1 + (unsigned)draw(sim, 15)};
  for (size_t i = 0; i < steps; i++) step(sim);
  settle(sim, 1500);
  for (size_t i = 0; i < 40; i++) publish(sim);
  settle(sim, 400);
  check_all(sim);
  for (size_t i = 0; i < SIM_CLIENTS; i++) {
    sim->clients[i].is_gone = i % SIM_USERS < 2;
    if (sim->clients[i].is_gone) leave(&sim->clients[i]);
  }
  settle(sim, 400);
  check_members(sim);
  if (!sim->check.may_lose && sim->check.false_gaps > 0)
    fail_msg("seed %llu: %zu gaps in which nothing was missed", (unsigned long long)seed, sim->check.false_gaps);
  trace(sim, "fetched %zu pages", sim->fetched);
  for (size_t i = 0; i < ALL_NODES; i++) node_die(sim, i);
  model_cluster_deinit(&sim->cluster);
  for (size_t i = 0; i < SIM_CHANNELS; i++) free(sim->check.logs[i].entries);
  free(sim);
}
