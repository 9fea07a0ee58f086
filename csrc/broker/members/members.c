/* The members of this node, and the joins that wait. */
#include "broker/members/own_members.h"

void members_init(struct broker *broker) {
  struct own_members *members = &broker->members;
  struct list *lists[] = {&members->all, &members->ready, &members->cooling, &members->joins, &members->ended_joins};
  for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) list_init(lists[i]);
  table_init(&members->channels);
  members->owner = 1;
}

/* ---- Channels and members --------------------------------------------------------------------- */

static struct own_channel *find_or_make_channel(struct broker *broker, struct bytes name) {
  struct own_channel *channel = table_get(&broker->members.channels, name);
  if (channel) return channel;
  channel = memory_calloc(1, sizeof *channel + name.len + 1);
  if (!channel) return NULL;
  memcpy(channel->text, name.ptr, name.len);
  channel->name = bytes_of(channel->text, name.len);
  channel->broker = broker;
  channel->command.on_reply = own_channel_on_answer;
  table_init(&channel->users);
  list_init(&channel->link);
  list_init(&channel->changes);
  list_init(&channel->settled);
  list_init(&channel->sent);
  if (table_set(&broker->members.channels, channel->name, channel) < 0) {
    memory_free(channel);
    return NULL;
  }
  list_append(&broker->members.all, &channel->in_all);
  return channel;
}

static void channel_free(struct own_channel *channel) {
  list_remove(&channel->link);
  list_remove(&channel->in_all);
  table_remove(&channel->broker->members.channels, channel->name);
  table_deinit(&channel->users);
  memory_free(channel);
}

/* A channel without members is kept until it may send again, so that it does not tell more often by
 * being forgotten. */
void own_channel_release(struct own_channel *channel) {
  if (channel->users.count == 0 && !channel->is_sent && channel->ready_ms <= channel->broker->now_ms) channel_free(channel);
}

static struct own_member *find_or_make_member(struct own_channel *channel, struct bytes user, struct bytes info) {
  struct own_member *member = table_get(&channel->users, user);
  if (member) return member;
  member = memory_calloc(1, sizeof *member + user.len + info.len + 1);
  if (!member) return NULL;
  memcpy(member->text, user.ptr, user.len);
  if (info.len > 0) memcpy(member->text + user.len, info.ptr, info.len);
  member->user = bytes_of(member->text, user.len);
  member->info = bytes_of(member->text + user.len, info.len);
  member->channel = channel;
  list_init(&member->joins);
  if (table_set(&channel->users, member->user, member) < 0) {
    memory_free(member);
    return NULL;
  }
  list_append(&channel->settled, &member->link);
  return member;
}

void member_stop_recounting(struct own_member *member) {
  if (!member->is_recounting) return;
  member->is_recounting = false;
  member->channel->broker->members.recounting--;
}

static void member_free(struct own_member *member) {
  member_stop_recounting(member);
  list_remove(&member->link);
  table_remove(&member->channel->users, member->user);
  memory_free(member);
}

void own_channel_settle(struct own_channel *channel) {
  struct own_members *members = &channel->broker->members;
  bool has_changes = !list_empty(&channel->changes) || channel->users.count == 0;
  list_remove(&channel->link);
  if (channel->is_sent || !has_changes) return;
  list_append(channel->ready_ms > channel->broker->now_ms ? &members->cooling : &members->ready, &channel->link);
}

/* Puts the member where it belongs, or frees it. Not while it is on the way. */
void member_settle(struct own_member *member) {
  struct own_channel *channel = member->channel;
  uint64_t owner = channel->broker->members.owner;
  if (member->sent) return;
  bool is_counted = member->counted == owner;
  bool must_send = member->is_unsure || member->is_wanted != is_counted;
  list_remove(&member->link);
  if (must_send) {
    list_append(&channel->changes, &member->link);
  } else if (member->is_wanted) {
    member_stop_recounting(member);
    list_append(&channel->settled, &member->link);
  } else {
    member_free(member);
  }
  own_channel_settle(channel);
}

/* ---- Joins that wait -------------------------------------------------------------------------- */

static void join_end(struct join *join, int status) {
  struct own_members *members = &join->member->channel->broker->members;
  join->status = status;
  join->member = NULL;
  list_remove(&join->expiry);
  list_remove(&join->link);
  list_append(&members->ended_joins, &join->link);
}

