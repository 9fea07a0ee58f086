#include "broker/redis_link.h"

#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/status.h"
#include "broker/redis_connection.h"
#include "net/alarm.h"
#include "test/support.h"
#include "test/support/redis/fake_redis.h"

enum { PATIENCE_MS = 60000, COMMANDS_MAX = 20000 };

static struct loop loop;
static struct connections connections;
static struct link *redis;
static struct redis_link_options options;
static struct fake_redis fake, sentinel;
static bool has_sentinel;
static char path[64], log_text[8192], failed[64];
static bool has_no_use; /* the owner resets each connection when it is open */

/* What the owner of the link was notified of: "open commands run1; message c p; ..." */
static struct buffer told;

static const struct link_script scripts[] = {{"one", {"return 1", 8}}, {"two", {"return 2", 8}}};

/* ---- The owner ------------------------------------------------------------------------------- */

static const char *name_of(enum link_end end) { return end == LINK_COMMANDS ? "commands" : "pushes"; }

static void note_open(void *context, enum link_end end, struct bytes run_id) {
  (void)context;
  buffer_append_format(&told, "open %s %.*s; ", name_of(end), (int)run_id.len, run_id.ptr);
  if (has_no_use) redis->class->reset(redis, end, "of no use");
}

static void note_lost(void *context, enum link_end end, const char *problem) {
  (void)context;
  buffer_append_format(&told, "lost %s (%s); ", name_of(end), problem);
}

static void note_failed(void *context, enum link_end end, struct bytes error) {
  (void)context, (void)end;
  snprintf(failed, sizeof failed, "%.*s", (int)error.len, error.ptr);
}

static void note_subscribed(void *context, struct bytes channel) {
  (void)context;
  buffer_append_format(&told, "subscribed %.*s; ", (int)channel.len, channel.ptr);
}

static void note_message(void *context, struct bytes channel, struct bytes payload) {
  (void)context;
  buffer_append_format(&told, "message %.*s %.*s; ", (int)channel.len, channel.ptr, (int)payload.len, payload.ptr);
}

static const struct link_events events = {note_open, note_lost, note_failed, note_subscribed, note_message};

struct question {
  struct link_command command;
  unsigned number;
};

static struct question questions[COMMANDS_MAX];
static size_t asked, answered;

static void on_reply(struct link_command *command, const struct resp_value *reply) {
  struct question *question = container_of(command, struct question, command);
  assert_int_equal(question->number, answered); /* always in the order of sending */
  answered++;
  if (answered > 64) return;
  if (!reply)
    buffer_append_string(&told, "nothing; ");
  else if (reply->type == RESP_ERROR || resp_text(reply).ptr)
    buffer_append_format(&told, "reply %.*s; ", reply->text.len < 40 ? (int)reply->text.len : 40, reply->text.ptr);
  else
    buffer_append_string(&told, "reply; ");
}

static struct link_command *next_question(void) {
  struct question *question = &questions[asked];
  *question = (struct question){.command = {.on_reply = on_reply}, .number = (unsigned)asked};
  return &question->command;
}

static int ask(const char *word, const char *argument) {
  struct bytes arguments[] = {bytes_string(word), bytes_string(argument)};
  int status = redis->class->send(redis, arguments, 2, next_question());
  if (status == 0) asked++;
  return status;
}

static bool is_traced(struct fake_redis *of, const char *text) {
  buffer_append_char(&of->trace, '\0');
  of->trace.len--;
  return strstr(of->trace.data, text) != NULL;
}

static bool is_told(const char *text) {
  buffer_append_char(&told, '\0');
  told.len--;
  return strstr(told.data, text) != NULL;
}

static unsigned count_told(const char *text) {
  unsigned count = 0;
  buffer_append_char(&told, '\0');
  told.len--;
  for (const char *at = told.data; (at = strstr(at, text)); at += strlen(text)) count++;
  return count;
}

/* ---- Running --------------------------------------------------------------------------------- */

