#include "broker/redis_watch.h"

#include "base/log_limit.h"
#include "base/status.h"
#include "broker/redis_sentinel.h"

enum { WATCH_RETRY_MS = 2000, WATCH_PING_MS = 10000 };

static struct redis_watch *watch_of(struct redis_connection *redis) { return container_of(redis, struct redis_watch, redis); }

static void watch_wait(struct redis_watch *watch) {
  watch->next_sentinel++;
  watch->is_waiting = true;
  alarm_set(watch->alarm, watch->options->delay_max_ms > 0 ? watch->options->delay_max_ms : WATCH_RETRY_MS);
}

static void watch_on_end(struct redis_connection *redis) {
  log_limited(MW_LOG_INFO, "sentinel connection failed: %s", redis->problem);
  watch_wait(watch_of(redis));
}

static void watch_on_login(struct link_command *command, const struct resp_value *reply) {
  (void)command;
  (void)reply; /* what follows is refused, too */
}

static void watch_on_answer(struct link_command *command, const struct resp_value *reply) {
  struct redis_watch *watch = container_of(command, struct redis_watch, question);
  struct redis_url master;
  if (redis_sentinel_read(reply, &master)) watch->on_master(watch, &master);
}

/* Both commands are one write, so the sentinel carries them out together: no change falls between the
 * answer and the subscription. */
static void watch_on_ready(struct redis_connection *redis) {
  struct redis_watch *watch = watch_of(redis);
  struct bytes subscribe[] = {BYTES("SUBSCRIBE"), BYTES("+switch-master")};
  watch->login.on_reply = watch_on_login;
  watch->question.on_reply = watch_on_answer;
  redis_sentinel_ask(redis, &watch->options->sentinels[watch->next_sentinel % watch->options->sentinel_count],
                     watch->options->url.host, &watch->login, &watch->question);
  redis_connection_send(redis, subscribe, 2, NULL);
}

/* Takes the text up to the next space. */
static struct bytes watch_take_word(struct bytes *text) {
  struct bytes word = bytes_of(text->ptr, bytes_find(*text, ' '));
  size_t used = word.len < text->len ? word.len + 1 : word.len;
  *text = bytes_of(text->ptr + used, text->len - used);
  return word;
}

/* ["message", "+switch-master", "<name> <old host> <old port> <new host> <new port>"] */
static void watch_on_push(struct redis_connection *redis, const struct resp_value *push) {
  struct redis_watch *watch = watch_of(redis);
  watch->is_pinged = false;
  struct bytes text = resp_text(resp_item(push, 2)), words[5];
  if (text.len == 0 || !bytes_equal(resp_text(resp_item(push, 0)), BYTES("message"))) return;
  for (size_t i = 0; i < 5; i++) words[i] = watch_take_word(&text);
  uint64_t port;
  struct redis_url master;
  if (!bytes_equal(words[0], bytes_string(watch->options->url.host))) return;
  if (words[3].len > REDIS_HOST_MAX || !bytes_to_u64(words[4], &port) || port > 65535) return;
  memcpy(master.host, words[3].ptr, words[3].len);
  master.host[words[3].len] = '\0';
  master.port = (uint16_t)port;
  watch->on_master(watch, &master);
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
                     void (*on_master)(struct redis_watch *watch, const struct redis_url *master)) {
  *watch = (struct redis_watch){.options = options, .connections = connections, .is_waiting = true, .on_master = on_master};
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
