#include "test/support/cluster/model_link.h"

#include <stdlib.h>

#include "base/status.h"
#include "broker/scripts.h"
#include "test/support.h"

static struct model_link *model_of(struct link *link) { return container_of(link, struct model_link, link); }

static uint64_t draw(struct model_cluster *cluster, uint64_t below) { return cluster->random(cluster->context, below); }

/* ---- Items ------------------------------------------------------------------------------------ */

static struct model_item *item_new(enum model_item_type type, const struct bytes *texts, size_t count) {
  struct model_item *item = calloc(1, sizeof *item);
  item->type = type;
  item->texts = calloc(count + 1, sizeof *texts);
  for (size_t i = 0; i < count; i++) {
    char *copy = malloc(texts[i].len + 1);
    if (texts[i].len > 0) memcpy(copy, texts[i].ptr, texts[i].len);
    item->texts[item->count++] = bytes_of(copy, texts[i].len);
  }
  return item;
}

static void item_free(struct model_item *item) {
  for (size_t i = 0; i < item->count; i++) free((char *)item->texts[i].ptr);
  free(item->texts);
  resp_value_free(item->reply);
  list_remove(&item->link);
  free(item);
}

static struct model_item *first_of(struct list *list) {
  return list_empty(list) ? NULL : container_of(list->next, struct model_item, link);
}

static void clear(struct list *list) {
  while (!list_empty(list)) item_free(first_of(list));
}

/* ---- What a node does ------------------------------------------------------------------------- */

static int put_command(struct link *link, size_t script, size_t key_count, const struct bytes *arguments, size_t count,
                       struct link_command *command) {
  struct model_end *end = &model_of(link)->ends[LINK_COMMANDS];
  if (!end->is_seen) return MW_ECLOSED;
  struct model_item *item = item_new(ITEM_COMMAND, arguments, count);
  item->script = script;
  item->key_count = key_count;
  item->command = command;
  list_append(&end->to_redis, &item->link);
  list_append(&model_of(link)->commands, &command->link);
  return 0;
}

static int on_send(struct link *link, const struct bytes *arguments, size_t count, struct link_command *command) {
  return put_command(link, SIZE_MAX, 0, arguments, count, command);
}

static int put_names(struct link *link, enum model_item_type type, const struct bytes *channels, size_t count) {
  struct model_end *end = &model_of(link)->ends[LINK_PUSHES];
  if (!end->is_seen) return MW_ECLOSED;
  for (size_t i = 0; i < count; i++) list_append(&end->to_redis, &item_new(type, &channels[i], 1)->link);
  return 0;
}

static int on_subscribe(struct link *link, const struct bytes *channels, size_t count) {
  return put_names(link, ITEM_SUBSCRIBE, channels, count);
}

static int on_unsubscribe(struct link *link, const struct bytes *channels, size_t count) {
  return put_names(link, ITEM_UNSUBSCRIBE, channels, count);
}

static void on_reset(struct link *link, enum link_end end, const char *reason) {
  (void)reason;
  model_of(link)->ends[end].must_reset = model_of(link)->ends[end].is_seen;
}

static const struct link_class model_class = {
    .send = on_send, .run = put_command, .subscribe = on_subscribe, .unsubscribe = on_unsubscribe, .reset = on_reset};

/* ---- What Redis does -------------------------------------------------------------------------- */

static char **find_subscription(struct model_end *end, struct bytes channel) {
  for (size_t i = 0; i < MODEL_SUBSCRIPTIONS; i++) {
    if (end->subscriptions[i] && bytes_equal(bytes_string(end->subscriptions[i]), channel)) return &end->subscriptions[i];
  }
  return NULL;
}

static void drop_subscription(char **subscription) {
  if (subscription) {
    free(*subscription);
    *subscription = NULL;
  }
}

static void add_subscription(struct model_end *end, struct bytes channel) {
  if (find_subscription(end, channel)) return;
  for (size_t i = 0; i < MODEL_SUBSCRIPTIONS; i++) {
    if (end->subscriptions[i]) continue;
    end->subscriptions[i] = calloc(1, channel.len + 1);
    memcpy(end->subscriptions[i], channel.ptr, channel.len);
    return;
  }
  fail_msg("too many subscriptions");
}

static size_t on_publish(void *context, struct bytes channel, struct bytes payload) {
  struct model_cluster *cluster = context;
  struct bytes texts[] = {channel, payload};
  size_t count = 0;
  cluster->on_publish(cluster->context, channel, payload);
  for (size_t i = 0; i < MODEL_NODES; i++) {
    struct model_end *end = &cluster->links[i].ends[LINK_PUSHES];
    if (!end->is_open || !find_subscription(end, channel)) continue;
    list_append(&end->back, &item_new(ITEM_PUSH, texts, 2)->link);
    count++;
  }
  return count;
}

static void carry_out(struct model_link *link, struct model_end *end, struct model_item *item) {
  struct model_cluster *cluster = link->cluster;
  uint64_t time_ms = cluster->now_ms + (uint64_t)cluster->skew_ms;
  struct model_item *answer = NULL;
  if (item->type == ITEM_COMMAND) {
    answer = item_new(ITEM_REPLY, NULL, 0);
    answer->command = item->command;
    answer->reply = item->script == SIZE_MAX
                        ? redis_model_command(cluster->redis, time_ms, item->texts, item->count)
                        : redis_model_run(cluster->redis, time_ms, item->script, item->key_count, item->texts, item->count);
  } else if (item->type == ITEM_SUBSCRIBE) {
    add_subscription(end, item->texts[0]);
    answer = item_new(ITEM_SUBSCRIBED, item->texts, 1);
  } else {
    drop_subscription(find_subscription(end, item->texts[0]));
  }
  if (answer) list_append(&end->back, &answer->link);
  item_free(item);
}

