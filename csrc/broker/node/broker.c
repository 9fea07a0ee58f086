/* The states of a node. */
#include "broker/broker.h"

#include "base/log_limit.h"
#include "broker/node/arguments.h"
#include "broker/node/leases.h"
#include "broker/node/node.h"

enum { HELLO_AGAIN_MS = 100 };

/* ---- Hello ------------------------------------------------------------------------------------ */

static void take_epoch(struct broker *broker, const struct epoch *epoch, uint64_t position) {
  bool is_first = broker->run.len == 0;
  broker->epoch = *epoch;
  broker->position = position;
  broker->seen = 0;
  if (!is_first) log_line(MW_LOG_WARNING, "redis has lost messages: a new epoch begins, and every client receives a gap");
  publishing_complete_all(broker);
  publishing_give_up(broker);
  channels_forget_history(broker);
  broker->sink->begin_epoch(broker->context, epoch, position);
}

static bool take_welcome(struct broker *broker, const struct resp_value *reply) {
  struct epoch epoch;
  uint64_t position, is_known, ordinal;
  if (!epoch_read(&epoch, resp_text(resp_item(reply, 1))) || !resp_u64(resp_item(reply, 2), &position)) return false;
  if (!resp_u64(resp_item(reply, 3), &is_known) || position > POSITION_MAX) return false;
  if (!resp_u64(resp_item(reply, 4), &ordinal)) return false;
  bool is_other = !is_known || !run_equal(&broker->run, &broker->ends[LINK_COMMANDS].run);
  if (broker->run.len == 0 || memcmp(&epoch, &broker->epoch, sizeof epoch) != 0) take_epoch(broker, &epoch, position);
  if (!is_known) publishing_give_up(broker);
  if (is_other) members_recount(broker);
  if (is_other) control_give_up(broker);
  control_begin(broker, position);
  broker->epoch_ordinal = ordinal;
  broker->run = broker->ends[LINK_COMMANDS].run;
  broker->is_welcome = true;
  broker->doubts = false;
  return true;
}

static void on_welcome(struct link_command *command, const struct resp_value *reply) {
  struct broker *broker = container_of(command, struct broker, hello);
  broker->hello_is_sent = false;
  broker->answer_due_ms = 0;
  broker->hello_due_ms = broker->now_ms + HELLO_AGAIN_MS;
  enum answer answer = node_answer(broker, reply);
  if (answer == ANSWER_OK && !take_welcome(broker, reply)) answer = ANSWER_FAILED;
  if (answer == ANSWER_OK) refusal_end(broker);
  if (answer == ANSWER_FAILED && broker->refusal < 0)
    broker->hello_due_ms = broker->now_ms + RETRY_MS; /* another connection would be refused, too */
  else if (answer == ANSWER_FAILED)
    broker->link->class->reset(broker->link, LINK_COMMANDS, "redis did not answer hello");
  broker->on_event_end(broker);
}

static void say_hello(struct broker *broker) {
  struct bytes none = bytes_of(NULL, 0), known_epoch = none;
  struct arguments arguments;
  struct epoch drawn;
  epoch_init(&drawn);
  if (broker->run.len > 0) known_epoch = bytes_of(broker->epoch.text, EPOCH_LEN);
  arguments_init(&arguments);
  arguments_add_key(&arguments, broker, "h", none);
  arguments_add_key(&arguments, broker, "n", broker->options.node);
  arguments_add_key(&arguments, broker, "nodes", none);
  arguments_add_key(&arguments, broker, "tops", none);
  arguments_end_keys(&arguments);
  arguments_add(&arguments, run_bytes(&broker->ends[LINK_COMMANDS].run));
  arguments_add(&arguments, broker->options.node);
  arguments_add_u64(&arguments, broker->generation);
  arguments_add(&arguments, run_bytes(&broker->run));
  arguments_add(&arguments, known_epoch);
  arguments_add_u64(&arguments, broker->seen);
  arguments_add_u64(&arguments, broker->position);
  arguments_add(&arguments, bytes_of(drawn.text, EPOCH_LEN));
  arguments_add_u64(&arguments, broker->options.recover_ms);
  arguments_add_u64(&arguments, broker->options.expiry_ms);
  arguments_add_u64(&arguments, broker->epoch_ordinal);
  if (arguments_run(&arguments, broker, SCRIPT_HELLO, &broker->hello) < 0) return;
  broker->hello_is_sent = true;
  broker->answer_due_ms = broker->now_ms + broker->options.silence_ms;
}

