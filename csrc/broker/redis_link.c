#include "broker/redis_link.h"

#include "base/memory.h"
#include "base/status.h"
#include "broker/redis_end.h"
#include "broker/redis_watch.h"

struct redis_link {
  struct link link;
  struct redis_link_options options;
  struct redis_end commands, pushes;
  struct redis_watch watch;
};

static struct redis_link *link_of(struct link *link) { return container_of(link, struct redis_link, link); }

static struct redis_link *link_of_end(struct redis_end *end) {
  return end->which == LINK_COMMANDS ? container_of(end, struct redis_link, commands)
                                     : container_of(end, struct redis_link, pushes);
}

/* ---- Events ---------------------------------------------------------------------------------- */

static void link_on_open(struct redis_end *end) {
  struct link *link = &link_of_end(end)->link;
  link->events->on_open(link->context, end->which, bytes_string(end->run_id));
}

static void link_on_lost(struct redis_end *end, const char *problem) {
  struct link *link = &link_of_end(end)->link;
  link->events->on_lost(link->context, end->which, problem);
}

static void link_on_failed(struct redis_end *end, struct bytes error) {
  struct link *link = &link_of_end(end)->link;
  link->events->on_failed(link->context, end->which, error);
}

/* ["message", channel, payload] and ["subscribe", channel, count]. Everything else is of no
 * interest, such as ["unsubscribe", channel, count]. */
static void link_on_push(struct redis_end *end, const struct resp_value *push) {
  struct link *link = &link_of_end(end)->link;
  struct bytes kind = resp_text(resp_item(push, 0)), channel = resp_text(resp_item(push, 1));
  const struct resp_value *payload = resp_item(push, 2);
  if (push->type == RESP_ERROR)
    redis_end_reset(end, push->text.ptr);
  else if (payload && bytes_equal(kind, BYTES("message")))
    link->events->on_message(link->context, channel, resp_text(payload));
  else if (payload && bytes_equal(kind, BYTES("subscribe")))
    link->events->on_subscribed(link->context, channel);
}

static void link_leave_other_master(struct redis_end *end, const struct redis_url *master) {
  if (end->state == REDIS_END_WAITING || !end->has_master) return;
  if (end->master.port == master->port && strcmp(end->master.host, master->host) == 0) return;
  redis_end_reset(end, "another Redis has become the master");
}

static void link_on_master(struct redis_watch *watch, const struct redis_url *master) {
  struct redis_link *redis = container_of(watch, struct redis_link, watch);
  link_leave_other_master(&redis->commands, master);
  link_leave_other_master(&redis->pushes, master);
}

/* ---- What the owner calls -------------------------------------------------------------------- */

static bool end_is_usable(const struct redis_end *end) { return end->state == REDIS_END_OPEN && !end->reset_reason; }

static int link_send(struct link *link, const struct bytes *arguments, size_t count, struct link_command *command) {
  struct redis_link *redis = link_of(link);
  if (!end_is_usable(&redis->commands)) return MW_ECLOSED;
  return redis_connection_send(&redis->commands.redis, arguments, count, command);
}

/* Sends the arguments after `first`, in one list. */
static int link_send_list(struct redis_end *end, const struct bytes *first, size_t first_count, const struct bytes *arguments,
                          size_t count, struct link_command *command) {
  enum { ON_STACK = 32 };
  struct bytes some[ON_STACK], *list = some;
  if (!end_is_usable(end)) return MW_ECLOSED;
  if (first_count + count > ON_STACK && !(list = memory_calloc(first_count + count, sizeof *list))) return MW_ENOMEM;
  memcpy(list, first, first_count * sizeof *list);
  if (count > 0) memcpy(list + first_count, arguments, count * sizeof *list);
  int status = redis_connection_send(&end->redis, list, first_count + count, command);
  if (list != some) memory_free(list);
  return status;
}

static int link_run(struct link *link, size_t script, size_t key_count, const struct bytes *arguments, size_t count,
                    struct link_command *command) {
  struct redis_end *end = &link_of(link)->commands;
  char digits[20];
  size_t at = sizeof digits, rest = key_count;
  do digits[--at] = (char)('0' + rest % 10);
  while ((rest /= 10) > 0);
  struct bytes first[] = {BYTES("EVALSHA"), bytes_string(end->shas[script]), bytes_of(digits + at, sizeof digits - at)};
  return link_send_list(end, first, 3, arguments, count, command);
}

static int link_subscribe(struct link *link, const struct bytes *channels, size_t count) {
  struct bytes first[] = {BYTES("SUBSCRIBE")};
  return link_send_list(&link_of(link)->pushes, first, 1, channels, count, NULL);
}

static int link_unsubscribe(struct link *link, const struct bytes *channels, size_t count) {
  struct bytes first[] = {BYTES("UNSUBSCRIBE")};
  /* without a name, it would end all subscriptions */
  return count == 0 ? 0 : link_send_list(&link_of(link)->pushes, first, 1, channels, count, NULL);
}

static void link_reset(struct link *link, enum link_end end, const char *reason) {
  struct redis_link *redis = link_of(link);
  redis_end_reset(end == LINK_COMMANDS ? &redis->commands : &redis->pushes, reason);
}

static const struct link_class redis_link_class = {
    .send = link_send,
    .run = link_run,
    .subscribe = link_subscribe,
    .unsubscribe = link_unsubscribe,
    .reset = link_reset,
};

/* ---- Life ------------------------------------------------------------------------------------ */

static void link_set_up_ends(struct redis_link *redis) {
  redis->commands.events.on_open = redis->pushes.events.on_open = link_on_open;
  redis->commands.events.on_lost = redis->pushes.events.on_lost = link_on_lost;
  redis->commands.events.on_failed = redis->pushes.events.on_failed = link_on_failed;
  redis->commands.events.on_push = redis->pushes.events.on_push = link_on_push;
}

int redis_link_new(struct link **link, const struct redis_link_options *options, struct connections *connections) {
  if (options->script_count > REDIS_SCRIPTS_MAX || options->sentinel_count > REDIS_SENTINELS_MAX) return MW_EINVAL;
  struct redis_link *redis = memory_calloc(1, sizeof *redis);
  if (!redis) return MW_ENOMEM;
  redis->link.class = &redis_link_class;
  redis->options = *options;
  for (size_t i = 0; i < options->sentinel_count; i++) redis->options.sentinels[i].is_tls = options->url.is_tls;
  int commands = redis_end_init(&redis->commands, LINK_COMMANDS, &redis->options, connections);
  int pushes = redis_end_init(&redis->pushes, LINK_PUSHES, &redis->options, connections);
  int watch = redis_watch_init(&redis->watch, &redis->options, connections, link_on_master);
  link_set_up_ends(redis);
  *link = &redis->link;
  if (commands == 0 && pushes == 0 && watch == 0) return 0;
  redis_link_free(&redis->link);
  *link = NULL;
  return MW_ENOMEM;
}

void redis_link_turn(struct link *link) {
  struct redis_link *redis = link_of(link);
  redis_end_turn(&redis->commands);
  redis_end_turn(&redis->pushes);
  redis_watch_turn(&redis->watch);
}

void redis_link_free(struct link *link) {
  if (!link) return;
  struct redis_link *redis = link_of(link);
  redis_end_deinit(&redis->commands);
  redis_end_deinit(&redis->pushes);
  redis_watch_deinit(&redis->watch);
  memory_free(redis);
}
