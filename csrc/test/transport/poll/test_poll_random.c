/* Polls, publishing, cuts, kicks and time in random order, against a simple model: an answer has
 * exactly what was published to its channels between the id that was asked with and the id that it
 * gives, but for the gaps that it names; and those are due. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test/support.h"
#include "test/support/memory_peer.h"

enum { POLLERS = 6, CHANNELS = 4, PUBLISHED_MAX = 40000, SHORT = 3, ROUNDS = 12000 };

static const char *const names[CHANNELS] = {"kept:1", "kept:2", "short:1", "bare:1"};

struct poller {
  struct memory_peer peer;
  size_t client; /* of clients[]; 0: it polls for itself */
  bool is_open, has_asked;
  bool is_vague;            /* its client was put out of a channel in the meantime */
  unsigned channels, asked; /* bits; what it asks for now */
  uint64_t since;
};

/* The server continues after an id that is ahead of the clock, so that positions count up by one
 * from there. */
static const uint64_t base = UINT64_C(9000000000000000);

struct client {
  char id[32];
  unsigned sent, got; /* what is for it alone, numbered */
  unsigned channels;
};

static struct {
  struct mw_server *server;
  struct poller pollers[POLLERS];
  struct client clients[3];               /* the first is no one */
  unsigned char published[PUBLISHED_MAX]; /* the channel, by position */
  uint64_t position;
  char epoch[16];
  uint32_t random;
  unsigned answers, gaps, joined, privately;
} run;

static unsigned dice(unsigned sides) {
  run.random ^= run.random << 13;
  run.random ^= run.random >> 17;
  run.random ^= run.random << 5;
  return run.random % sides;
}

static void on_request(void *context, struct mw_request *request) {
  (void)context;
  mw_request_accept(request, NULL, 0);
}

static void start(uint32_t seed) {
  struct mw_config_options options;
  struct mw_config *config;
  struct mw_channel_options kinds[] = {
      {.history_size = 100000, .hooks = MW_HOOK_JOIN | MW_HOOK_LEAVE}, {.history_size = SHORT}, {.hooks = MW_HOOK_AUTHORIZE}};
  memset(&run, 0, sizeof run);
  run.random = seed;
  mw_config_options_init(&options);
  options.on_request = on_request;
  options.limits.replay = 20;
  options.limits.poll_client_ms = 3000;
  assert_int_equal(mw_config_new(&config, &options, NULL), 0);
  assert_int_equal(mw_config_channel(config, "kept:{x}", &kinds[0], NULL), 0);
  assert_int_equal(mw_config_channel(config, "short:{x}", &kinds[1], NULL), 1);
  assert_int_equal(mw_config_channel(config, "bare:{x}", &kinds[2], NULL), 2);
  assert_int_equal(
      mw_server_new(&run.server, &(struct mw_server_options){.config = config, .epoch = "0123abcv", .position = base}, NULL), 0);
  mw_config_unref(config);
  mw_server_advance(run.server, 0);
}

static void publish(void) {
  unsigned channel = dice(CHANNELS);
  char data[32], id[MW_ID_MAX];
  struct mw_publish message = {.channel = {names[channel], strlen(names[channel])}, .is_volatile = dice(10) == 0};
  message.data = (struct mw_bytes){data, (size_t)snprintf(data, sizeof data, "%llu", (unsigned long long)run.position + 1)};
  assert_int_equal(mw_publish(run.server, &message, id, NULL), 0);
  if (message.is_volatile) return;
  assert_true(run.position + 1 < PUBLISHED_MAX);
  run.published[++run.position] = (unsigned char)channel;
  snprintf(run.epoch, sizeof run.epoch, "%.*s", (int)strcspn(id, "-"), id);
  assert_int_equal(strtoull(strchr(id, '-') + 1, NULL, 10), base + run.position);
}

/* ---- Asking ---------------------------------------------------------------------------------- */

