/* What Redis is told of the members of this node, in one call at a time for each channel.
 *
 * Redis counts them for an owner, "<node>.<number>". After a restart or a failover, or if the node
 * was taken for dead, it is not known what is counted. Then all are counted again, for another owner.
 * Only after that, the earlier one is left to the reaper; so no member leaves in between. */
#include "broker/members/own_members.h"
#include "broker/node/arguments.h"

enum { OWNERS_AT_ONCE = 100 }; /* the latest: earlier ones are gone, or are lost with their Redis */

/* ---- Calls ------------------------------------------------------------------------------------ */

static bool is_refused(const struct resp_value *reply, struct bytes user) {
  for (size_t i = 3; reply && i < reply->count; i++)
    if (bytes_equal(resp_text(reply->items[i]), user)) return true;
  return false;
}

static void take_counted(struct own_member *member, const struct resp_value *reply) {
  struct own_channel *channel = member->channel;
  member->is_unsure = false;
  if (member->sent == '-') {
    member->counted = 0;
  } else if (member->sent == '+' && is_refused(reply, member->user)) {
    member->counted = 0;
    member_give_up(member, MW_ELIMIT);
  } else {
    member->counted = channel->sent_owner;
    if (!list_empty(&member->joins)) member->is_established = true;
    member_end_joins(member, 0);
  }
}

/* Returns why a call was not carried out. */
static int failure_of(const struct resp_value *reply) {
  bool is_lost;
  return reply && reply->type == RESP_ERROR ? refusal_read(reply->text, &is_lost) : MW_EBROKER_FAILED;
}

static void take_answer(struct own_channel *channel, enum answer answer, const struct resp_value *reply) {
  while (!list_empty(&channel->sent)) {
    struct own_member *member = container_of(channel->sent.next, struct own_member, link);
    if (answer == ANSWER_OK) {
      take_counted(member, reply);
    } else if (answer == ANSWER_LOST) {
      member->is_unsure = true;
    } else if (answer == ANSWER_FAILED) {
      member_give_up(member, failure_of(reply));
    }
    member->sent = 0;
    member_settle(member);
  }
}

void own_channel_on_answer(struct link_command *command, const struct resp_value *reply) {
  struct own_channel *channel = container_of(command, struct own_channel, command);
  struct broker *broker = channel->broker;
  enum answer answer = node_answer(broker, reply);
  if (answer == ANSWER_OK && (!reply || reply->count < 3)) answer = ANSWER_FAILED;
  if (answer == ANSWER_FAILED) broker->members.pause_until_ms = broker->now_ms + RETRY_MS;
  channel->is_sent = false;
  broker->members.call_count--;
  take_answer(channel, answer, reply);
  own_channel_settle(channel);
  broker->on_event_end(broker);
}

static void add_owner_key(struct arguments *arguments, const struct broker *broker, struct bytes channel) {
  node_key(broker, &arguments->texts, "pn", broker->options.node);
  buffer_append_char(&arguments->texts, '.');
  buffer_append_u64(&arguments->texts, broker->members.owner);
  if (channel.len > 0) buffer_append_char(&arguments->texts, ':');
  buffer_append(&arguments->texts, channel);
  arguments_end_one(arguments);
}

static void add_owner(struct arguments *arguments, const struct broker *broker, uint64_t owner) {
  buffer_append(&arguments->texts, broker->options.node);
  buffer_append_char(&arguments->texts, '.');
  arguments_add_u64(arguments, owner);
}

static void add_head(struct arguments *arguments, const struct own_channel *channel) {
  const struct broker *broker = channel->broker;
  struct bytes none = bytes_of(NULL, 0);
  arguments_add_key(arguments, broker, "h", none);
  arguments_add_key(arguments, broker, "n", broker->options.node);
  arguments_add_key(arguments, broker, "pu", channel->name);
  arguments_add_key(arguments, broker, "pi", channel->name);
  arguments_add_key(arguments, broker, "pv", channel->name);
  arguments_add_key(arguments, broker, "no", broker->options.node);
  add_owner_key(arguments, broker, none);
  add_owner_key(arguments, broker, channel->name);
  arguments_end_keys(arguments);
  arguments_add(arguments, run_bytes(&broker->run));
  arguments_add_u64(arguments, broker->generation);
  add_owner(arguments, broker, broker->members.owner);
  arguments_add(arguments, channel->name);
  arguments_add_key(arguments, broker, "m", channel->name);
  arguments_add_u64(arguments, channel->members_max);
  arguments_add_u64(arguments, broker->options.mark_ttl_s);
}