static void on_turn(struct loop *turning) {
  (void)turning;
  if (redis) redis_link_turn(redis);
}

static void step(uint64_t begun_ms, const char *condition) {
  loop_step(&loop);
  bool did = fake_redis_step(&fake);
  if (has_sentinel && fake_redis_step(&sentinel)) did = true;
  if (!did) poll(NULL, 0, 1);
  if (clock_system_ms() - begun_ms > PATIENCE_MS) {
    buffer_append_char(&told, '\0');
    fail_msg("still not: %s; told: %s", condition, told.data);
  }
}

#define until(condition)                                                                                                         \
  for (uint64_t begun_ms = clock_system_ms(); !(condition); step(begun_ms, #condition)) continue

static void on_log(void *context, enum mw_log_level level, const char *line, size_t len) {
  (void)context, (void)level;
  size_t at = strlen(log_text);
  snprintf(log_text + at, sizeof log_text - at, "%.*s\n", (int)len, line);
}

static int begin(void **state) {
  int status = support_setup(state);
  mw_log_to(MW_LOG_INFO, on_log, NULL);
  log_text[0] = '\0';
  assert_int_equal(loop_init(&loop, NULL, on_turn), 0);
  connections_init(&connections, &loop);
  buffer_init(&told);
  redis = NULL;
  asked = answered = 0;
  has_sentinel = has_no_use = false;
  snprintf(path, sizeof path, "/tmp/mw-redis-%ld", (long)getpid());
  fake_redis_begin(&fake, path);
  options = (struct redis_link_options){.delay_ms = 2, .delay_max_ms = 20, .scripts = scripts, .script_count = 2};
  snprintf(options.url.host, sizeof options.url.host, "%s", path);
  return status;
}

static int end(void **state) {
  redis_link_free(redis);
  redis = NULL;
  connections_close(&connections);
  loop_close(&loop, NULL);
  while (loop.open_count > 0) loop_run_once(&loop);
  connections_deinit(&connections);
  loop_deinit(&loop);
  fake_redis_end(&fake);
  if (has_sentinel) fake_redis_end(&sentinel);
  buffer_deinit(&told);
  mw_log_to(MW_LOG_INFO, NULL, NULL);
  return support_teardown(state);
}

static void start(void) {
  assert_int_equal(redis_link_new(&redis, &options, &connections), 0);
  redis->events = &events;
}

static void start_and_open(void) {
  start();
  until(is_told("open commands") && is_told("open pushes"));
  buffer_clear(&told);
}

/* ---- The greeting ---------------------------------------------------------------------------- */

static void greets_and_opens(void **state) {
  (void)state;
  start();
  until(is_told("open commands run1; ") && is_told("open pushes run1; "));
  assert_true(is_traced(&fake, "INFO server; ROLE; SCRIPT LOAD return 1; SCRIPT LOAD return 2; "));
  assert_int_equal(fake.script_count, 2); /* on the connection for commands alone */
  assert_false(is_traced(&fake, "AUTH"));
}

static void logs_in_and_selects(void **state) {
  (void)state;
  options.url.db = 3;
  snprintf(options.url.username, sizeof options.url.username, "app");
  snprintf(options.url.password, sizeof options.url.password, "secret");
  fake.password = "secret";
  start_and_open();
  assert_true(is_traced(&fake, "AUTH app secret; SELECT 3; INFO server; "));
}

static void names_what_is_refused(void **state) {
  (void)state;
  snprintf(options.url.password, sizeof options.url.password, "wrong");
  fake.password = "secret";
  start();
  until(fake.accepted >= 6);
  assert_int_equal(told.len, 0); /* it was never open */
  assert_non_null(strstr(log_text, "AUTH: WRONGPASS"));
  assert_null(strstr(log_text, "wrong\n"));
  fake.password = "wrong";
  until(is_told("open commands") && is_told("open pushes"));
  assert_non_null(strstr(log_text, "redis connection restored: commands"));
}

static void refuses_a_replica(void **state) {
  (void)state;
  fake.role = "slave";
  start();
  until(fake.accepted >= 4);
  assert_int_equal(told.len, 0);
  assert_non_null(strstr(log_text, "this Redis is a replica"));
}

static void waits_for_a_redis_that_is_not_there(void **state) {
  (void)state;
  fake_redis_end(&fake);
  start();
  until(strstr(log_text, "pub/sub") && strstr(log_text, "commands"));
  fake_redis_begin(&fake, path);
  until(is_told("open commands") && is_told("open pushes"));
  /* one line for each, however often it was tried */
  const char *first = strstr(log_text, "failed: commands");
  assert_non_null(first);
  assert_null(strstr(first + 1, "failed: commands"));
}

static void gives_up_an_attempt_without_an_answer(void **state) {
  (void)state;
  fake.is_silent = true;
  options.attempt_ms = 200;
  start();
  until(fake.accepted >= 4);
  assert_non_null(strstr(log_text, "no reply to the first commands"));
  fake.is_silent = false;
  fake_redis_drop_peers(&fake);
  until(is_told("open commands") && is_told("open pushes"));
}

static void reads_replies_byte_by_byte(void **state) {
  (void)state;
  fake.bytes_a_step = 1;
  start_and_open();
  assert_int_equal(ask("ECHO", "one"), 0);
  assert_int_equal(ask("ECHO", "two"), 0);
  until(answered == 2);
  assert_true(is_told("reply one; reply two; "));
}

/* ---- Commands -------------------------------------------------------------------------------- */

static void pipelines(void **state) {
  (void)state;
  struct bytes arguments[] = {BYTES("ECHO"), BYTES("early")};
  start();
  assert_int_equal(redis->class->send(redis, arguments, 2, next_question()), MW_ECLOSED);
  until(is_told("open commands"));
  for (int i = 0; i < REDIS_PIPELINE_MAX; i++) assert_int_equal(ask("ECHO", "x"), 0);
  assert_int_equal(ask("ECHO", "x"), MW_EUNAVAILABLE);
  until(answered == REDIS_PIPELINE_MAX);
  assert_int_equal(ask("ECHO", "x"), 0);
  until(answered == asked);
}

static bool answer_evalsha(struct fake_redis *of, struct fake_redis_peer *peer, const struct resp_value *command) {
  (void)of;
  if (!bytes_equal(resp_text(resp_item(command, 0)), BYTES("EVALSHA"))) return false;
  fake_redis_say(peer, "+ran\r\n");
  return true;
}

static void runs_scripts_by_number(void **state) {
  (void)state;
  fake.on_command = answer_evalsha;
  start_and_open();
  buffer_clear(&fake.trace);
  struct bytes arguments[] = {BYTES("key"), BYTES("value")};
  assert_int_equal(redis->class->run(redis, 1, 1, arguments, 2, next_question()), 0);
  asked++;
  until(answered == 1);
  assert_true(is_told("reply ran; "));
  assert_bytes_string(buffer_bytes(&fake.trace), "EVALSHA 0000000000000000000000000000000000000002 1 key value; ");
}

static bool answer_noscript(struct fake_redis *of, struct fake_redis_peer *peer, const struct resp_value *command) {
  (void)of;
  if (!bytes_equal(resp_text(resp_item(command, 1)), BYTES("gone"))) return false;
  fake_redis_say(peer, "-NOSCRIPT No matching script. Please use EVAL.\r\n");
  return true;
}

static void takes_noscript_for_a_lost_connection(void **state) {
  (void)state;
  fake.on_command = answer_noscript;
  start_and_open();
  assert_int_equal(ask("ECHO", "before"), 0);
  assert_int_equal(ask("ECHO", "gone"), 0);
  assert_int_equal(ask("ECHO", "after"), 0);
  until(is_told("open commands"));
  assert_true(is_told("reply before; nothing; nothing; lost commands (the scripts are gone (NOSCRIPT)); open commands"));
  assert_int_equal(count_told("pushes"), 0); /* the other one is not touched */
  assert_int_equal(ask("ECHO", "again"), 0);
  until(answered == 4);
}

/* Everything that a server may send in place of a good reply, and the problem that is named. */
static const struct bad_reply {
  const char *text;
  const char *problem;
} bad_replies[] = {
    {"HTTP/1.1 400 Bad Request\r\n\r\n", "invalid reply: Protocol error"},
    {"*70000\r\n", "invalid reply: a reply has more than 65536 values"},
    {"$5\r\nhel", "lost: end of file"},
    {"", "lost: end of file"},
    {"+one\r\n+two\r\n", "an unexpected reply"},
};
static size_t bad_reply;

static bool answer_badly(struct fake_redis *of, struct fake_redis_peer *peer, const struct resp_value *command) {
  (void)of;
  if (!bytes_equal(resp_text(resp_item(command, 1)), BYTES("bad"))) return false;
  fake_redis_say(peer, bad_replies[bad_reply].text);
  if (bad_replies[bad_reply].text[0] != '+') peer->is_closing = true;
  return true;
}

static void survives_bad_replies(void **state) {
  (void)state;
  fake.on_command = answer_badly;
  start_and_open();
  for (bad_reply = 0; bad_reply < COUNT_OF(bad_replies); bad_reply++) {
    size_t count = asked;
    assert_int_equal(ask("ECHO", "bad"), 0);
    until(answered == count + 1);
    until(is_told("open commands"));
    if (!is_told(bad_replies[bad_reply].problem)) {
      buffer_append_char(&told, '\0');
      fail_msg("not told \"%s\": %s", bad_replies[bad_reply].problem, told.data);
    }
    buffer_clear(&told);
  }
  assert_int_equal(ask("ECHO", "good"), 0);
  until(answered == asked);
  assert_true(is_told("reply good; "));
}

static const char greeting[] = "$12\r\nrun_id:run1\r\n\r\n*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n";
static size_t cut_at;

/* Answers the greeting in part, and closes. */
static bool answer_in_part(struct fake_redis *of, struct fake_redis_peer *peer, const struct resp_value *command) {
  (void)of;
  if (cut_at >= sizeof greeting - 1) return false;
  if (peer->is_closing) return true;
  (void)command;
  buffer_append(&peer->out, bytes_of(greeting, cut_at));
  peer->is_closing = true;
  return true;
}

static void survives_a_greeting_that_ends_anywhere(void **state) {
  (void)state;
  fake.on_command = answer_in_part;
  cut_at = 0;
  start();
  while (cut_at < sizeof greeting - 1) {
    unsigned accepted = fake.accepted;
    until(fake.accepted >= accepted + 2);
    cut_at++;
  }
  until(is_told("open commands") && is_told("open pushes"));
  assert_int_equal(count_told("lost commands"), count_told("open commands") - 1);
}

static void loses_a_connection_that_does_not_answer(void **state) {
  (void)state;
  start_and_open();
  fake.is_silent = true;
  assert_int_equal(ask("ECHO", "x"), 0);
  clock_advance(&loop.clock, 0);
  alarms_take_over(&loop);
  unsigned seconds = 0;
  while (told.len == 0 && seconds < 60) {
    clock_advance(&loop.clock, 1000);
    alarms_run(&loop);
    seconds++;
  }
  assert_in_range(seconds, REDIS_SILENCE_MS / 1000 - 1, REDIS_SILENCE_MS / 1000 + 2);
  assert_true(is_told("nothing; lost commands (no reply for 10 s); "));
  assert_int_equal(count_told("pushes"), 0); /* a silence there may be one of the publishers */
}

/* ---- Pub/sub --------------------------------------------------------------------------------- */

static void subscribes_and_receives(void **state) {
  (void)state;
  start_and_open();
  struct bytes channels[] = {BYTES("a"), BYTES("b")};
  assert_int_equal(redis->class->subscribe(redis, channels, 2), 0);
  until(is_told("subscribed a; subscribed b; "));
  assert_int_equal(redis->class->unsubscribe(redis, channels, 1), 0);
  assert_int_equal(redis->class->unsubscribe(redis, NULL, 0), 0);
  until(is_traced(&fake, "UNSUBSCRIBE a; "));
  assert_false(is_traced(&fake, "UNSUBSCRIBE; "));
  static struct bytes many[1000];
  for (size_t i = 0; i < COUNT_OF(many); i++) many[i] = BYTES("many");
  assert_int_equal(redis->class->subscribe(redis, many, COUNT_OF(many)), 0);
  until(count_told("subscribed many; ") == COUNT_OF(many));
}

static bool say_message(struct fake_redis *of, struct fake_redis_peer *peer, const struct resp_value *command) {
  (void)of;
  if (!bytes_equal(resp_text(resp_item(command, 0)), BYTES("SUBSCRIBE"))) return false;
  fake_redis_say(peer, "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n");
  fake_redis_say(peer, "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$5\r\nhello\r\n*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$0\r\n\r\n");
  return true;
}

static void receives_messages(void **state) {
  (void)state;
  fake.on_command = say_message;
  start_and_open();
  struct bytes channels[] = {BYTES("a")};
  assert_int_equal(redis->class->subscribe(redis, channels, 1), 0);
  until(is_told("subscribed a; message a hello; message a ; "));
}

static void resets_later(void **state) {
  (void)state;
  start_and_open();
  redis->class->reset(redis, LINK_PUSHES, "a hole");
  assert_int_equal(told.len, 0); /* not within the call */
  struct bytes channels[] = {BYTES("a")};
  assert_int_equal(redis->class->subscribe(redis, channels, 1), MW_ECLOSED);
  until(is_told("open pushes"));
  assert_true(is_told("lost pushes (a hole); open pushes run1; "));
  assert_int_equal(count_told("commands"), 0);
  buffer_clear(&told);
  fake.run_id = "run2";
  fake_redis_drop_peers(&fake);
  until(is_told("open commands run2") && is_told("open pushes run2"));
}

/* It does not reconnect, and write to the log, many times a second. */
static void waits_longer_after_each_connection_of_no_use(void **state) {
  (void)state;
  has_no_use = true;
  start();
  until(strstr(log_text, "attempts=5"));
  has_no_use = false;
}

/* ---- Sentinels ------------------------------------------------------------------------------- */

static void begin_with_sentinel(const char *master) {
  fake_redis_end(&fake);
  fake_redis_begin(&fake, NULL);
  fake_redis_begin(&sentinel, NULL);
  has_sentinel = true;
  sentinel.master = master;
  options.sentinel_count = 1;
  snprintf(options.sentinels[0].host, sizeof options.sentinels[0].host, "127.0.0.1");
  options.sentinels[0].port = (uint16_t)sentinel.port;
  snprintf(options.url.host, sizeof options.url.host, "main");
  options.url.port = REDIS_PORT;
}

static void asks_a_sentinel(void **state) {
  (void)state;
  static char master[32];
  begin_with_sentinel(NULL);
  start();
  until(strstr(log_text, "does not know a master named \"main\""));
  snprintf(master, sizeof master, "127.0.0.1:%u", fake.port);
  sentinel.master = master;
  until(is_told("open commands") && is_told("open pushes"));
  assert_true(is_traced(&sentinel, "SENTINEL get-master-addr-by-name main; "));
  until(is_traced(&sentinel, "SUBSCRIBE +switch-master; "));
  buffer_clear(&told);
  char text[96];
  snprintf(text, sizeof text, "main 127.0.0.1 1 %.12s %u", "127.0.0.1", fake.port);
  fake_redis_publish(&sentinel, "+switch-master", "other 127.0.0.1 1 127.0.0.1 2");
  fake_redis_publish(&sentinel, "+switch-master", "main 127.0.0.1 1");
  fake_redis_publish(&sentinel, "+switch-master", text); /* it is that one already */
  fake_redis_publish(&sentinel, "+switch-master", "main 127.0.0.1 1 127.0.0.1 2");
  until(is_told("open commands") && is_told("open pushes"));
  assert_int_equal(count_told("another Redis has become the master"), 2);
}

/* The message +switch-master was sent while no connection to a sentinel was there. */
static void notices_a_master_that_has_changed_meanwhile(void **state) {
  (void)state;
  static char master[32];
  begin_with_sentinel(NULL);
  snprintf(master, sizeof master, "127.0.0.1:%u", fake.port);
  sentinel.master = master;
  start_and_open();
  until(is_traced(&sentinel, "SUBSCRIBE +switch-master; "));
  sentinel.master = "127.0.0.1:1";
  fake_redis_drop_peers(&sentinel);
  until(is_told("lost commands (another Redis has become the master)") &&
        is_told("lost pushes (another Redis has become the master)"));
}

static void asks_the_next_sentinel(void **state) {
  (void)state;
  static char master[32];
  begin_with_sentinel(NULL);
  snprintf(master, sizeof master, "127.0.0.1:%u", fake.port);
  sentinel.master = master;
  options.sentinels[1] = options.sentinels[0];
  options.sentinels[0].port = 1; /* nobody listens there */
  options.sentinel_count = 2;
  start_and_open();
}

/* ---- The end --------------------------------------------------------------------------------- */

static void can_be_freed_at_any_time(void **state) {
  (void)state;
  for (int steps = 0; steps < 30; steps++) {
    start();
    for (int i = 0; i < steps; i++) step(clock_system_ms(), "");
    if (is_told("open commands")) ask("ECHO", "x");
    redis_link_free(redis);
    redis = NULL;
    assert_int_equal(asked, answered);
    buffer_clear(&told);
  }
}

static bool make_once(void *context) {
  int status = redis_link_new(&redis, &options, &connections);
  if (status < 0) assert_int_equal(status, MW_ENOMEM);
  redis_link_free(redis);
  redis = NULL;
  while (loop.open_count > *(size_t *)context) loop_step(&loop); /* alarms are freed later */
  return status == 0;
}

static void needs_memory(void **state) {
  (void)state;
  size_t open_count = loop.open_count;
  assert_true(support_fail_each(make_once, &open_count) > 2);
  struct redis_link_options many = options;
  many.script_count = REDIS_SCRIPTS_MAX + 1;
  assert_int_equal(redis_link_new(&redis, &many, &connections), MW_EINVAL);
}

#define LINK_TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void) {
  const struct CMUnitTest tests[] = {
      LINK_TEST(greets_and_opens),
      LINK_TEST(logs_in_and_selects),
      LINK_TEST(names_what_is_refused),
      LINK_TEST(refuses_a_replica),
      LINK_TEST(waits_for_a_redis_that_is_not_there),
      LINK_TEST(gives_up_an_attempt_without_an_answer),
      LINK_TEST(reads_replies_byte_by_byte),
      LINK_TEST(pipelines),
      LINK_TEST(runs_scripts_by_number),
      LINK_TEST(takes_noscript_for_a_lost_connection),
      LINK_TEST(survives_bad_replies),
      LINK_TEST(survives_a_greeting_that_ends_anywhere),
      LINK_TEST(loses_a_connection_that_does_not_answer),
      LINK_TEST(subscribes_and_receives),
      LINK_TEST(receives_messages),
      LINK_TEST(resets_later),
      LINK_TEST(waits_longer_after_each_connection_of_no_use),
      LINK_TEST(asks_a_sentinel),
      LINK_TEST(notices_a_master_that_has_changed_meanwhile),
      LINK_TEST(asks_the_next_sentinel),
      LINK_TEST(can_be_freed_at_any_time),
      LINK_TEST(needs_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