static void ask(struct poller *poller) {
  struct buffer text = {0};
  if (!poller->is_open) memory_peer_open(&poller->peer, run.server);
  poller->is_open = poller->has_asked = true;
  poller->is_vague = false;
  /* Those that share a client want the same. */
  if (dice(4) == 0) poller->channels = 1 + dice((1 << CHANNELS) - 1);
  if (poller->client == 2) poller->channels = 15;
  poller->asked = poller->channels;
  buffer_append_format(&text, "GET /poll?wait=%u&since=%s-%016llu", dice(4), run.epoch,
                       (unsigned long long)(base + poller->since));
  for (unsigned i = 0; i < CHANNELS; i++) {
    if (poller->asked & 1u << i) buffer_append_format(&text, "&channel=%s", names[i]);
  }
  if (poller->client > 0) buffer_append_format(&text, "&client=%s", run.clients[poller->client].id);
  buffer_append_string(&text, " HTTP/1.1\r\nHost: x\r\n\r\n");
  assert_int_equal(mw_memory_write(poller->peer.memory, text.data, text.len), 0);
  buffer_deinit(&text);
}

static void cut(struct poller *poller) {
  if (!poller->is_open) return;
  memory_peer_close(&poller->peer);
  poller->is_open = poller->has_asked = false;
  /* What was for its client alone may have gone with it. */
  if (poller->client > 0) run.clients[poller->client].got = run.clients[poller->client].sent;
}

/* ---- Answers --------------------------------------------------------------------------------- */

static uint64_t position_behind(const char *text, const char *key) {
  const char *at = strstr(text, key);
  assert_non_null(at);
  uint64_t position = strtoull(strchr(at + strlen(key), '-') + 1, NULL, 10);
  assert_true(position >= base);
  return position - base;
}

/* The channels on which the answer tells a gap; each must be due. */
static unsigned check_gaps(const struct poller *poller, const char *body) {
  unsigned gaps = 0;
  char text[256];
  const char *at = strstr(body, "\"gaps\":[") + 8;
  snprintf(text, sizeof text, "%.*s", (int)strcspn(at, "]"), at);
  for (unsigned i = 0; i < CHANNELS; i++) {
    if (!strstr(text, names[i])) continue;
    unsigned passed = 0;
    for (uint64_t position = poller->since + 1; position <= run.position; position++) passed += run.published[position] == i;
    bool due = i == 3 ? passed > 0 : i == 2 && passed > SHORT;
    if (!due)
      print_error("no gap is due on %s: %u passed behind %llu: %s\n", names[i], passed, (unsigned long long)poller->since, body);
    assert_true(due);
    gaps |= 1u << i;
    run.gaps++;
  }
  assert_int_equal(gaps != 0, strstr(body, "\"recovered\":false") != NULL);
  return gaps;
}

static void take_private(struct poller *poller, const char *push) {
  struct client *client = &run.clients[poller->client];
  unsigned number = (unsigned)strtoul(strstr(push, "\"data\":") + 7, NULL, 10);
  assert_true(poller->client > 0);
  if (number <= client->got && number == 1) client->got = 0; /* a new client of that poller */
  run.privately++;
  client->got = number;
}

static void check_messages(struct poller *poller, const char *body, unsigned gaps, uint64_t end) {
  uint64_t last = poller->since;
  for (const char *at = strstr(body, "\"messages\":[") + 12; (at = strstr(at, "\"event\":\""));) {
    const char *next = strstr(at + 1, "\"event\":\""), *id = strstr(at, "\"id\":\"");
    if (strncmp(at + 9, "hint", 4) == 0) take_private(poller, at);
    if (id && (!next || id < next)) {
      uint64_t position = position_behind(at, "\"id\":\"");
      assert_true(position > last && position <= end);
      /* What lies between was for no one here, or is gone. */
      for (uint64_t passed = last + 1; passed < position; passed++) {
        unsigned bit = 1u << run.published[passed];
        assert_true(poller->is_vague || !(poller->asked & bit) || gaps & bit);
      }
      bool is_asked = poller->is_vague || poller->asked & 1u << run.published[position];
      if (!is_asked)
        print_error("poller %d did not ask for %s: %s\n", (int)(poller - run.pollers), names[run.published[position]], body);
      assert_true(is_asked);
      assert_int_equal(strtoull(strstr(at, "\"data\":") + 7, NULL, 10), position);
      last = position;
    }
    at++;
  }
  for (uint64_t passed = last + 1; passed <= end; passed++) {
    unsigned bit = 1u << run.published[passed];
    if (!poller->is_vague && poller->asked & bit && !(gaps & bit))
      print_error("%llu is missing in %s\n", (unsigned long long)passed, body);
    assert_true(poller->is_vague || !(poller->asked & bit) || gaps & bit);
  }
}