bool model_link_serve(struct model_link *link, enum link_end end) {
  struct model_item *item = first_of(&link->ends[end].to_redis);
  if (!item || !link->ends[end].is_open || !link->cluster->is_up) return false;
  carry_out(link, &link->ends[end], item);
  return true;
}

/* ---- Connections ------------------------------------------------------------------------------ */

bool model_link_open(struct model_link *link, enum link_end number) {
  struct model_end *end = &link->ends[number];
  struct model_cluster *cluster = link->cluster;
  char run[40];
  if (end->is_open || end->is_seen || !cluster->is_up || cluster->now_ms < end->open_ms || !link->link.events) return false;
  snprintf(run, sizeof run, "run%u", cluster->run);
  end->is_open = end->is_seen = true;
  end->must_reset = false;
  link->link.events->on_open(link->link.context, number, bytes_string(run));
  return true;
}

void model_link_cut(struct model_link *link, enum link_end number) {
  struct model_end *end = &link->ends[number];
  if (!end->is_open) return;
  while (draw(link->cluster, 3) > 0 && model_link_serve(link, number)) {
  }
  clear(&end->to_redis);
  end->is_open = false;
  for (size_t i = 0; i < MODEL_SUBSCRIPTIONS; i++) drop_subscription(&end->subscriptions[i]);
  size_t count = 0;
  for (struct list *item = end->back.next; item != &end->back; item = item->next) count++;
  for (size_t lost = count > 0 ? draw(link->cluster, count + 1) : 0; lost > 0; lost--)
    item_free(container_of(end->back.prev, struct model_item, link));
  list_append(&end->back, &item_new(ITEM_LOST, NULL, 0)->link);
}

void model_cluster_restart(struct model_cluster *cluster) {
  for (size_t i = 0; i < MODEL_NODES; i++) {
    model_link_cut(&cluster->links[i], LINK_COMMANDS);
    model_link_cut(&cluster->links[i], LINK_PUSHES);
  }
  cluster->run++;
}

static void drop_commands(struct model_link *link) {
  while (!list_empty(&link->commands)) {
    struct link_command *command = container_of(link->commands.next, struct link_command, link);
    list_remove(&command->link);
    command->on_reply(command, NULL);
  }
}

static void arrive_lost(struct model_link *link, enum link_end number) {
  struct model_end *end = &link->ends[number];
  end->is_seen = end->must_reset = false;
  end->open_ms = link->cluster->now_ms + 20 + draw(link->cluster, 400);
  clear(&end->to_redis); /* sent to nowhere */
  if (number == LINK_COMMANDS) drop_commands(link);
  link->link.events->on_lost(link->link.context, number, "cut");
}

bool model_link_arrive(struct model_link *link, enum link_end number) {
  struct model_end *end = &link->ends[number];
  if (end->must_reset) {
    model_link_cut(link, number);
    clear(&end->back);
    arrive_lost(link, number);
    return true;
  }
  struct model_item *item = first_of(&end->back);
  if (!item) return false;
  list_remove(&item->link);
  const struct link_events *events = link->link.events;
  if (item->type == ITEM_REPLY) {
    list_remove(&item->command->link);
    item->command->on_reply(item->command, item->reply);
  } else if (item->type == ITEM_SUBSCRIBED) {
    events->on_subscribed(link->link.context, item->texts[0]);
  } else if (item->type == ITEM_PUSH) {
    events->on_message(link->link.context, item->texts[0], item->texts[1]);
  } else {
    arrive_lost(link, number);
  }
  item_free(item);
  return true;
}

/* ---- Life ------------------------------------------------------------------------------------- */

static void end_reset(struct model_end *end) {
  clear(&end->to_redis);
  clear(&end->back);
  for (size_t i = 0; i < MODEL_SUBSCRIPTIONS; i++) drop_subscription(&end->subscriptions[i]);
  end->is_open = end->is_seen = end->must_reset = false;
}

void model_link_reset(struct model_cluster *cluster, size_t node) {
  struct model_link *link = &cluster->links[node];
  drop_commands(link);
  for (size_t i = 0; i < 2; i++) {
    end_reset(&link->ends[i]);
    link->ends[i].open_ms = cluster->now_ms;
  }
  link->link = (struct link){.class = &model_class};
}

void model_cluster_init(struct model_cluster *cluster, uint64_t now_ms) {
  cluster->redis = redis_model_new(on_publish, cluster);
  cluster->now_ms = now_ms;
  cluster->is_up = true;
  cluster->run = 1;
  for (size_t i = 0; i < MODEL_NODES; i++) {
    struct model_link *link = &cluster->links[i];
    link->cluster = cluster;
    list_init(&link->commands);
    for (size_t j = 0; j < 2; j++) {
      list_init(&link->ends[j].to_redis);
      list_init(&link->ends[j].back);
    }
    model_link_reset(cluster, i);
  }
}

void model_cluster_deinit(struct model_cluster *cluster) {
  for (size_t i = 0; i < MODEL_NODES; i++) model_link_reset(cluster, i);
  redis_model_free(cluster->redis);
}
