/* Polls, each time failing one allocation more than the time before: whoever asks again with the
 * last id has everything in the end, or knows that it has not, and nothing is left behind. */
#include <stdlib.h>

#include "base/memory.h"
#include "test/support.h"
#include "test/support/host.h"

enum { MESSAGES = 8, ALL_HOOKS = 31, PATIENCE_MS = 25000 };

static const char *const channels[] = {"a", "hooked:b"};

static int define(struct mw_config *config) {
  static const struct mw_channel_options hooked = {.hooks = ALL_HOOKS, .history_size = 100}, plain = {.history_size = 100};
  int status = mw_config_channel(config, "hooked:{x}", &hooked, NULL);
  if (status >= 0) status = mw_config_channel(config, "{x}", &plain, NULL);
  return status < 0 ? status : 0;
}

static void set(struct mw_config_options *options) {
  options->authenticate = options->connects = options->disconnects = true;
  options->limits.answer_ms = 1000; /* an answer that was out of memory is given up soon */
}

struct poller {
  struct peer peer;
  const char *channel;
  bool lasts; /* by client= */
  char since[64], client[64];
  unsigned last;     /* the number of the newest message */
  bool is_connected; /* and has asked */
};

static void copy_member(const char *body, const char *key, char *out, size_t size) {
  const char *at = strstr(body, key);
  if (at) snprintf(out, size, "%.*s", (int)strcspn(at + strlen(key), "\""), at + strlen(key));
}

static void take_answer(struct poller *poller, const char *body) {
  bool has_gap = !strstr(body, "\"gaps\":[]");
  for (const char *at = body; (at = strstr(at, "\"data\":"));) {
    at += 7;
    if (*at == '{') continue; /* what joining gave */
    unsigned number = (unsigned)strtoul(at, NULL, 10);
    if (number != poller->last + 1 && !(has_gap && number > poller->last)) print_error("after %u: %s\n", poller->last, body);
    assert_true(number == poller->last + 1 || (has_gap && number > poller->last));
    poller->last = number;
    /* The last one, and behind it the end. */
    if (number == MESSAGES) assert_non_null(strstr(at, "\"moonwire:end\""));
  }
  copy_member(body, "{\"id\":\"", poller->since, sizeof poller->since);
  copy_member(body, "\"client\":\"", poller->client, sizeof poller->client);
}

static void step(struct poller *poller, struct host *host) {
  struct peer *peer = &poller->peer;
  if (!poller->is_connected) {
    char target[256];
    snprintf(target, sizeof target, "/poll?channel=%s&since=%s%s%s", poller->channel, poller->since,
             poller->lasts ? "&client=" : "", poller->client);
    peer_connect(peer, host);
    peer_get(peer, target, "Connection: close\r\n");
    poller->is_connected = true;
  } else if (peer_ended(peer)) {
    const char *body = peer->in ? strstr(peer->in, "\r\n\r\n") : NULL,
               *length = body ? strstr(peer->in, "Content-Length: ") : NULL;
    bool whole = body && length && strlen(body + 4) == strtoul(length + 16, NULL, 10);
    if (whole && strncmp(peer->in, "HTTP/1.1 200 ", 13) == 0) take_answer(poller, body + 4);
    peer_close(peer);
    poller->is_connected = false;
  }
}

static bool publish(struct host *host, const char *channel, unsigned number) {
  char data[16];
  int len = snprintf(data, sizeof data, "%u", number);
  struct mw_publish message = {
      .channel = {channel, strlen(channel)}, .data = {data, (size_t)len}, .is_final = number == MESSAGES};
  return mw_publish(host->server, &message, NULL, NULL) == 0;
}

static bool poll_through(void *context) {
  struct host host;
  struct poller pollers[] = {{.channel = "a"}, {.channel = "hooked:b"}, {.channel = "hooked:b", .lasts = true}};
  unsigned published[2] = {0, 0};
  (void)context;
  for (size_t i = 0; i < COUNT_OF(pollers); i++) pollers[i].peer.fd = -1;
  if (host_begin(&host, &(struct host_options){.define = define, .set = set}) < 0) return false;
  uint64_t begun_ms = host_now_ms();
  for (unsigned turn = 0, done = 0; done < COUNT_OF(pollers); turn++) {
    if (host_now_ms() > begun_ms + PATIENCE_MS) {
      for (size_t i = 0; i < COUNT_OF(pollers); i++)
        print_error("%zu: last %u of %u, %d %s\n%s\n", i, pollers[i].last, published[pollers[i].channel[0] == 'h'],
                    pollers[i].is_connected, pollers[i].since, pollers[i].peer.in ? pollers[i].peer.in : "");
      print_error("the app was asked: %s\n", host.trace);
      fail();
    }
    bool all_began = true;
    done = 0;
    for (size_t i = 0; i < COUNT_OF(pollers); i++) {
      if (pollers[i].last < MESSAGES || pollers[i].is_connected) step(&pollers[i], &host);
      done += pollers[i].last == MESSAGES;
      all_began = all_began && pollers[i].since[0] != '\0';
    }
    unsigned which = turn / 8 % 2;
    if (all_began && turn % 8 == 0 && published[which] < MESSAGES && publish(&host, channels[which], published[which] + 1))
      published[which]++;
    mw_server_step(host.server);
  }
  for (size_t i = 0; i < COUNT_OF(pollers); i++) peer_close(&pollers[i].peer);
  host_stop(&host);
  host_until(&host, host.stops == 1);
  assert_int_equal(host.joined, 0);
  assert_int_equal(host.opened, 0);
  host_end(&host);
  for (int kind = 0; kind < OBJECT_KIND_COUNT; kind++) assert_int_equal(object_live((enum object_kind)kind), 0);
  return true;
}

static void stands_failing_memory(void **state) {
  (void)state;
  assert_true(support_fail_each(poll_through, NULL) > 200);
}

int main(void) {
  mw_log_to(MW_LOG_ERROR + 1, NULL, NULL);
  const struct CMUnitTest tests[] = {TEST(stands_failing_memory)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