static void look(struct poller *poller) {
  if (!poller->has_asked) return;
  const char *text = memory_peer_take(&poller->peer);
  if (text[0] == '\0') return;
  if (strncmp(text, "HTTP/1.1 200 ", 13) != 0) print_error("%s\n", text);
  assert_memory_equal(text, "HTTP/1.1 200 ", 13);
  const char *body = strstr(text, "\r\n\r\n") + 4, *name = strstr(body, "\"client\":\"");
  assert_string_equal(body + strlen(body) - 3, "]}\n");
  uint64_t end = position_behind(body, "{\"id\":\"");
  assert_true(end >= poller->since);
  unsigned gaps = check_gaps(poller, body);
  check_messages(poller, body, gaps, end);
  assert_int_equal(name != NULL, poller->client > 0);
  if (name) snprintf(run.clients[poller->client].id, sizeof run.clients[0].id, "%.28s", name + 10);
  run.joined += strstr(body, "\"channels\":{") != NULL;
  run.answers++;
  poller->since = end;
  poller->has_asked = false;
}

/* ---- The app --------------------------------------------------------------------------------- */

static void reach(unsigned what) {
  struct client *client = &run.clients[1 + dice(2)];
  struct mw_client *found = mw_client_find(run.server, client->id, strlen(client->id));
  char data[16];
  if (!found) return;
  if (what < 6) {
    struct mw_publish hint = {.event = {"hint", 4}, .data = {data, (size_t)snprintf(data, sizeof data, "%u", ++client->sent)}};
    mw_client_send(run.server, found, &hint, NULL);
  } else {
    const char *name = names[dice(CHANNELS)];
    /* Where it is not in the channel this does nothing; and whoever asks next joins again. */
    if (what < 9) mw_client_unsubscribe(run.server, found, name, strlen(name), "kicked", "");
    if (what == 9) mw_client_close(run.server, found, 4000, "");
    for (size_t i = 0; i < POLLERS; i++) run.pollers[i].is_vague |= &run.clients[run.pollers[i].client] == client;
  }
  mw_client_unref(found);
}

static void polls_at_random(void **state) {
  (void)state;
  const char *seed = getenv("POLL_SEED");
  start(seed ? (uint32_t)strtoul(seed, NULL, 10) : 20261120);
  while (run.position == 0) publish();
  for (size_t i = 0; i < POLLERS; i++) {
    run.pollers[i].channels = 1 + dice(15);
    run.pollers[i].client = i == 3 ? 1 : i > 3 ? 2 : 0;
  }
  for (unsigned round = 0; round < ROUNDS; round++) {
    struct poller *poller = &run.pollers[dice(POLLERS)];
    unsigned what = dice(100);
    if (what < 55) {
      look(poller);
      if (!poller->has_asked) ask(poller);
    } else if (what < 85) {
      for (unsigned count = dice(4); count > 0; count--) publish();
    } else if (what < 88) {
      cut(poller);
    } else if (what < 92) {
      reach(dice(10));
    } else if (what < 93) {
      mw_server_advance(run.server, dice(3000));
    } else if (what == 93 && dice(20) == 0) {
      mw_server_advance(run.server, 6000); /* whoever does not poll has gone */
    }
    if (dice(3) > 0) server_settle(run.server);
    for (size_t i = 0; i < POLLERS && what >= 90; i++) look(&run.pollers[i]);
  }
  assert_true(run.answers > 1000 && run.gaps > 50 && run.joined > 50 && run.privately > 50);
  for (size_t i = 0; i < POLLERS; i++) cut(&run.pollers[i]);
  server_finish(run.server);
}

int main(void) {
  const struct CMUnitTest tests[] = {TEST(polls_at_random)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
