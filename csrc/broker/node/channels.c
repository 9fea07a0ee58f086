/* The channels of a node: who follows them, and what they lack. */
#include "broker/node/node.h"

#include "base/log_limit.h"

void channels_init(struct broker *broker) {
  table_init(&broker->channels);
  struct list *lists[] = {&broker->to_rejoin,     &broker->to_subscribe, &broker->subscribing, &broker->to_fetch,
                          &broker->fetching,      &broker->live,         &broker->leaving,     &broker->requests,
                          &broker->older_waiting, &broker->older_sent};
  for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) list_init(lists[i]);
}

static void channel_free(struct broker *broker, struct channel_link *channel) {
  roster_forget(broker, channel);
  list_remove(&channel->link);
  table_remove(&broker->channels, channel->name);
  memory_free(channel);
}

static void move(struct channel_link *channel, struct list *to) {
  list_remove(&channel->link);
  list_append(to, &channel->link);
}

static struct channel_link *first_of(struct list *list) {
  return list_empty(list) ? NULL : container_of(list->next, struct channel_link, link);
}

/* Calls `visit` for each channel of the list, which may move or free it. */
static void for_each(struct broker *broker, struct list *list, void (*visit)(struct broker *, struct channel_link *)) {
  for (struct list *link = list->next, *next; link != list; link = next) {
    next = link->next;
    visit(broker, container_of(link, struct channel_link, link));
  }
}

void channels_deinit(struct broker *broker) {
  struct list *lists[] = {&broker->to_rejoin, &broker->to_subscribe, &broker->subscribing, &broker->to_fetch,
                          &broker->fetching,  &broker->live,         &broker->leaving};
  for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) for_each(broker, lists[i], channel_free);
  table_deinit(&broker->channels);
}

struct channel_link *channels_find_or_make(struct broker *broker, const struct broker_interest *interest) {
  struct bytes name = interest->channel;
  struct channel_link *channel = channels_find(broker, name);
  if (channel) return channel;
  channel = memory_calloc(1, sizeof *channel + name.len + 1);
  if (!channel) return NULL;
  memcpy(channel->text, name.ptr, name.len);
  channel->name = bytes_of(channel->text, name.len);
  channel->history = interest->history;
  list_init(&channel->link);
  list_init(&channel->waits);
  list_init(&channel->in_rosters);
  if (table_set(&broker->channels, channel->name, channel) < 0) {
    memory_free(channel);
    return NULL;
  }
  list_append(&broker->to_subscribe, &channel->link);
  return channel;
}

/* ---- Interests -------------------------------------------------------------------------------- */

void channel_add_user(struct broker *broker, struct channel_link *channel) {
  channel->users++;
  if (channel->state != CHANNEL_LEAVING) return;
  channel->state = CHANNEL_LIVE;
  move(channel, &broker->live);
}

static void leave_later(struct broker *broker, struct channel_link *channel) {
  channel->state = CHANNEL_LEAVING;
  channel->due_ms = broker->now_ms + broker->options.linger_ms;
  move(channel, &broker->leaving);
}

void channel_drop_user(struct broker *broker, struct channel_link *channel) {
  if (--channel->users > 0) return;
  if (channel->state == CHANNEL_LIVE) leave_later(broker, channel);
  /* Before SUBSCRIBE was sent, nothing needs it. What rejoins is counted, and leaves when it is
   * LIVE. */
  if (channel->state == CHANNEL_SUBSCRIBING && !channel->is_rejoining && !channel->is_asked) channel_free(broker, channel);
}

void channel_go_live(struct broker *broker, struct channel_link *channel, uint64_t known) {
  channel->known = known;
  channel->is_rejoining = channel->has_page = false;
  channel->state = CHANNEL_LIVE;
  move(channel, &broker->live);
  waits_follow(broker, channel);
  if (channel->users == 0) leave_later(broker, channel);
}

