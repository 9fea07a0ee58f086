/* A configuration is replaced in the middle of jobs: who was asked answers, and everything else
 * goes by the new one. */
#include <string.h>

#include "server/server.h"
#include "test/support.h"
#include "test/support/memory_peer.h"

/* The handlers of one configuration. */
struct app_side {
  struct mw_request *kept[8];
  size_t kept_count, asked, cancelled;
};

static void on_request(void *context, struct mw_request *request) {
  struct app_side *side = context;
  side->asked++;
  side->kept[side->kept_count++] = request;
}

static void on_cancel(void *context, struct mw_request *request) {
  struct app_side *side = context;
  (void)request;
  side->cancelled++;
}

static void accept_next(struct app_side *side) {
  assert_true(side->kept_count > 0);
  struct mw_request *request = side->kept[0];
  memmove(&side->kept[0], &side->kept[1], --side->kept_count * sizeof request);
  mw_request_accept(request, NULL, 0);
}

/* With other channels before "room:{id}", its number is another. */
static struct mw_config *make_config(struct app_side *side, unsigned before, uint32_t history, const char *event) {
  struct mw_config_options options;
  struct mw_config *config;
  struct mw_event_rule rule = {.event = event};
  struct mw_channel_options channel = {
      .hooks = MW_HOOK_AUTHORIZE | MW_HOOK_LEAVE, .events = &rule, .event_count = 1, .history_size = history};
  char text[32];
  mw_config_options_init(&options);
  options.on_request = on_request;
  options.on_cancel = on_cancel;
  options.context = side;
  assert_int_equal(mw_config_new(&config, &options, NULL), 0);
  for (unsigned i = 0; i < before; i++) {
    snprintf(text, sizeof text, "other%u:{id}", i);
    assert_true(mw_config_channel(config, text, &(struct mw_channel_options){0}, NULL) >= 0);
  }
  assert_true(mw_config_channel(config, "room:{id}", &channel, NULL) >= 0);
  return config;
}

static void publish(struct mw_server *server, const char *data) {
  struct mw_publish publish = {.channel = {"room:1", 6}, .data = {data, strlen(data)}};
  assert_int_equal(mw_publish(server, &publish, NULL, NULL), 0);
  server_settle(server);
}

static void replaces_it_in_the_middle_of_jobs(void **state) {
  (void)state;
  struct app_side old = {.asked = 0}, new = {.asked = 0};
  struct mw_server *server;
  struct memory_peer peer, second;
  struct mw_config *config = make_config(&old, 0, 5, "said");
  assert_int_equal(mw_server_new(&server, &(struct mw_server_options){.config = config}, NULL), 0);
  mw_config_unref(config);
  mw_server_advance(server, 1);
  memory_peer_open(&peer, server);
  memory_peer_upgrade(&peer, NULL);
  memory_peer_frame(&peer, WS_OPCODE_TEXT, BYTES("{\"subscribe\":\"room:1\",\"ref\":1}"));
  accept_next(&old);
  server_settle(server);
  memory_peer_fetch(&peer);
  buffer_clear(&peer.in);
  for (int i = 0; i < 3; i++) publish(server, "1");
  memory_peer_fetch(&peer);
  buffer_clear(&peer.in);
  /* One handler runs, and another client waits to be authorized. */
  memory_peer_frame(&peer, WS_OPCODE_TEXT, BYTES("{\"send\":\"room:1\",\"event\":\"said\",\"ref\":2}"));
  memory_peer_open(&second, server);
  memory_peer_upgrade(&second, NULL);
  memory_peer_frame(&second, WS_OPCODE_TEXT, BYTES("{\"subscribe\":\"room:1\",\"ref\":1}"));
  assert_int_equal(old.kept_count, 2);

  config = make_config(&new, 3, 1, "shouted");
  assert_int_equal(bus_set_config(server, config), 0);
  mw_config_unref(config);
  server_settle(server);
  assert_int_equal(mw_request_kind(old.kept[0]), 0);
  accept_next(&old);
  server_settle(server);
  memory_peer_expect(&peer, "{\"ref\":2,\"ok\":true}");
  /* The channel keeps what the new policy says. */
  publish(server, "2");
  assert_int_equal(store_find(&server->store, BYTES("room:1"))->history.count, 1);
  memory_peer_fetch(&peer);
  buffer_clear(&peer.in);
  memory_peer_ask(
      &peer, "{\"send\":\"room:1\",\"event\":\"said\",\"ref\":4}",
      "{\"ref\":4,\"error\":{\"code\":\"unknown_event\",\"reason\":\"clients may not send the event \\\"said\\\"\"}}");
  assert_int_equal(new.asked, 0);
  memory_peer_frame(&peer, WS_OPCODE_TEXT, BYTES("{\"send\":\"room:1\",\"event\":\"shouted\",\"ref\":5}"));
  assert_int_equal(new.kept_count, 1);
  assert_int_equal(mw_request_kind(new.kept[0]), 3);
  accept_next(&new);
  server_settle(server);
  memory_peer_expect(&peer, "{\"ref\":5,\"ok\":true}");
  /* A handler of the old one is cancelled by the old one, and the client leaves where it joined. */
  memory_peer_close(&second);
  server_settle(server);
  assert_int_equal(old.cancelled, 1);
  accept_next(&old);
  memory_peer_close(&peer);
  server_settle(server);
  assert_int_equal(old.kept_count, 1);
  assert_int_equal(mw_request_type(old.kept[0]), MW_REQUEST_LEAVE);
  accept_next(&old);
  assert_int_equal(new.cancelled, 0);
  server_finish(server);
}

/* What is queued when the server ends is released. */
static void is_dropped_with_the_queue(void **state) {
  (void)state;
  struct app_side side = {.asked = 0};
  struct mw_server *server;
  struct mw_config *config = make_config(&side, 0, 5, "said");
  assert_int_equal(mw_server_new(&server, &(struct mw_server_options){.config = config}, NULL), 0);
  mw_config_unref(config);
  config = make_config(&side, 1, 5, "said");
  assert_int_equal(bus_set_config(server, config), 0);
  mw_config_unref(config);
  mw_server_free(server);
}

static char refusal[200];

static void keep_refusal(void *context, enum mw_log_level level, const char *text, size_t text_len) {
  (void)context, (void)level, (void)text_len;
  if (strstr(text, "refused a new configuration")) snprintf(refusal, sizeof refusal, "%s", text);
}

/* The server would keep its connections: that is said, and nothing changes. */
static void another_broker_is_refused(void **state) {
  (void)state;
  struct app_side side = {.asked = 0};
  struct mw_server *server;
  struct mw_config *config = make_config(&side, 0, 5, "said"), *other;
  struct mw_config_options options;
  assert_int_equal(mw_server_new(&server, &(struct mw_server_options){.config = config}, NULL), 0);
  mw_config_options_init(&options);
  options.broker.url = "redis://127.0.0.1:1";
  assert_int_equal(mw_config_new(&other, &options, NULL), 0);
  mw_log_to(MW_LOG_INFO, keep_refusal, NULL);
  assert_int_equal(bus_set_config(server, other), MW_EINVAL);
  mw_log_to(MW_LOG_INFO, NULL, NULL);
  assert_non_null(strstr(refusal, "another broker; restart the server"));
  server_settle(server);
  assert_ptr_equal(server->app.config, config);
  mw_config_unref(other);
  mw_config_unref(config);
  mw_server_free(server);
}

int main(void) {
  const struct CMUnitTest tests[] = {TEST(replaces_it_in_the_middle_of_jobs), TEST(is_dropped_with_the_queue),
                                     TEST(another_broker_is_refused)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