void member_end_joins(struct own_member *member, int status) {
  while (!list_empty(&member->joins)) join_end(container_of(member->joins.next, struct join, link), status);
}

void members_settle(struct broker *broker) {
  struct own_members *members = &broker->members;
  while (!list_empty(&members->ended_joins)) {
    struct join *join = container_of(members->ended_joins.next, struct join, link);
    list_remove(&join->link);
    members->join_count--;
    join->on_done(join->context, join->status);
    memory_free(join);
  }
}

/* A join was not in time, or was refused. */
void member_give_up(struct own_member *member, int status) {
  member_end_joins(member, status);
  if (member->is_established) return;
  member->is_wanted = false;
}

static void expire_join(struct broker *broker, int status) {
  struct own_member *member = container_of(broker->members.joins.next, struct join, expiry)->member;
  member_give_up(member, status); /* all of its joins: none of them knows more than the first */
  member_settle(member);
}

void members_expire(struct broker *broker) {
  struct own_members *members = &broker->members;
  while (!list_empty(&members->joins)) {
    if (container_of(members->joins.next, struct join, expiry)->due_ms > broker->now_ms) break;
    expire_join(broker, node_outage(broker));
  }
  while (!list_empty(&members->cooling)) { /* all cool for the same time */
    struct own_channel *channel = container_of(members->cooling.next, struct own_channel, link);
    if (channel->ready_ms > broker->now_ms) break;
    own_channel_settle(channel);
    own_channel_release(channel);
  }
}

void members_stop(struct broker *broker) {
  while (!list_empty(&broker->members.joins)) expire_join(broker, MW_ECLOSED);
  members_settle(broker);
}

/* ---- The public functions --------------------------------------------------------------------- */

static void add_join(struct broker *broker, struct own_member *member, struct join *join, const struct broker_join *parts) {
  *join = (struct join){.member = member,
                        .due_ms = broker->now_ms + broker->options.publish_ms,
                        .on_done = parts->on_done,
                        .context = parts->context};
  list_init(&join->link);
  list_init(&join->expiry);
  list_append(&member->joins, &join->link);
  list_append(&broker->members.joins, &join->expiry);
  broker->members.join_count++;
}

int broker_join(struct broker *broker, const struct broker_join *parts) {
  struct own_members *members = &broker->members;
  if (broker->is_stopped || broker->is_leaving) return MW_ECLOSED;
  struct own_channel *channel = find_or_make_channel(broker, parts->channel);
  if (!channel) return MW_ENOMEM;
  channel->members_max = parts->members_max;
  struct own_member *member = find_or_make_member(channel, parts->user, parts->info);
  if (!member) {
    own_channel_release(channel);
    return MW_ENOMEM;
  }
  if (member->is_established) return 0;
  bool is_here = member->counted == members->owner && !member->is_unsure && !member->sent;
  struct join *join = NULL;
  int status = is_here ? 0 : members->join_count >= broker->options.waiting_max ? MW_EUNAVAILABLE : MW_ENOMEM;
  if (status == MW_ENOMEM && (join = memory_calloc(1, sizeof *join))) status = MW_PENDING;
  if (join) add_join(broker, member, join, parts);
  if (status >= 0) member->is_wanted = true;
  if (status == 0) member->is_established = true; /* it was about to leave */
  member_settle(member);
  if (status < 0) own_channel_release(channel);
  members_step(broker);
  return status;
}

void broker_leave(struct broker *broker, struct bytes name, struct bytes user) {
  struct own_channel *channel = table_get(&broker->members.channels, name);
  struct own_member *member = channel ? table_get(&channel->users, user) : NULL;
  if (!member || !member->is_established) return;
  member->is_wanted = member->is_established = false;
  member_stop_recounting(member);
  member_settle(member);
  members_step(broker);
}

void members_deinit(struct broker *broker) {
  struct own_members *members = &broker->members;
  while (!list_empty(&members->all)) {
    struct own_channel *channel = container_of(members->all.next, struct own_channel, in_all);
    struct list *lists[] = {&channel->changes, &channel->settled, &channel->sent};
    for (size_t i = 0; i < 3; i++)
      while (!list_empty(lists[i])) member_free(container_of(lists[i]->next, struct own_member, link));
    channel_free(channel);
  }
  table_deinit(&members->channels);
}
