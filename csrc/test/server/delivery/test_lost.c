/* A subscriber of which something was lost because memory was short: it is closed, and got nothing
 * of what follows, since its client returns with the last id that it saw. The peers have Unix
 * sockets, on which everything that was written before the end can be read. */
#include <string.h>

#include "base/memory.h"
#include "test/support.h"
#include "test/support/host.h"

enum { AT_ONCE = 12, ROUNDS = 3, FAILURES = 250 };

static struct host host;
static struct peer peers[3];

static const char *const targets[] = {"/sse?channel=keep:a", "/sse?channel=keep:a&channel=keep:b",
                                      "/sse?channel=keep:a&envelope=1"};

static int define(struct mw_config *config) {
  return mw_config_channel(config, "keep:{x}", &(struct mw_channel_options){.history_size = 100}, NULL);
}

static void begin(void) {
  assert_int_equal(host_begin(&host, &(struct host_options){.define = define, .is_unix = true, .workers = 1}), 0);
  for (size_t i = 0; i < COUNT_OF(peers); i++) {
    peer_connect(&peers[i], &host);
    peer_get(&peers[i], targets[i], "");
    host_until(&host, peer_has(&peers[i], "id: "));
  }
}

static void end(void) {
  for (size_t i = 0; i < COUNT_OF(peers); i++) peer_close(&peers[i]);
  host_end(&host);
}

/* Publishes some in one turn: first to the channel that all have, then to both. Adds what could be
 * published. */
static void publish_round(unsigned round, char *of_a, char *of_both, size_t size) {
  for (unsigned i = 0; i < AT_ONCE; i++) {
    char data[16];
    bool to_b = round > 0 && i % 3 == 2;
    snprintf(data, sizeof data, "%u", 100 + round * AT_ONCE + i);
    if (host_publish(&host, to_b ? "keep:b" : "keep:a", data) < 0) continue;
    snprintf(of_both + strlen(of_both), size - strlen(of_both), "%s ", data);
    if (!to_b) snprintf(of_a + strlen(of_a), size - strlen(of_a), "%s ", data);
  }
  host_settle(&host);
}

/* Of an envelope stream: the data of its objects. */
static const char *data_of(struct peer *peer) {
  static char out[1000];
  out[0] = '\0';
  for (const char *at = peer->in; (at = strstr(at, "\"data\":1")) != NULL;) {
    at += 7;
    snprintf(out + strlen(out), sizeof out - strlen(out), "%.3s ", at);
  }
  return out;
}

static const char *text_of(struct peer *peer, bool is_envelope) { return is_envelope ? data_of(peer) : peer_events(peer); }

/* True if it lacks something: then it is closed. */
static bool check(struct peer *peer, bool is_envelope, const char *expected) {
  bool ended = false;
  host_until(&host, (ended = peer_read(peer, SIZE_MAX)) || strcmp(text_of(peer, is_envelope), expected) == 0);
  const char *text = text_of(peer, is_envelope);
  if (strcmp(text, expected) == 0) return false;
  bool fits = strncmp(text, expected, strlen(text)) == 0;
  if (!fits) print_error("expected: %s\n     got: %s\n", expected, text);
  assert_true(fits);
  return true;
}

static void nothing_follows_what_was_lost(void **state) {
  (void)state;
  unsigned lost_count = 0;
  for (uint64_t n = 1; n <= FAILURES; n++) {
    char of_a[400] = "", of_both[400] = "";
    begin();
    memory_fail_after(n);
    for (unsigned round = 0; round < ROUNDS; round++) publish_round(round, of_a, of_both, sizeof of_a);
    memory_fail_after(0);
    for (size_t i = 0; i < COUNT_OF(peers); i++) lost_count += check(&peers[i], i == 2, i == 1 ? of_both : of_a);
    end();
  }
  assert_true(lost_count >= 5);
}

int main(void) {
  mw_log_to(MW_LOG_ERROR + 1, NULL, NULL);
  const struct CMUnitTest tests[] = {TEST(nothing_follows_what_was_lost)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
