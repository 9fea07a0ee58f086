/* Two servers with one Redis, each time failing one allocation more than the time before, while a client resumes and
 * another one is there. Clients that come back then have everything, or know that they have not. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "server/server.h"
#include "test/support.h"
#include "test/support/redis/real_redis.h"

enum { PATIENCE_MS = 120000, NODES = 2, NUMBERS = 4096, ROUNDS_MIN = 50, STEP_MS = 10 };

static struct real_redis real;
static struct mw_server *nodes[NODES];
static bool is_acknowledged[NUMBERS]; /* by the number that is published */
static unsigned published, settled, number;

/* ---- Running --------------------------------------------------------------------------------- */

/* Time passes faster than it does, because many failures are followed by a delay. */
static void step(uint64_t begun_ms, const char *condition) {
  for (size_t i = 0; i < NODES; i++) {
    mw_server_step(nodes[i]);
    mw_server_advance(nodes[i], STEP_MS);
  }
  poll(NULL, 0, 1);
  if (clock_system_ms() - begun_ms > PATIENCE_MS) fail_msg("still not: %s", condition);
}

#define until(condition)                                                                                                         \
  for (uint64_t begun_ms = clock_system_ms(); !(condition); step(begun_ms, #condition)) continue

static bool is_up(const struct mw_server *server) { return broker_state(server->broker->broker) == BROKER_UP; }

static struct mw_server *start_node(void) {
  char url[128];
  struct mw_server *server;
  struct mw_config *config;
  struct mw_config_options options;
  struct mw_channel_options channel = {.history_size = NUMBERS};
  snprintf(url, sizeof url, "unix:%s/s", real.directory);
  mw_config_options_init(&options);
  options.broker.url = url;
  options.broker.publish_ms = 1000; /* an answer that is lost to memory is given up soon */
  assert_int_equal(mw_config_new(&config, &options, NULL), 0);
  assert_int_equal(mw_config_channel(config, "room:{id}", &channel, NULL), 0);
  assert_int_equal(mw_server_new(&server, &(struct mw_server_options){.config = config}, NULL), 0);
  mw_config_unref(config);
  return server;
}

static void ignore_log(void *context, enum mw_log_level level, const char *text, size_t text_len) {
  (void)context, (void)level, (void)text, (void)text_len;
}

static int begin(void **state) {
  int status = support_setup(state);
  mw_log_to(MW_LOG_ERROR, ignore_log, NULL);
  real_redis_begin(&real);
  real_redis_start(&real, 0, "s", "");
  for (size_t i = 0; i < NODES; i++) nodes[i] = start_node();
  until(is_up(nodes[0]) && is_up(nodes[1]));
  return status;
}

static int end(void **state) {
  for (size_t i = 0; i < NODES; i++) mw_server_free(nodes[i]);
  real_redis_end(&real);
  mw_log_to(MW_LOG_INFO, NULL, NULL);
  return support_teardown(state);
}

/* ---- Readers --------------------------------------------------------------------------------- */

/* An event stream that resumes with the last id. It allocates nothing itself. */
struct reader {
  struct mw_server *server;
  struct mw_memory *memory; /* NULL: not connected */
  char in[1 << 16];
  size_t len;
  char last_id[64];
  unsigned last; /* the number of the newest message */
  bool has_gap;  /* was announced after it */
};

static void hang_up(struct reader *reader) {
  if (reader->memory) mw_memory_close(reader->memory);
  reader->memory = NULL;
  reader->len = 0;
}

static void connect_reader(struct reader *reader) {
  char request[256];
  int len = snprintf(request, sizeof request, "GET /sse?channel=room:1&since=%s HTTP/1.1\r\nHost: a\r\n\r\n", reader->last_id);
  if (mw_connect_memory(reader->server, &reader->memory) < 0) {
    reader->memory = NULL;
  } else if (mw_memory_write(reader->memory, request, (size_t)len) < 0) {
    hang_up(reader);
  }
}

static void take_number(struct reader *reader, unsigned came) {
  if (came <= reader->last && !reader->has_gap)
    fail_msg("%u came after %u, on node %d", came, reader->last, reader->server == nodes[1]);
  for (unsigned missing = reader->last + 1; missing < came && !reader->has_gap; missing++) {
    if (is_acknowledged[missing]) fail_msg("%u is missing silently, before %u", missing, came);
  }
  reader->last = came;
  reader->has_gap = false;
}

static void take_event(struct reader *reader, char *text) {
  const char *id = strstr(text, "id: "), *data = strstr(text, "data: ");
  if (id) snprintf(reader->last_id, sizeof reader->last_id, "%.*s", (int)strcspn(id + 4, "\n"), id + 4);
  if (strstr(text, "moonwire:gap")) {
    reader->has_gap = true;
  } else if (data) {
    take_number(reader, (unsigned)strtoul(data + 6, NULL, 10));
  }
}

/* Reads what has come, and connects again if it was disconnected or refused. */
static void step_reader(struct reader *reader) {
  char *end;
  if (!reader->memory) connect_reader(reader);
  if (!reader->memory) return;
  reader->len += mw_memory_read(reader->memory, reader->in + reader->len, sizeof reader->in - 1 - reader->len);
  reader->in[reader->len] = '\0';
  while ((end = strstr(reader->in, "\n\n"))) {
    *end = '\0';
    take_event(reader, reader->in);
    reader->len -= (size_t)(end + 2 - reader->in);
    memmove(reader->in, end + 2, reader->len + 1);
  }
  bool is_refused = strncmp(reader->in, "HTTP/1.1 5", 10) == 0;
  if (is_refused || mw_memory_ended(reader->memory)) hang_up(reader);
}

static bool has(struct reader *reader, unsigned wanted) {
  step_reader(reader);
  return reader->last >= wanted;
}

/* ---- Publishing ------------------------------------------------------------------------------ */

static void on_published(void *context, int status, const char *id) {
  (void)id;
  settled++;
  if (status == 0) is_acknowledged[(uintptr_t)context] = true;
}

static void publish(struct mw_server *server) {
  char data[16], id[MW_ID_MAX];
  assert_true(++number < NUMBERS);
  int len = snprintf(data, sizeof data, "%u", number);
  struct mw_publish parts = {.channel = {"room:1", 6},
                             .event = {"e", 1},
                             .data = {data, (size_t)len},
                             .on_done = on_published,
                             .context = (void *)(uintptr_t)number};
  if (mw_publish(server, &parts, id, NULL) == MW_PENDING) published++;
}

static void publish_acknowledged(struct mw_server *server) {
  do {
    publish(server);
    until(settled == published);
  } while (!is_acknowledged[number]);
}

/* What this node keeps is evicted, so that it is fetched again. */
static void evict(struct mw_server *server) {
  struct store_bounds bounds = server_bounds(server);
  bounds.history = 0;
  store_set_bounds(&server->store, &bounds);
  store_bound(&server->store);
  bounds.history = UINT64_MAX;
  store_set_bounds(&server->store, &bounds);
}

/* ---- The test -------------------------------------------------------------------------------- */

/* Returns true if one of the next allocations fails: the failure has not happened yet. */
static bool failure_is_pending(size_t count) {
  bool is_pending = false;
  for (size_t i = 0; i < count && !is_pending; i++) {
    void *ptr = memory_alloc(1);
    is_pending = !ptr;
    memory_free(ptr);
  }
  memory_fail_after(0);
  return is_pending;
}

static struct reader there, back;

/* Returns false if the nth allocation is not needed. */
static bool run_round(size_t n) {
  struct reader again = {.server = nodes[1], .last = there.last};
  memcpy(again.last_id, there.last_id, sizeof again.last_id);
  back = again;
  evict(nodes[1]);
  publish_acknowledged(nodes[0]); /* the other node may not have it: it follows the channel for a while */
  memory_fail_after(n);
  publish(nodes[0]);
  step_reader(&back);
  publish(nodes[0]); /* the order of two nodes could be another one */
  for (unsigned wanted = number, i = 0; i < 40 && !(has(&there, wanted) && has(&back, wanted)); i++)
    step(clock_system_ms(), "a round");
  bool has_failed = !failure_is_pending(n);
  until(settled == published);
  publish_acknowledged(nodes[1]);
  until(has(&there, number) && has(&back, number));
  hang_up(&back);
  return has_failed;
}

static void without_memory_nothing_is_missed_silently(void **state) {
  (void)state;
  size_t n = 1;
  there = (struct reader){.server = nodes[0]};
  step_reader(&there);
  until(there.last_id[0] != '\0' || (step_reader(&there), false));
  while (run_round(n)) n++;
  assert_true(n > ROUNDS_MIN);
  hang_up(&there);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(without_memory_nothing_is_missed_silently, begin, end)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
