/* Who is in the channels that this node follows: a list, by the script `members`, and announcements
 * of what has changed since. Announcements are numbered, and name the one before. If that is another
 * than is known, one was missed, and the list is read again. */
#include "base/log_limit.h"
#include "broker/node/arguments.h"
#include "broker/node/node.h"

struct roster_request {
  struct link_command command;
  struct broker *broker;
  uint64_t number;
};

void rosters_init(struct rosters *rosters) {
  list_init(&rosters->to_read);
  list_init(&rosters->reading);
}

void roster_forget(struct broker *broker, struct channel_link *channel) {
  list_remove(&channel->in_rosters);
  if (channel->roster_request > 0) broker->rosters.reading_count--;
  channel->roster_request = 0;
}

void roster_need(struct broker *broker, struct channel_link *channel) {
  roster_forget(broker, channel);
  if (channel->roster != BROKER_ROSTER_NONE && channel->is_followed) list_append(&broker->rosters.to_read, &channel->in_rosters);
}

void broker_read_members(struct broker *broker, struct bytes name) {
  struct channel_link *channel = channels_find(broker, name);
  if (channel) roster_need(broker, channel);
}

/* ---- Asking ----------------------------------------------------------------------------------- */

static struct channel_link *find_request(const struct broker *broker, uint64_t number) {
  const struct list *reading = &broker->rosters.reading;
  for (struct list *link = reading->next; link != reading; link = link->next) {
    struct channel_link *channel = container_of(link, struct channel_link, in_rosters);
    if (channel->roster_request == number) return channel;
  }
  return NULL;
}

static void on_answer(struct link_command *command, const struct resp_value *reply) {
  struct roster_request *request = container_of(command, struct roster_request, command);
  struct broker *broker = request->broker;
  struct channel_link *channel = find_request(broker, request->number);
  memory_free(request);
  enum answer answer = node_answer_heard(broker, reply);
  if (answer == ANSWER_FAILED) broker->rosters.pause_until_ms = broker->now_ms + RETRY_MS;
  if (channel && answer != ANSWER_OK) roster_need(broker, channel);
  broker->on_event_end(broker);
}

static bool ask_one(struct broker *broker, struct channel_link *channel) {
  struct rosters *rosters = &broker->rosters;
  struct roster_request *request = memory_calloc(1, sizeof *request);
  struct arguments arguments;
  if (!request) return false;
  *request = (struct roster_request){.command.on_reply = on_answer, .broker = broker, .number = rosters->request + 1};
  arguments_init(&arguments);
  arguments_add_key(&arguments, broker, "h", bytes_of(NULL, 0));
  arguments_add_key(&arguments, broker, "pu", channel->name);
  arguments_add_key(&arguments, broker, "pi", channel->name);
  arguments_add_key(&arguments, broker, "pv", channel->name);
  arguments_end_keys(&arguments);
  arguments_add(&arguments, run_bytes(&broker->run));
  arguments_add(&arguments, bytes_of(broker->own, broker->own_len));
  arguments_add_u64(&arguments, request->number);
  arguments_add_u64(&arguments, channel->roster == BROKER_ROSTER_LIST ? ROSTER_MEMBERS_MAX : 0);
  arguments_add_u64(&arguments, ROSTER_BYTES_MAX);
  if (arguments_run(&arguments, broker, SCRIPT_MEMBERS, &request->command) < 0) {
    memory_free(request);
    return false;
  }
  rosters->request++;
  rosters->reading_count++;
  channel->roster_request = request->number;
  list_remove(&channel->in_rosters);
  list_append(&rosters->reading, &channel->in_rosters);
  return true;
}

void rosters_step(struct broker *broker) {
  struct rosters *rosters = &broker->rosters;
  if (!node_is_up(broker) || !broker->own_is_subscribed || rosters->pause_until_ms > broker->now_ms) return;
  while (rosters->reading_count < ROSTER_REQUESTS_MAX && !list_empty(&rosters->to_read)) {
    if (!ask_one(broker, container_of(rosters->to_read.next, struct channel_link, in_rosters))) return;
  }
}

/* ---- What comes ------------------------------------------------------------------------------- */

void rosters_on_members(struct broker *broker, struct bytes payload) {
  struct push_members members;
  if (!push_read_members(payload, &members)) {
    log_limited(MW_LOG_WARNING, "ignored a push from redis that is not a list of members (%zu bytes)", payload.len);
    return;
  }
  struct channel_link *channel = find_request(broker, members.request);
  if (!channel) return;
  if (memcmp(&members.epoch, &broker->epoch, sizeof members.epoch) != 0) {
    node_doubt(broker);
    roster_need(broker, channel);
    return;
  }
  roster_forget(broker, channel);
  channel->roster_number = members.number;
  channel->has_roster = true;
  struct broker_members whole = {.channel = channel->name,
                                 .is_whole = true,
                                 .is_listed = members.is_listed,
                                 .count = (size_t)members.count,
                                 .changes = members.changes};
  broker->sink->members(broker->context, &whole);
  waits_follow(broker, channel);
}

void rosters_on_presence(struct broker *broker, struct channel_link *channel, struct bytes payload) {
  struct push_presence presence;
  if (!push_read_presence(payload, &presence)) {
    log_limited(MW_LOG_WARNING, "ignored a push from redis that is not an announcement of members (channel=%.*s)",
                (int)channel->name.len, channel->name.ptr);
    return;
  }
  bool is_read = channel->has_roster && list_empty(&channel->in_rosters) && channel->is_followed;
  if (!is_read) return; /* the list will have it */
  bool is_foreign = memcmp(&presence.epoch, &broker->epoch, sizeof presence.epoch) != 0;
  if (is_foreign) node_doubt(broker);
  /* A lower number follows if another program has removed or replaced the latest one. */
  if (is_foreign || presence.before != channel->roster_number) {
    roster_need(broker, channel);
    return;
  }
  channel->roster_number = presence.number;
  struct broker_members changes = {
      .channel = channel->name, .count = (size_t)presence.count, .changes = presence.changes, .is_listed = true};
  broker->sink->members(broker->context, &changes);
}