/* Sends SUBSCRIBE or UNSUBSCRIBE for channels of the list, as many as there are at most. */
static int send_names(struct broker *broker, struct list *list, size_t max, bool is_end) {
  struct bytes names[SUBSCRIBE_MAX];
  size_t begins[SUBSCRIBE_MAX + 1], count = 0;
  struct buffer texts;
  buffer_init(&texts);
  for (struct list *link = list->next; link != list && count < max; link = link->next) {
    begins[count++] = node_key(broker, &texts, "m", container_of(link, struct channel_link, link)->name);
  }
  begins[count] = texts.len;
  int status = texts.failed ? MW_ENOMEM : 0;
  for (size_t i = 0; status == 0 && i < count; i++) names[i] = bytes_of(texts.data + begins[i], begins[i + 1] - begins[i]);
  const struct link_class *class = broker->link->class;
  if (status == 0) status = (is_end ? class->unsubscribe : class->subscribe)(broker->link, names, count);
  buffer_deinit(&texts);
  return status < 0 ? status : (int)count;
}

/* A channel is left only here. It is LEAVING, so it is subscribed to, and that is confirmed. If
 * UNSUBSCRIBE is not sent, its messages are ignored. */
static void leave_first(struct broker *broker, size_t count) {
  if (broker->ends[LINK_PUSHES].is_open) (void)send_names(broker, &broker->leaving, count, true);
  for (; count > 0; count--) {
    struct channel_link *channel = first_of(&broker->leaving);
    broker->sink->forget(broker->context, channel->name);
    channel_free(broker, channel);
  }
}

void channels_expire(struct broker *broker) {
  for (;;) {
    size_t count = 0;
    struct list *link = broker->leaving.next;
    for (; link != &broker->leaving && count < SUBSCRIBE_MAX; link = link->next, count++) {
      if (container_of(link, struct channel_link, link)->due_ms > broker->now_ms) break;
    }
    if (count == 0) return;
    leave_first(broker, count);
  }
}

/* ---- Loss ------------------------------------------------------------------------------------- */

static void lack_page(struct broker *broker, struct channel_link *channel) {
  if (!channel->is_rejoining || channel->has_page) broker->lacking_count++;
  channel->is_rejoining = true;
  channel->has_page = false;
  channel->fetched = channel->known;
}

static void unsubscribed(struct broker *broker, struct channel_link *channel) {
  channel->is_asked = channel->is_followed = false;
  channel->request = 0;
  roster_forget(broker, channel);
  channel->state = CHANNEL_SUBSCRIBING;
  move(channel, channel->is_rejoining ? &broker->to_rejoin : &broker->to_subscribe);
}

static void on_deaf(struct broker *broker, struct channel_link *channel) {
  bool was_live = channel->state == CHANNEL_LIVE;
  if (channel->users == 0) {
    if (channel->is_rejoining && !channel->has_page) broker->lacking_count--;
    broker->sink->forget(broker->context, channel->name);
    channel_free(broker, channel);
    return;
  }
  if (was_live) channel->known = broker->position;
  if (was_live || channel->is_rejoining) lack_page(broker, channel);
  unsubscribed(broker, channel);
}

void channels_on_deaf(struct broker *broker) {
  struct list *lists[] = {&broker->subscribing, &broker->to_fetch, &broker->fetching, &broker->leaving, &broker->live};
  held_clear(broker);
  pages_drop_requests(broker);
  older_on_deaf(broker);
  for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) for_each(broker, lists[i], on_deaf);
  broker->is_holding = broker->lacking_count > 0;
}

/* It begins as if it was new. */
static void begin_again(struct broker *broker, struct channel_link *channel) {
  roster_need(broker, channel);
  channel->is_rejoining = channel->has_page = false;
  channel->known = 0;
  channel->request = 0;
  if (channel->is_followed) {
    channel_fetch(broker, channel);
  } else if (!channel->is_asked) {
    move(channel, &broker->to_subscribe);
  }
}

/* Its subscribers resume, and receive what is kept, or a gap. */
static void disconnect(struct broker *broker, struct channel_link *channel) {
  if (!channel->is_rejoining) return;
  broker->sink->disconnect(broker->context, channel->name);
  begin_again(broker, channel);
}

/* A visit may move the channel. It may be visited twice. */
static void for_all(struct broker *broker, void (*visit)(struct broker *, struct channel_link *)) {
  struct list *lists[] = {&broker->to_rejoin, &broker->to_subscribe, &broker->subscribing,
                          &broker->to_fetch,  &broker->fetching,     &broker->live};
  for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
    struct list rest;
    list_init(&rest);
    while (!list_empty(lists[i])) move(first_of(lists[i]), &rest);
    while (!list_empty(&rest)) {
      struct channel_link *channel = first_of(&rest);
      move(channel, lists[i]);
      visit(broker, channel);
    }
  }
}

