#include "broker/redis_end.h"

#include <stdio.h>

#include "base/log.h"
#include "base/random.h"
#include "base/status.h"
#include "broker/redis_greeting.h"
#include "broker/redis_sentinel.h"

enum { DELAY_MS = 100, DELAY_MAX_MS = 5000, ATTEMPT_MS = 5000, SILENCE_CHECK_MS = 1000 };

static struct redis_end *end_of(struct redis_connection *redis) { return container_of(redis, struct redis_end, redis); }

/* The allowed steps:  WAITING → ASKING → CONNECTING → GREETING → OPEN; every state → WAITING; without sentinels,
 * WAITING → CONNECTING. */
static void end_set_state(struct redis_end *end, enum redis_end_state state) { end->state = state; }

static uint32_t end_option(uint32_t value, uint32_t otherwise) { return value > 0 ? value : otherwise; }

/* ---- The log --------------------------------------------------------------------------------- */

static const char *end_name(const struct redis_end *end) { return end->which == LINK_COMMANDS ? "commands" : "pub/sub"; }

/* Writes the address, without secrets. */
static void end_write_address(const struct redis_end *end, char *out, size_t size) {
  const struct redis_url *url = end->options->sentinel_count > 0 && end->master.host[0] ? &end->master : &end->options->url;
  if (url->port == 0)
    snprintf(out, size, "unix:%s", url->host);
  else
    snprintf(out, size, "%s:%u", url->host, url->port);
}

/* One line when it is lost, and one for each further cause. */
static void end_log_problem(struct redis_end *end, const char *problem) {
  if (strcmp(end->logged, problem) == 0) return;
  char address[REDIS_HOST_MAX + 16];
  end_write_address(end, address, sizeof address);
  log_line(MW_LOG_WARNING, "redis connection failed: %s of %s: %s", end_name(end), address, problem);
  if (end->logged[0] == '\0') end->lost_ms = end->connections->owner.loop->clock.now_ms;
  snprintf(end->logged, sizeof end->logged, "%s", problem);
}

static void end_log_open(struct redis_end *end) {
  char address[REDIS_HOST_MAX + 16];
  end_write_address(end, address, sizeof address);
  if (end->logged[0] == '\0')
    log_line(MW_LOG_DEBUG, "redis connection open: %s of %s (run_id=%s)", end_name(end), address, end->run_id);
  else
    log_line(MW_LOG_INFO, "redis connection restored: %s of %s (run_id=%s, lost=%llu ms, attempts=%u)", end_name(end), address,
             end->run_id, (unsigned long long)(end->connections->owner.loop->clock.now_ms - end->lost_ms), end->attempts + 1);
  end->logged[0] = '\0';
}

/* ---- Attempts -------------------------------------------------------------------------------- */

/* Random between a half and the whole of a delay that doubles, so that not all servers come at
 * once. */
static uint32_t end_delay(const struct redis_end *end) {
  uint32_t delay = end_option(end->options->delay_ms, DELAY_MS), most = end_option(end->options->delay_max_ms, DELAY_MAX_MS);
  for (unsigned i = 0; i < end->attempts && delay < most; i++) delay *= 2;
  if (delay > most) delay = most;
  uint32_t random;
  random_fill(&random, sizeof random);
  return delay / 2 + random % (delay / 2 + 1);
}

static void end_wait(struct redis_end *end) {
  end_set_state(end, REDIS_END_WAITING);
  end->reset_reason = NULL;
  alarm_set(end->alarm, end_delay(end));
  if (end->attempts < 16) end->attempts++;
}

/* The connection is closed. */
static void end_lose(struct redis_end *end, const char *problem) {
  bool was_open = end->state == REDIS_END_OPEN;
  if (end->state == REDIS_END_ASKING) end->next_sentinel++;
  end_log_problem(end, problem);
  end_wait(end);
  if (was_open)
    end->events.on_lost(end, problem);
  else
    end->events.on_failed(end, bytes_string(end->error));
}

static void end_on_end(struct redis_connection *redis) { end_lose(end_of(redis), redis->problem); }

static void end_open(struct redis_end *end, const struct redis_url *url) {
  struct tls_options tls = {.name = bytes_string(end->options->url.host),
                            .ca_file = end->options->ca_file,
                            .is_unverified = end->options->is_unverified};
  if (end->options->sentinel_count > 0) tls.name = bytes_string(url->host);
  if (redis_connection_open(&end->redis, end->connections, url, &tls) < 0) end_lose(end, end->redis.problem);
}

static void end_connect(struct redis_end *end, const struct redis_url *url) {
  end_set_state(end, REDIS_END_CONNECTING);
  end_open(end, url);
}

static void end_begin_attempt(struct redis_end *end) {
  end->error[0] = '\0';
  alarm_set(end->alarm, end_option(end->options->attempt_ms, ATTEMPT_MS));
  if (end->options->sentinel_count == 0) {
    end_connect(end, &end->options->url);
    return;
  }
  end_set_state(end, REDIS_END_ASKING);
  end->has_master = false;
  end_open(end, &end->options->sentinels[end->next_sentinel % end->options->sentinel_count]);
}

