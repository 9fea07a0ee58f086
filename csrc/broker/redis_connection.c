#include "broker/redis_connection.h"

#include <stdio.h>

#include "base/memory.h"
#include "base/status.h"

static uint64_t connection_now_ms(const struct redis_connection *redis) { return redis->loop->clock.now_ms; }

/* Frees what belongs to the connection. Each command learns that its reply is lost. */
static void redis_drop(struct redis_connection *redis) {
  struct connection *connection = redis->connection;
  redis->connection = NULL;
  redis->is_ready = false;
  if (connection) connection_close(connection);
  resp_reader_deinit(&redis->reader);
  buffer_deinit(&redis->out);
  /* A command that is called may send another, which fails: it is not in the list. */
  while (!list_empty(&redis->sent)) {
    struct link_command *command = container_of(redis->sent.next, struct link_command, link);
    list_remove(&command->link);
    redis->sent_count--;
    command->on_reply(command, NULL);
  }
}

void redis_connection_close(struct redis_connection *redis) {
  if (redis->connection) redis_drop(redis);
}

void redis_connection_fail(struct redis_connection *redis, const char *problem) {
  if (!redis->connection) return;
  if (problem != redis->problem) snprintf(redis->problem, sizeof redis->problem, "%s", problem);
  redis_drop(redis);
  redis->on_end(redis);
}

/* ---- Receiving ------------------------------------------------------------------------------- */

static bool is_noscript(const struct resp_value *reply) {
  return reply->type == RESP_ERROR && bytes_starts_with(reply->text, BYTES("NOSCRIPT"));
}

/* Hands a reply on. Returns false if the connection has ended. */
static bool redis_dispatch(struct redis_connection *redis, const struct resp_value *reply) {
  if (list_empty(&redis->sent)) {
    redis->on_push(redis, reply);
    return redis->connection != NULL;
  }
  if (is_noscript(reply)) {
    /* Redis has lost the scripts. What follows in the pipeline may not be carried out before what
     * failed. */
    redis_connection_fail(redis, "the scripts are gone (NOSCRIPT)");
    return false;
  }
  struct link_command *command = container_of(redis->sent.next, struct link_command, link);
  list_remove(&command->link);
  redis->sent_count--;
  command->on_reply(command, reply);
  return redis->connection != NULL;
}

/* Returns false if the connection has ended. */
static bool redis_read_replies(struct redis_connection *redis) {
  struct resp_value *reply;
  int status;
  while ((status = resp_next(&redis->reader, &reply)) == 0) {
    bool goes_on = redis_dispatch(redis, reply);
    resp_value_free(reply);
    if (!goes_on) return false;
  }
  if (status == MW_PENDING) return true;
  snprintf(redis->problem, sizeof redis->problem, "invalid reply: %s", redis->reader.problem);
  redis_connection_fail(redis, redis->problem);
  return false;
}

/* Returns false if the connection has ended. */
static bool redis_receive(struct redis_connection *redis) {
  struct bytes received;
  /* again, since TLS may have more than was kept */
  while ((received = connection_received(redis->connection)).len > 0) {
    redis->heard_ms = connection_now_ms(redis);
    int status = resp_feed(&redis->reader, received);
    if (status < 0) {
      redis_connection_fail(redis, "out of memory");
      return false;
    }
    connection_consume(redis->connection, received.len);
    if (!redis_read_replies(redis)) return false;
  }
  return true;
}

/* ---- Connecting ------------------------------------------------------------------------------ */

static void redis_fail_with(struct redis_connection *redis, const char *what) {
  char problem[REDIS_PROBLEM_SIZE];
  snprintf(problem, sizeof problem, "%s: %s", what, connection_problem(redis->connection));
  redis_connection_fail(redis, problem);
}

static void redis_on_change(void *context) {
  struct redis_connection *redis = context;
  int status = connection_status(redis->connection);
  if (status == MW_PENDING) return;
  if (status < 0) {
    redis_fail_with(redis, "cannot connect");
    return;
  }
  if (redis->is_tls) {
    redis->is_tls = false;
    if (connection_encrypt(redis->connection, &redis->tls) < 0) {
      redis_fail_with(redis, "cannot encrypt");
      return;
    }
    if (connection_status(redis->connection) == MW_PENDING) return;
  }
  if (!redis->is_ready) {
    redis->is_ready = true;
    redis->heard_ms = connection_now_ms(redis);
    redis->on_ready(redis);
    if (!redis->connection) return;
  }
  if (!redis_receive(redis)) return;
  if (connection_ended(redis->connection) != 0)
    redis_fail_with(redis, "lost");
  else
    redis_connection_flush(redis);
}

int redis_connection_open(struct redis_connection *redis, struct connections *connections, const struct redis_url *url,
                          const struct tls_options *tls) {
  redis->loop = connections->owner.loop;
  redis->is_tls = url->is_tls;
  redis->is_ready = false;
  redis->tls = *tls;
  redis->problem[0] = '\0';
  redis->sent_count = 0;
  list_init(&redis->sent);
  resp_reader_init(&redis->reader);
  buffer_init(&redis->out);
  struct connection_target target = {.host = bytes_string(url->host), .port = url->port};
  int status = connection_open(&redis->connection, connections, &target, redis_on_change, redis);
  if (status == 0) return 0;
  redis->connection = NULL;
  snprintf(redis->problem, sizeof redis->problem, "cannot connect: %s", mw_status_text(status));
  return status;
}

/* ---- Sending --------------------------------------------------------------------------------- */

int redis_connection_send(struct redis_connection *redis, const struct bytes *arguments, size_t count,
                          struct link_command *command) {
  if (!redis->connection || !redis->is_ready) return MW_ECLOSED;
  size_t unsent = redis->out.len + connection_unsent(redis->connection), len = 0;
  for (size_t i = 0; i < count; i++) len += arguments[i].len;
  if (redis->sent_count >= REDIS_PIPELINE_MAX || len > REDIS_UNSENT_MAX || unsent > REDIS_UNSENT_MAX - len)
    return MW_EUNAVAILABLE;
  int status = resp_write(&redis->out, arguments, count);
  if (status < 0) {
    redis->out.failed = false; /* it is as before: the command was not written in part */
    return status;
  }
  if (!command) return 0;
  if (list_empty(&redis->sent)) redis->heard_ms = connection_now_ms(redis);
  list_append(&redis->sent, &command->link);
  redis->sent_count++;
  return 0;
}

void redis_connection_flush(struct redis_connection *redis) {
  if (!redis->connection || redis->out.len == 0) return;
  /* A failure is reported by the connection as that of a peer that has closed it. */
  int status = connection_send(redis->connection, buffer_bytes(&redis->out));
  if (status == 0) buffer_clear(&redis->out);
  if (status < 0) redis_fail_with(redis, "cannot send");
}

bool redis_connection_is_silent(const struct redis_connection *redis) {
  if (!redis->connection || !redis->is_ready || list_empty(&redis->sent)) return false;
  return connection_now_ms(redis) - redis->heard_ms >= REDIS_SILENCE_MS;
}