/* ---- Steps ------------------------------------------------------------------------------------ */

static void subscribe_own(struct broker *broker) {
  if (broker->own_is_asked || !broker->ends[LINK_PUSHES].is_open) return;
  struct bytes names[] = {bytes_of(broker->own, broker->own_len), bytes_of(broker->all, broker->all_len)};
  broker->own_is_asked = broker->link->class->subscribe(broker->link, names, 2) == 0;
  if (broker->own_is_asked) broker->push_due_ms = broker->now_ms + broker->options.silence_ms;
}

/* Does what the state allows. */
static void step(struct broker *broker) {
  if (broker->is_stopped || broker->is_leaving) return;
  subscribe_own(broker);
  bool may_ask = node_is_connected(broker) && !broker->hello_is_sent;
  if (may_ask && (!broker->is_welcome || broker->doubts) && broker->hello_due_ms <= broker->now_ms) say_hello(broker);
  bell_step(broker);
  channels_step(broker);
  rosters_step(broker);
  members_step(broker);
  control_step(broker);
  publishing_step(broker);
}

static void on_event_end(struct broker *broker) {
  step(broker);
  publishing_settle(broker);
  waits_settle(broker);
  members_settle(broker);
  control_settle(broker);
}

void broker_tick(struct broker *broker, uint64_t now_ms) {
  const struct link_class *class = broker->link->class;
  broker->now_ms = now_ms;
  if (broker->answer_due_ms > 0 && broker->answer_due_ms <= now_ms) {
    broker->answer_due_ms = 0;
    class->reset(broker->link, LINK_COMMANDS, "redis does not answer");
  }
  if (broker->push_due_ms > 0 && broker->push_due_ms <= now_ms) {
    broker->push_due_ms = 0;
    class->reset(broker->link, LINK_PUSHES, "redis does not publish");
  }
  publishing_expire(broker);
  waits_expire(broker, false, node_outage(broker));
  older_expire(broker, false, node_outage(broker));
  channels_expire(broker);
  members_expire(broker);
  control_expire(broker);
  on_event_end(broker);
}

/* ---- What the link says ----------------------------------------------------------------------- */

static void on_open(void *context, enum link_end end, struct bytes run_id) {
  struct broker *broker = context;
  struct node_end *at = &broker->ends[end];
  const struct node_end *other = &broker->ends[1 - end];
  at->is_open = true;
  at->run.len = run_id.len < RUN_MAX ? run_id.len : RUN_MAX;
  memcpy(at->run.text, run_id.ptr, at->run.len);
  if (end == LINK_COMMANDS) node_fence(broker);
  if (other->is_open && !run_equal(&at->run, &other->run)) {
    /* One of them is at a Redis that is not the primary any more. */
    broker->link->class->reset(broker->link, LINK_COMMANDS, "the two connections lead to different servers");
    broker->link->class->reset(broker->link, LINK_PUSHES, "the two connections lead to different servers");
  }
  on_event_end(broker);
}

static void on_lost(void *context, enum link_end end, const char *problem) {
  struct broker *broker = context;
  broker->ends[end].is_open = false;
  log_limited(MW_LOG_WARNING, "lost the connection to redis for %s: %s", end == LINK_COMMANDS ? "commands" : "pub/sub", problem);
  if (end == LINK_COMMANDS) {
    node_fence(broker);
    broker->answer_due_ms = 0;
  } else {
    broker->own_is_asked = broker->own_is_subscribed = broker->control.is_subscribed = false;
    broker->push_due_ms = 0;
    channels_on_deaf(broker);
  }
  on_event_end(broker);
}

static void on_failed(void *context, enum link_end end, struct bytes error) {
  (void)end;
  refusal_note_attempt(context, error);
}

/* Returns what follows "{prefix}:m:" in the name of a channel in Redis. */
static bool channel_of(const struct broker *broker, struct bytes text, struct bytes *name) {
  size_t len = broker->options.prefix.len + 5;
  if (text.len < len || memcmp(text.ptr + len - 4, "}:m:", 4) != 0) return false;
  *name = bytes_of(text.ptr + len, text.len - len);
  return true;
}

/* Commands to all nodes have arrived. */
static bool is_for_all(const struct broker *broker, struct bytes text) {
  return bytes_equal(text, bytes_of(broker->all, broker->all_len));
}

