#include "broker/node/node.h"

size_t node_key(const struct broker *broker, struct buffer *out, const char *kind, struct bytes name) {
  size_t begin = out->len;
  buffer_append_char(out, '{');
  buffer_append(out, broker->options.prefix);
  buffer_append_string(out, "}:");
  buffer_append_string(out, kind);
  if (name.len > 0) buffer_append_char(out, ':');
  buffer_append(out, name);
  return begin;
}

bool node_is_connected(const struct broker *broker) {
  const struct node_end *ends = broker->ends;
  return ends[LINK_COMMANDS].is_open && ends[LINK_PUSHES].is_open && run_equal(&ends[LINK_COMMANDS].run, &ends[LINK_PUSHES].run);
}

bool node_is_up(const struct broker *broker) {
  return node_is_connected(broker) && broker->is_welcome && !broker->is_stopped && !broker->is_leaving;
}

void node_fence(struct broker *broker) {
  if (!broker->is_welcome) return;
  broker->is_welcome = false;
  broker->hello_due_ms = broker->now_ms;
}

void node_renew(struct broker *broker) {
  if (!broker->is_welcome) return; /* of several refusals, the first one counts */
  broker->generation++;
  node_fence(broker);
}

void node_doubt(struct broker *broker) { broker->doubts = true; }

void node_see(struct broker *broker, uint64_t position) {
  if (position > broker->seen) broker->seen = position;
}

void node_reach(struct broker *broker, uint64_t position) {
  if (position <= broker->position) return;
  broker->position = position;
  broker->sink->reach(broker->context, position);
}

static enum answer answer_error(struct broker *broker, struct bytes error) {
  bool is_lost;
  refusal_note(broker, error, &is_lost);
  if (!is_lost) return ANSWER_FAILED;
  broker->link->class->reset(broker->link, LINK_COMMANDS, "redis does not serve scripts");
  return ANSWER_REFUSED;
}

enum answer node_answer(struct broker *broker, const struct resp_value *reply) {
  if (!reply) return ANSWER_LOST;
  if (reply->type == RESP_ERROR) return answer_error(broker, reply->text);
  struct bytes word = resp_text(resp_item(reply, 0));
  if (bytes_equal(word, BYTES("OK"))) return ANSWER_OK;
  if (bytes_equal(word, BYTES("STALE"))) {
    node_renew(broker);
  } else if (bytes_equal(word, BYTES("FENCED"))) {
    node_fence(broker);
  } else if (!bytes_equal(word, BYTES("WAIT"))) {
    return answer_error(broker, BYTES("an answer that is not one of its script"));
  }
  return ANSWER_REFUSED;
}

bool node_is_heard(struct broker *broker, const struct resp_value *reply) {
  uint64_t receivers;
  if (resp_u64(resp_item(reply, 1), &receivers) && receivers > 0) return true;
  broker->link->class->reset(broker->link, LINK_PUSHES, "redis has no subscription of this node");
  return false;
}

enum answer node_answer_heard(struct broker *broker, const struct resp_value *reply) {
  enum answer answer = node_answer(broker, reply);
  return answer == ANSWER_OK && !node_is_heard(broker, reply) ? ANSWER_REFUSED : answer;
}

/* ---- Waits ------------------------------------------------------------------------------------ */

struct wait *wait_new(struct broker *broker, size_t count, void (*on_done)(void *context, int status), void *context) {
  struct wait *wait = memory_calloc(1, sizeof *wait + count * sizeof wait->entries[0]);
  if (!wait) return NULL;
  wait->due_ms = broker->now_ms + broker->options.publish_ms;
  wait->on_done = on_done;
  wait->context = context;
  wait->count = count;
  list_init(&wait->link);
  for (size_t i = 0; i < count; i++) {
    list_init(&wait->entries[i].link);
    wait->entries[i].wait = wait;
  }
  return wait;
}

void wait_end(struct broker *broker, struct wait *wait, int status) {
  wait->status = status;
  list_remove(&wait->link);
  list_append(&broker->ended_waits, &wait->link);
  for (size_t i = 0; i < wait->count; i++) list_remove(&wait->entries[i].link);
}

bool channel_is_ready(const struct channel_link *channel) {
  return channel->state == CHANNEL_LIVE && (channel->roster == BROKER_ROSTER_NONE || channel->has_roster);
}

void waits_follow(struct broker *broker, struct channel_link *channel) {
  if (!channel_is_ready(channel)) return;
  while (!list_empty(&channel->waits)) {
    struct wait_entry *entry = container_of(channel->waits.next, struct wait_entry, link);
    list_remove(&entry->link);
    if (--entry->wait->left == 0) wait_end(broker, entry->wait, 0);
  }
}
