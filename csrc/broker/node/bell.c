/* The heartbeat of a node; what is done for nodes that are dead; and how this one ends. */
#include "broker/node/arguments.h"
#include "broker/node/leases.h"
#include "broker/node/node.h"

enum { REAP_CHANNELS = 100 };

static const struct bytes none = {NULL, 0};

static void on_bell(struct link_command *command, const struct resp_value *reply) {
  struct broker *broker = container_of(command, struct broker, bell);
  broker->bell_is_sent = false;
  broker->answer_due_ms = 0;
  bool is_wanted = broker->bell_wanted > broker->bell_number;
  broker->bell_due_ms = is_wanted ? broker->now_ms : broker->now_ms + broker->options.bell_ms;
  enum answer answer = node_answer(broker, reply);
  if (answer == ANSWER_OK) refusal_end(broker);
  if (answer == ANSWER_OK) (void)node_is_heard(broker, reply);
  if (answer != ANSWER_OK) broker->push_due_ms = 0; /* nothing was published */
  if (answer != ANSWER_OK || !resp_u64(resp_item(reply, 2), &broker->dead_count)) broker->dead_count = 0;
  broker->on_event_end(broker);
}

/* Appends the key of kind "", which is the prefix of all keys. */
static void add_prefix(struct arguments *arguments, const struct broker *broker) {
  node_key(broker, &arguments->texts, "", none);
  arguments_end_one(arguments);
}

static void ring_bell(struct broker *broker) {
  struct arguments arguments;
  arguments_init(&arguments);
  arguments_add_key(&arguments, broker, "h", none);
  arguments_add_key(&arguments, broker, "n", broker->options.node);
  arguments_add_key(&arguments, broker, "nodes", none);
  arguments_add_key(&arguments, broker, "dead", none);
  arguments_end_keys(&arguments);
  arguments_add(&arguments, run_bytes(&broker->run));
  arguments_add(&arguments, broker->options.node);
  arguments_add_u64(&arguments, broker->generation);
  arguments_add(&arguments, bytes_of(broker->own, broker->own_len));
  arguments_add_u64(&arguments, broker->options.expiry_ms);
  add_prefix(&arguments, broker);
  arguments_add_u64(&arguments, broker->bell_number + 1);
  if (arguments_run(&arguments, broker, SCRIPT_BELL, &broker->bell) < 0) return;
  broker->answer_due_ms = broker->now_ms + broker->options.silence_ms;
  broker->bell_is_sent = true;
  broker->bell_number++;
  if (broker->push_due_ms == 0) broker->push_due_ms = broker->now_ms + broker->options.silence_ms;
}

static void on_reaped(struct link_command *command, const struct resp_value *reply) {
  struct broker *broker = container_of(command, struct broker, reap);
  broker->reap_is_sent = false;
  enum answer answer = node_answer(broker, reply);
  if (answer != ANSWER_OK || !resp_u64(resp_item(reply, 1), &broker->dead_count)) broker->dead_count = 0; /* with the next bell */
  broker->on_event_end(broker);
}

static void reap(struct broker *broker) {
  struct arguments arguments;
  arguments_init(&arguments);
  arguments_add_key(&arguments, broker, "h", none);
  arguments_add_key(&arguments, broker, "dead", none);
  arguments_end_keys(&arguments);
  arguments_add(&arguments, run_bytes(&broker->run));
  add_prefix(&arguments, broker);
  node_key(broker, &arguments.texts, "m", none);
  buffer_append_char(&arguments.texts, ':');
  arguments_end_one(&arguments);
  arguments_add_u64(&arguments, REAP_CHANNELS);
  arguments_add_u64(&arguments, broker->options.mark_ttl_s);
  if (arguments_run(&arguments, broker, SCRIPT_REAP, &broker->reap) == 0) broker->reap_is_sent = true;
}

static void on_goodbye(struct link_command *command, const struct resp_value *reply) {
  struct broker *broker = container_of(command, struct broker, goodbye);
  (void)reply;
  broker->on_goodbye(broker->goodbye_context);
}

void bell_init(struct broker *broker) {
  broker->bell.on_reply = on_bell;
  broker->reap.on_reply = on_reaped;
  broker->goodbye.on_reply = on_goodbye;
}

void bell_step(struct broker *broker) {
  if (!node_is_up(broker)) return;
  if (broker->own_is_subscribed && !broker->bell_is_sent && broker->bell_due_ms <= broker->now_ms) ring_bell(broker);
  if (broker->dead_count > 0 && !broker->reap_is_sent) reap(broker);
}

int broker_say_goodbye(struct broker *broker, void (*on_done)(void *context), void *context) {
  struct arguments arguments;
  if (!node_is_up(broker)) return MW_EUNAVAILABLE;
  arguments_init(&arguments);
  arguments_add_key(&arguments, broker, "h", none);
  arguments_add_key(&arguments, broker, "n", broker->options.node);
  arguments_add_key(&arguments, broker, "nodes", none);
  arguments_add_key(&arguments, broker, "dead", none);
  arguments_add_key(&arguments, broker, "no", broker->options.node);
  leases_add_keys(&arguments, broker);
  arguments_end_keys(&arguments);
  arguments_add(&arguments, run_bytes(&broker->run));
  arguments_add(&arguments, broker->options.node);
  arguments_add_u64(&arguments, broker->generation);
  leases_add_holders(&arguments, broker);
  broker->on_goodbye = on_done;
  broker->goodbye_context = context;
  int status = arguments_run(&arguments, broker, SCRIPT_GOODBYE, &broker->goodbye);
  if (status == 0) broker->is_leaving = true;
  return status == MW_ECLOSED ? MW_EUNAVAILABLE : status;
}
