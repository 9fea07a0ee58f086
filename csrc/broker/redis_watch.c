#include "broker/redis_watch.h"

#include "base/log_limit.h"
#include "base/status.h"

enum { WATCH_RETRY_MS = 2000, WATCH_PING_MS = 10000 };

static struct redis_watch *watch_of(struct redis_connection *redis) { return container_of(redis, struct redis_watch, redis); }

static void watch_wait(struct redis_watch *watch) {
  watch->next_sentinel++;
  watch->is_waiting = true;
  alarm_set(watch->alarm, WATCH_RETRY_MS);
}

static void watch_on_end(struct redis_connection *redis) {
  log_limited(MW_LOG_INFO, "sentinel connection failed: %s", redis->problem);
  watch_wait(watch_of(redis));
}

static void watch_on_login(struct link_command *command, const struct resp_value *reply) {
  (void)command;
  (void)reply; /* what follows is refused, too */
}

static void watch_on_ready(struct redis_connection *redis) {
  struct redis_watch *watch = watch_of(redis);
  const struct redis_url *sentinel = &watch->options->sentinels[watch->next_sentinel % watch->options->sentinel_count];
  struct bytes login[] = {BYTES("AUTH"), bytes_string(sentinel->username), bytes_string(sentinel->password)};
  struct bytes subscribe[] = {BYTES("SUBSCRIBE"), BYTES("+switch-master")};
  watch->login.on_reply = watch_on_login;
  if (sentinel->password[0]) {
    if (!sentinel->username[0]) login[1] = login[2];
    redis_connection_send(redis, login, sentinel->username[0] ? 3 : 2, &watch->login);
  }
  redis_connection_send(redis, subscribe, 2, NULL);
}

/* ["message", "+switch-master", "<name> <old host> <old port> <new host> <new port>"] */
static void watch_on_push(struct redis_connection *redis, const struct resp_value *push) {
  struct redis_watch *watch = watch_of(redis);
  watch->is_pinged = false;
  if (!bytes_equal(resp_text(resp_item(push, 0)), BYTES("message"))) return;
  struct bytes text = resp_text(resp_item(push, 2));
  if (bytes_equal(bytes_of(text.ptr, bytes_find(text, ' ')), bytes_string(watch->options->url.host))) watch->on_switch(watch);
}

static void watch_begin(struct redis_watch *watch) {
  const struct redis_url *sentinel = &watch->options->sentinels[watch->next_sentinel % watch->options->sentinel_count];
  struct tls_options tls = {
      .name = bytes_string(sentinel->host), .ca_file = watch->options->ca_file, .is_unverified = watch->options->is_unverified};
  watch->is_waiting = watch->is_pinged = false;
  if (redis_connection_open(&watch->redis, watch->connections, sentinel, &tls) < 0)
    watch_wait(watch);
  else
    alarm_set(watch->alarm, WATCH_PING_MS);
}

static void watch_on_alarm(void *context) {
  struct redis_watch *watch = context;
  struct bytes ping[] = {BYTES("PING")};
  if (watch->is_waiting) {
    watch_begin(watch);
  } else if (watch->is_pinged || redis_connection_send(&watch->redis, ping, 1, NULL) < 0) {
    redis_connection_fail(&watch->redis, "the sentinel does not answer");
  } else {
    watch->is_pinged = true;
    alarm_set(watch->alarm, WATCH_PING_MS);
  }
}

int redis_watch_init(struct redis_watch *watch, const struct redis_link_options *options, struct connections *connections,
                     void (*on_switch)(struct redis_watch *watch)) {
  *watch = (struct redis_watch){.options = options, .connections = connections, .is_waiting = true, .on_switch = on_switch};
  watch->redis = (struct redis_connection){.on_ready = watch_on_ready, .on_push = watch_on_push, .on_end = watch_on_end};
  if (options->sentinel_count == 0) return 0;
  watch->alarm = alarm_new(connections->owner.loop, 0, 0, watch_on_alarm, watch);
  return watch->alarm ? 0 : MW_ENOMEM;
}

void redis_watch_deinit(struct redis_watch *watch) {
  alarm_free(watch->alarm);
  watch->alarm = NULL;
  redis_connection_close(&watch->redis);
}

void redis_watch_turn(struct redis_watch *watch) { redis_connection_flush(&watch->redis); }