static bool is_own(const struct broker *broker, struct bytes text) {
  return bytes_equal(text, bytes_of(broker->own, broker->own_len));
}

static void on_subscribed(void *context, struct bytes channel) {
  struct broker *broker = context;
  struct bytes name;
  if (is_own(broker, channel)) {
    broker->own_is_subscribed = true;
    broker->push_due_ms = 0;
  } else if (is_for_all(broker, channel)) {
    broker->control.is_subscribed = broker->control.must_read = true;
  } else if (channel_of(broker, channel, &name)) {
    channels_on_subscribed(broker, name);
  }
  on_event_end(broker);
}

static void on_message(void *context, struct bytes channel, struct bytes payload) {
  struct broker *broker = context;
  struct bytes name;
  if (is_own(broker, channel)) {
    pages_on_page(broker, payload);
  } else if (is_for_all(broker, channel)) {
    broker->control.must_read = true;
  } else if (channel_of(broker, channel, &name)) {
    channels_on_message(broker, name, payload);
  }
  on_event_end(broker);
}

static const struct link_events events = {
    .on_open = on_open, .on_lost = on_lost, .on_failed = on_failed, .on_subscribed = on_subscribed, .on_message = on_message};

/* ---- Life ------------------------------------------------------------------------------------- */

/* Makes the name of a channel of pub/sub that is for nodes. */
static bool keep_channel(const struct broker *broker, const char *kind, struct bytes name, char *text, size_t *len) {
  struct buffer made;
  buffer_init(&made);
  node_key(broker, &made, kind, name);
  bool fits = !made.failed && made.len <= NODE_CHANNEL_MAX;
  if (fits) memcpy(text, made.data, made.len);
  *len = made.len;
  buffer_deinit(&made);
  return fits;
}

/* Copies the texts of the options. */
static bool copy_options(struct broker *broker, const struct broker_options *options) {
  broker->options = *options;
  buffer_init(&broker->texts);
  buffer_append(&broker->texts, options->prefix);
  buffer_append(&broker->texts, options->node);
  if (broker->texts.failed) return false;
  broker->options.prefix = bytes_of(broker->texts.data, options->prefix.len);
  broker->options.node = bytes_of(broker->texts.data + options->prefix.len, options->node.len);
  return keep_channel(broker, "b", options->node, broker->own, &broker->own_len) &&
         keep_channel(broker, "x", bytes_of(NULL, 0), broker->all, &broker->all_len);
}

struct broker *broker_new(const struct broker_options *options, struct link *link, const struct broker_sink *sink, void *context,
                          uint64_t now_ms) {
  struct broker *broker = memory_calloc(1, sizeof *broker);
  if (!broker) return NULL;
  if (!copy_options(broker, options)) {
    buffer_deinit(&broker->texts);
    memory_free(broker);
    return NULL;
  }
  broker->link = link;
  broker->sink = sink;
  broker->context = context;
  broker->now_ms = now_ms;
  broker->generation = 1;
  broker->on_event_end = on_event_end;
  broker->hello.on_reply = on_welcome;
  list_init(&broker->leases);
  bell_init(broker);
  channels_init(broker);
  rosters_init(&broker->rosters);
  members_init(broker);
  control_init(broker);
  publishing_init(&broker->publishing);
  list_init(&broker->waits);
  list_init(&broker->reaching);
  list_init(&broker->ended_waits);
  link->events = &events;
  link->context = broker;
  return broker;
}

void broker_stop(struct broker *broker) {
  if (broker->is_stopped) return;
  broker->is_stopped = true;
  publishing_stop(broker);
  waits_expire(broker, true, MW_ECLOSED);
  older_expire(broker, true, MW_ECLOSED);
  waits_settle(broker);
  members_stop(broker);
  control_stop(broker);
}

void broker_free(struct broker *broker) {
  if (!broker) return;
  broker_stop(broker);
  held_clear(broker);
  pages_drop_requests(broker);
  channels_deinit(broker);
  members_deinit(broker);
  leases_free(broker);
  buffer_deinit(&broker->texts);
  memory_free(broker);
}

enum broker_state broker_state(const struct broker *broker) {
  if (!node_is_connected(broker)) return BROKER_CONNECTING;
  if (!broker->is_welcome) return BROKER_FENCED;
  return broker->is_holding || !broker->own_is_subscribed ? BROKER_JOINING : BROKER_UP;
}

uint64_t broker_position(const struct broker *broker) { return broker->position; }