static void end_on_alarm(void *context) {
  struct redis_end *end = context;
  switch (end->state) {
    case REDIS_END_WAITING: end_begin_attempt(end); return;
    case REDIS_END_ASKING: redis_connection_fail(&end->redis, "the sentinel does not answer"); return;
    case REDIS_END_CONNECTING: redis_connection_fail(&end->redis, "cannot connect: timed out"); return;
    case REDIS_END_GREETING: redis_connection_fail(&end->redis, "no reply to the first commands"); return;
    case REDIS_END_OPEN: break;
  }
  /* One that is lost sooner, such as by the owner, whose scripts are refused, is like one that fails. */
  end->attempts = 0;
  if (redis_connection_is_silent(&end->redis))
    redis_connection_fail(&end->redis, "no reply for 10 s");
  else
    alarm_set(end->alarm, SILENCE_CHECK_MS);
}

/* ---- The greeting ---------------------------------------------------------------------------- */

static void end_on_greeting(struct link_command *command, const struct resp_value *reply, struct redis_end *end) {
  (void)command;
  if (!reply || end->reset_reason) return;
  const char *problem = redis_greeting_take(end, reply, end->reason);
  if (problem) {
    end->reset_reason = end->reason;
    return;
  }
  if (!redis_greeting_is_complete(end)) return;
  end_log_open(end);
  end_set_state(end, REDIS_END_OPEN);
  alarm_set(end->alarm, SILENCE_CHECK_MS);
  end->events.on_open(end);
}

static void end_take_master(struct redis_end *end, const struct resp_value *reply) {
  end->master = end->options->url;
  end->has_master = redis_sentinel_read(reply, &end->master);
  if (end->has_master) return;
  if (reply->type == RESP_ERROR)
    snprintf(end->reason, sizeof end->reason, "the sentinel refuses: %.*s", reply->text.len < 150 ? (int)reply->text.len : 150,
             reply->text.ptr);
  else
    snprintf(end->reason, sizeof end->reason, "the sentinel does not know a master named \"%.100s\"", end->options->url.host);
  end->reset_reason = end->reason;
}

static void end_on_reply(struct link_command *command, const struct resp_value *reply) {
  /* which of the greeting's commands it is does not matter: they are answered in their order */
  struct redis_end *end = ((struct end_command *)(void *)command)->end;
  if (end->state == REDIS_END_GREETING) end_on_greeting(command, reply, end);
  if (end->state == REDIS_END_ASKING && reply && command == &end->greeting[0].command) end_take_master(end, reply);
}

static int end_ask(struct redis_end *end) {
  for (size_t i = 0; i < 2; i++) end->greeting[i] = (struct end_command){.command = {.on_reply = end_on_reply}, .end = end};
  return redis_sentinel_ask(&end->redis, &end->options->sentinels[end->next_sentinel % end->options->sentinel_count],
                            end->options->url.host, &end->greeting[1].command, &end->greeting[0].command);
}

static void end_on_ready(struct redis_connection *redis) {
  struct redis_end *end = end_of(redis);
  int status;
  if (end->state == REDIS_END_ASKING) {
    status = end_ask(end);
  } else {
    end_set_state(end, REDIS_END_GREETING);
    status = redis_greeting_send(end, end_on_reply);
  }
  if (status < 0) redis_end_reset(end, mw_status_text(status));
}

static void end_on_push(struct redis_connection *redis, const struct resp_value *push) {
  struct redis_end *end = end_of(redis);
  if (end->state == REDIS_END_OPEN && end->which == LINK_PUSHES)
    end->events.on_push(end, push);
  else
    redis_end_reset(end, "an unexpected reply");
}

/* ---- Life ------------------------------------------------------------------------------------ */

int redis_end_init(struct redis_end *end, enum link_end which, const struct redis_link_options *options,
                   struct connections *connections) {
  *end = (struct redis_end){.which = which, .options = options, .connections = connections};
  end->redis = (struct redis_connection){.on_ready = end_on_ready, .on_push = end_on_push, .on_end = end_on_end};
  end->alarm = alarm_new(connections->owner.loop, 0, 0, end_on_alarm, end);
  return end->alarm ? 0 : MW_ENOMEM;
}

void redis_end_deinit(struct redis_end *end) {
  alarm_free(end->alarm);
  end->alarm = NULL;
  redis_connection_close(&end->redis);
}

void redis_end_reset(struct redis_end *end, const char *reason) {
  if (end->reset_reason || !end->redis.connection) return;
  snprintf(end->reason, sizeof end->reason, "%s", reason);
  end->reset_reason = end->reason;
}

void redis_end_turn(struct redis_end *end) {
  if (end->reset_reason) {
    char reason[REDIS_PROBLEM_SIZE];
    snprintf(reason, sizeof reason, "%s", end->reset_reason);
    redis_connection_fail(&end->redis, reason);
  } else if (end->state == REDIS_END_ASKING && end->has_master) {
    redis_connection_close(&end->redis);
    end_connect(end, &end->master);
  } else {
    redis_connection_flush(&end->redis);
  }
}
