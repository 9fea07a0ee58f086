/* Ids tell the time, and a server can continue those of an earlier one. */
#include <stdlib.h>
#include <string.h>

#include "test/support.h"
#include "test/support/memory_peer.h"
#include "test/support/told.h"

static struct mw_server *server;
static struct memory_peer peer;
static struct told_peer told;

static int start(const char *epoch, uint64_t position, struct mw_error *error) {
  struct mw_config_options options;
  struct mw_config *config;
  mw_config_options_init(&options);
  assert_int_equal(mw_config_new(&config, &options, NULL), 0);
  assert_true(mw_config_channel(config, "kept:{x}", &(struct mw_channel_options){.history_size = 10}, NULL) >= 0);
  int status = mw_server_new(&server, &(struct mw_server_options){.config = config, .epoch = epoch, .position = position}, error);
  mw_config_unref(config);
  if (status == 0) mw_server_advance(server, 1);
  return status;
}

/* Publishes, and returns the number of the id; `id` receives all of it. */
static uint64_t publish(const char *channel, char id[MW_ID_MAX]) {
  struct mw_publish what = {.channel = {channel, strlen(channel)}, .event = {"said", 4}, .data = {"\"a1\"", 4}};
  assert_int_equal(mw_publish(server, &what, id, NULL), 0);
  server_settle(server);
  assert_int_equal(strlen(id), 25);
  return strtoull(id + 9, NULL, 10);
}

static void listen_since(const char *id) {
  char request[200];
  snprintf(request, sizeof request, "GET /sse?channel=kept:1&since=%s HTTP/1.1\r\nHost: t\r\n\r\n", id);
  told = (struct told_peer){.id = ""};
  memory_peer_open(&peer, server);
  memory_peer_send_text(&peer, request);
}

static void an_id_tells_when_it_was_published(void **state) {
  (void)state;
  char id[MW_ID_MAX];
  assert_int_equal(start(NULL, 0, NULL), 0);
  uint64_t first = publish("kept:1", id);
  assert_int_equal(first / 2048, mw_server_time(server));
  assert_int_equal(publish("kept:2", id), first + 1); /* within a millisecond they are counted */
  mw_server_advance(server, 3000);
  uint64_t later = publish("kept:1", id);
  assert_int_equal(later / 2048, first / 2048 + 3000);
  server_finish(server);
}

static void a_server_continues_the_ids_of_an_earlier_one(void **state) {
  (void)state;
  char before[MW_ID_MAX], last[MW_ID_MAX], next[MW_ID_MAX], epoch[9] = "";
  assert_int_equal(start(NULL, 0, NULL), 0);
  publish("kept:1", before);
  uint64_t position = publish("kept:1", last);
  memcpy(epoch, last, 8);
  server_finish(server);

  assert_int_equal(start(epoch, position, NULL), 0);
  listen_since(last);
  assert_string_equal(told_fetch(&told, &peer), "");
  assert_true(publish("kept:1", next) > position);
  assert_memory_equal(next, epoch, 8);
  assert_string_equal(told_fetch(&told, &peer), "a1 ");
  memory_peer_close(&peer);
  listen_since(last); /* the same after the channel was written to */
  assert_string_equal(told_fetch(&told, &peer), "a1 ");
  memory_peer_close(&peer);
  listen_since(before); /* what was published then is not kept */
  assert_string_equal(told_fetch(&told, &peer), "gap a1 ");
  memory_peer_close(&peer);
  server_finish(server);
}

static void ids_grow_when_the_clock_was_set_back(void **state) {
  (void)state;
  char id[MW_ID_MAX];
  uint64_t future = UINT64_C(9000000000000000);
  assert_int_equal(start("k3b09qa1", future, NULL), 0);
  assert_int_equal(publish("kept:1", id), future + 1);
  assert_int_equal(publish("kept:1", id), future + 2);
  listen_since("k3b09qa1-9000000000000001");
  assert_string_equal(told_fetch(&told, &peer), "a1 ");
  memory_peer_close(&peer);
  server_finish(server);
}

static void refuses_what_no_id_can_continue(void **state) {
  (void)state;
  static const struct {
    const char *epoch;
    uint64_t position;
  } cases[] = {{"", 1},
               {"k3b09qa", 1},
               {"k3b09qa11", 1},
               {"k3x09qa1", 1},
               {"K3B09QA1", 1},
               {NULL, 1},
               {"k3b09qa1", UINT64_C(9999999999999999)}};
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    struct mw_error error = {.text = ""};
    assert_int_equal(start(cases[i].epoch, cases[i].position, &error), MW_EINVAL);
    assert_true(strlen(error.text) > 10);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(an_id_tells_when_it_was_published),
      TEST(a_server_continues_the_ids_of_an_earlier_one),
      TEST(ids_grow_when_the_clock_was_set_back),
      TEST(refuses_what_no_id_can_continue),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