static void stop_holding(struct broker *broker) {
  held_clear(broker);
  pages_drop_requests(broker);
  broker->is_holding = false;
  broker->lacking_count = 0;
}

void channels_give_up(struct broker *broker) {
  stop_holding(broker);
  for_all(broker, disconnect);
}

void channels_forget_history(struct broker *broker) {
  stop_holding(broker);
  older_expire(broker, true, MW_EBROKER_LOST);
  while (!list_empty(&broker->leaving)) leave_first(broker, 1);
  for_all(broker, begin_again);
}

/* ---- What they lack --------------------------------------------------------------------------- */

void channel_fetch(struct broker *broker, struct channel_link *channel) {
  channel->state = CHANNEL_FETCHING;
  channel->request = 0;
  move(channel, &broker->to_fetch);
}

static void subscribe_all(struct broker *broker, struct list *list) {
  while (!list_empty(list)) {
    int count = send_names(broker, list, SUBSCRIBE_MAX, false);
    if (count <= 0) return; /* later */
    for (; count > 0; count--) {
      struct channel_link *channel = first_of(list);
      channel->is_asked = true;
      move(channel, &broker->subscribing);
    }
  }
}

void channels_step(struct broker *broker) {
  if (!node_is_up(broker) || !broker->own_is_subscribed) return;
  subscribe_all(broker, &broker->to_rejoin);
  if (!broker->is_holding) subscribe_all(broker, &broker->to_subscribe);
  pages_step(broker);
  older_step(broker);
}

void channels_on_subscribed(struct broker *broker, struct bytes name) {
  struct channel_link *channel = channels_find(broker, name);
  if (!channel || channel->state != CHANNEL_SUBSCRIBING || !channel->is_asked) return;
  channel->is_followed = true;
  channel_fetch(broker, channel);
  roster_need(broker, channel);
}

/* A message before this one has not come, and no connection was lost. Nothing is known of the cause,
 * so the connection is not trusted any more. */
static void on_hole(struct broker *broker, struct channel_link *channel, const struct push_message *message) {
  log_limited(MW_LOG_ERROR, "a message is missing from redis; reconnecting (channel=%.*s before=%llu known=%llu)",
              (int)channel->name.len, channel->name.ptr, (unsigned long long)message->before, (unsigned long long)channel->known);
  broker->sink->gap(broker->context, channel->name, message->before);
  broker->link->class->reset(broker->link, LINK_PUSHES, "a message is missing");
}

static void deliver(struct broker *broker, struct channel_link *channel, const struct push_message *message) {
  struct broker_message delivered = {.record = message->record, .position = message->position, .before = message->before};
  if (message->position > 0) channel->known = message->position;
  node_see(broker, message->position);
  broker->sink->deliver(broker->context, channel->name, &delivered);
  node_reach(broker, message->position);
}

void channels_on_message(struct broker *broker, struct bytes name, struct bytes payload) {
  struct channel_link *channel = channels_find(broker, name);
  struct push_message message;
  struct epoch epoch;
  if (push_is_presence(payload)) {
    if (channel) rosters_on_presence(broker, channel, payload);
    return;
  }
  if (!push_read_message(payload, &epoch, &message)) {
    log_limited(MW_LOG_WARNING, "ignored a push from redis that is not a message (channel=%.*s)", (int)name.len, name.ptr);
    node_doubt(broker); /* perhaps another program has replaced the epoch */
    return;
  }
  bool is_foreign = memcmp(&epoch, &broker->epoch, sizeof epoch) != 0;
  if (is_foreign) node_doubt(broker);
  if (!channel || is_foreign) return;
  if (channel->is_rejoining) {
    if (channel->is_followed) held_message(broker, channel, &message);
    return;
  }
  if (channel->state != CHANNEL_LIVE && channel->state != CHANNEL_LEAVING) return; /* its page has it */
  if (message.position > 0 && message.position <= broker->position) {
    log_limited(MW_LOG_WARNING, "ignored a push from redis with an old position (channel=%.*s)", (int)name.len, name.ptr);
    return;
  }
  if (message.position > 0 && !message.is_floor && message.before > channel->known) on_hole(broker, channel, &message);
  deliver(broker, channel, &message);
}
