#include "broker/redis_greeting.h"

#include <stdio.h>

#include "base/status.h"

/* The commands of the greeting, in this order. Some are left out. */
enum greeting_step { GREETING_LOGIN, GREETING_SELECT, GREETING_INFO, GREETING_ROLE, GREETING_SCRIPTS };

static bool greeting_has(const struct redis_end *end, enum greeting_step step) {
  const struct redis_url *url = &end->options->url;
  switch (step) {
    case GREETING_LOGIN: return url->password[0] != '\0';
    case GREETING_SELECT: return url->db != 0;
    case GREETING_INFO: return true;
    case GREETING_ROLE: return true;
    case GREETING_SCRIPTS: return end->which == LINK_COMMANDS;
  }
  return false;
}

/* Returns the step of the command with that index. */
static enum greeting_step greeting_step_of(const struct redis_end *end, size_t index) {
  for (int step = GREETING_LOGIN; step < GREETING_SCRIPTS; step++)
    if (greeting_has(end, (enum greeting_step)step) && index-- == 0) return (enum greeting_step)step;
  return GREETING_SCRIPTS;
}

/* ---- Sending --------------------------------------------------------------------------------- */

static int greeting_send(struct redis_end *end, const struct bytes *arguments, size_t count) {
  struct link_command *command = &end->greeting[end->greeting_count++].command;
  return redis_connection_send(&end->redis, arguments, count, command);
}

static int greeting_send_step(struct redis_end *end, enum greeting_step step) {
  const struct redis_url *url = &end->options->url;
  char db[16];
  struct bytes arguments[3];
  switch (step) {
    case GREETING_LOGIN: {
      size_t count = 0;
      arguments[count++] = BYTES("AUTH");
      if (url->username[0]) arguments[count++] = bytes_string(url->username);
      arguments[count++] = bytes_string(url->password);
      return greeting_send(end, arguments, count);
    }
    case GREETING_SELECT:
      snprintf(db, sizeof db, "%u", url->db);
      arguments[0] = BYTES("SELECT");
      arguments[1] = bytes_string(db);
      return greeting_send(end, arguments, 2);
    case GREETING_INFO:
      arguments[0] = BYTES("INFO");
      arguments[1] = BYTES("server");
      return greeting_send(end, arguments, 2);
    case GREETING_ROLE: arguments[0] = BYTES("ROLE"); return greeting_send(end, arguments, 1);
    case GREETING_SCRIPTS: break;
  }
  int status = 0;
  for (size_t i = 0; i < end->options->script_count && status == 0; i++) {
    arguments[0] = BYTES("SCRIPT");
    arguments[1] = BYTES("LOAD");
    arguments[2] = end->options->scripts[i].text;
    status = greeting_send(end, arguments, 3);
  }
  return status;
}

int redis_greeting_send(struct redis_end *end, void (*on_reply)(struct link_command *command, const struct resp_value *reply)) {
  end->greeting_count = end->greeting_at = end->script_at = 0;
  end->run_id[0] = '\0';
  for (size_t i = 0; i < REDIS_GREETING_MAX; i++)
    end->greeting[i] = (struct end_command){.command = {.on_reply = on_reply}, .end = end};
  int status = 0;
  for (int step = GREETING_LOGIN; step <= GREETING_SCRIPTS && status == 0; step++)
    if (greeting_has(end, (enum greeting_step)step)) status = greeting_send_step(end, (enum greeting_step)step);
  return status;
}

/* ---- Receiving ------------------------------------------------------------------------------- */

/* Finds the line "run_id:<hex>" in the reply to INFO. */
static bool greeting_read_run_id(struct redis_end *end, struct bytes info) {
  static const struct bytes name = {"run_id:", 7};
  while (info.len > 0) {
    size_t len = bytes_find(info, '\n');
    struct bytes line = bytes_of(info.ptr, len);
    if (bytes_starts_with(line, name)) {
      struct bytes id = bytes_of(line.ptr + name.len, line.len - name.len);
      if (id.len > 0 && id.ptr[id.len - 1] == '\r') id.len--;
      if (id.len == 0 || id.len > REDIS_RUN_ID_MAX || memchr(id.ptr, ' ', id.len)) return false;
      memcpy(end->run_id, id.ptr, id.len);
      end->run_id[id.len] = '\0';
      return true;
    }
    size_t used = len < info.len ? len + 1 : len;
    info = bytes_of(info.ptr + used, info.len - used);
  }
  return false;
}

static bool greeting_read_sha(struct redis_end *end, struct bytes sha) {
  if (sha.len != REDIS_SHA_SIZE - 1 || end->script_at >= REDIS_SCRIPTS_MAX) return false;
  memcpy(end->shas[end->script_at], sha.ptr, sha.len);
  end->shas[end->script_at++][sha.len] = '\0';
  return true;
}

/* Notes with what Redis has refused the greeting. */
static void greeting_note_error(struct redis_end *end, struct bytes error) {
  snprintf(end->error, sizeof end->error, "%.*s", (int)(error.len < sizeof end->error ? error.len : sizeof end->error - 1),
           error.ptr);
}

const char *redis_greeting_take(struct redis_end *end, const struct resp_value *reply, char problem[REDIS_PROBLEM_SIZE]) {
  static const char *const names[] = {"AUTH", "SELECT", "INFO", "ROLE", "SCRIPT LOAD"};
  enum greeting_step step = greeting_step_of(end, end->greeting_at++);
  bool may_fail = step == GREETING_ROLE && end->options->sentinel_count == 0; /* a user may not be allowed it */
  if (reply->type == RESP_ERROR && may_fail) return NULL;
  if (reply->type == RESP_ERROR) {
    int len = reply->text.len < REDIS_PROBLEM_SIZE / 2 ? (int)reply->text.len : REDIS_PROBLEM_SIZE / 2;
    snprintf(problem, REDIS_PROBLEM_SIZE, "%s: %.*s", names[step], len, reply->text.ptr);
    greeting_note_error(end, reply->text);
    return problem;
  }
  bool ok = true;
  if (step == GREETING_INFO) ok = greeting_read_run_id(end, resp_text(reply));
  if (step == GREETING_SCRIPTS) ok = greeting_read_sha(end, resp_text(reply));
  if (step == GREETING_ROLE && !bytes_equal(resp_text(resp_item(reply, 0)), BYTES("master"))) {
    greeting_note_error(end, BYTES("READONLY"));
    snprintf(problem, REDIS_PROBLEM_SIZE, "this Redis is a replica: the broker needs the primary");
    return problem;
  }
  if (ok) return NULL;
  snprintf(problem, REDIS_PROBLEM_SIZE, "unexpected reply to %s: is this a Redis?", names[step]);
  return problem;
}

bool redis_greeting_is_complete(const struct redis_end *end) { return end->greeting_at == end->greeting_count; }