static void add_change(struct arguments *arguments, struct own_member *member) {
  member->sent = !member->is_wanted ? '-' : member->is_established ? '!' : '+';
  arguments_add(arguments, bytes_of(&member->sent, 1));
  arguments_add(arguments, member->user);
  arguments_add(arguments, member->is_wanted ? member->info : bytes_of(NULL, 0));
}

/* Returns false if nothing more can be sent. */
static bool call(struct own_channel *channel) {
  struct broker *broker = channel->broker;
  struct arguments arguments;
  size_t bytes = 0;
  arguments_init(&arguments);
  add_head(&arguments, channel);
  for (size_t i = 0; i < CALL_CHANGES_MAX && bytes < CALL_BYTES_MAX && !list_empty(&channel->changes); i++) {
    struct own_member *member = container_of(channel->changes.next, struct own_member, link);
    add_change(&arguments, member);
    bytes += member->user.len + member->info.len;
    list_remove(&member->link);
    list_append(&channel->sent, &member->link);
  }
  int status = arguments_run(&arguments, broker, SCRIPT_PRESENCE, &channel->command);
  if (status < 0) {
    take_answer(channel, ANSWER_REFUSED, NULL);
    return false;
  }
  broker->members.is_used = channel->is_sent = true;
  channel->sent_owner = broker->members.owner;
  channel->ready_ms = broker->now_ms + broker->options.gather_ms;
  broker->members.call_count++;
  list_remove(&channel->link);
  return true;
}

/* ---- Counting again --------------------------------------------------------------------------- */

static void recount_list(struct list *list) {
  struct list rest;
  list_init(&rest);
  while (!list_empty(list)) {
    struct list *link = list->next;
    list_remove(link);
    list_append(&rest, link);
  }
  while (!list_empty(&rest)) {
    struct own_member *member = container_of(rest.next, struct own_member, link);
    member->is_unsure = false;
    if (member->is_established && member->counted > 0 && !member->is_recounting) {
      member->is_recounting = true;
      member->channel->broker->members.recounting++;
    }
    member_settle(member);
  }
}

void members_recount(struct broker *broker) {
  struct own_members *members = &broker->members;
  if (members->is_used) members->owner++;
  members->is_used = false;
  members->buried = members->owner > OWNERS_AT_ONCE ? members->owner - OWNERS_AT_ONCE : 0; /* Redis may have forgotten it */
  for (struct list *link = members->all.next, *next; link != &members->all; link = next) {
    next = link->next;
    struct own_channel *channel = container_of(link, struct own_channel, in_all);
    recount_list(&channel->changes);
    recount_list(&channel->settled);
    own_channel_settle(channel);
    own_channel_release(channel);
  }
}

static void on_buried(struct link_command *command, const struct resp_value *reply) {
  struct broker *broker = container_of(command, struct broker, members.bury);
  struct own_members *members = &broker->members;
  if (reply && reply->type == RESP_INTEGER) {
    members->buried = members->burying;
  } else if (reply) {
    members->pause_until_ms = broker->now_ms + RETRY_MS;
  }
  members->burying = 0;
  broker->on_event_end(broker);
}

/* Everything is counted for the present owner: the earlier ones can go. */
static void bury(struct broker *broker) {
  struct own_members *members = &broker->members;
  struct arguments arguments;
  uint64_t last = members->owner - 1;
  arguments_init(&arguments);
  arguments_add(&arguments, BYTES("SADD"));
  arguments_add_key(&arguments, broker, "dead", bytes_of(NULL, 0));
  for (uint64_t owner = members->buried + 1; owner <= last; owner++) add_owner(&arguments, broker, owner);
  members->bury.on_reply = on_buried;
  if (arguments_send(&arguments, broker, &members->bury) == 0) members->burying = last;
}

void members_step(struct broker *broker) {
  struct own_members *members = &broker->members;
  if (!node_is_up(broker) || members->pause_until_ms > broker->now_ms) return;
  while (members->call_count < CALLS_MAX && !list_empty(&members->ready)) {
    struct own_channel *channel = container_of(members->ready.next, struct own_channel, link);
    if (list_empty(&channel->changes)) {
      list_remove(&channel->link);
      own_channel_release(channel);
    } else if (!call(channel)) {
      return;
    }
  }
  if (members->recounting == 0 && members->buried + 1 < members->owner && members->burying == 0) bury(broker);
}
