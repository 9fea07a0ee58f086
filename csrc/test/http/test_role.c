/* A role is complete, and is told exactly once that its part is over, however the exchange ends. */
#include <string.h>

#include "http/files.h"
#include "http/http1/http1.h"
#include "server/server.h"
#include "test/support.h"
#include "test/support/memory_peer.h"
#include "transport/roles.h"

static unsigned ended;

static void on_end(struct exchange *exchange) {
  (void)exchange;
  ended++;
}

static const struct role toy = {.start = role_nothing, .on_end = on_end, ROLE_ANSWERS_AT_ONCE};

static void all_roles_are_complete(void **state) {
  (void)state;
  static const struct role *const roles[] = {&sse_role,           &websocket_role, &raw_websocket_role, &poll_role,
                                             &send_role,          &publish_role,   &health_role,        &ready_role,
                                             &client_script_role, &routes_role,    &files_role,         &options_role};
  for (size_t i = 0; i < sizeof roles / sizeof *roles; i++) assert_true(role_is_complete(roles[i]));
}

static void a_role_lacks_nothing(void **state) {
  (void)state;
#define AT(member) offsetof(struct role, member)
  static const size_t members[] = {AT(start),     AT(on_answer),  AT(on_late),    AT(finishes),    AT(on_written), AT(on_read),
                                   AT(on_silent), AT(on_mail),    AT(on_flushed), AT(on_finish),   AT(close),      AT(give_up),
                                   AT(on_end),    AT(silence_ms), AT(left_ms),    AT(outbox_limit)};
  assert_true(role_is_complete(&toy));
  for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
    struct role role = toy;
    memset((char *)&role + members[i], 0, sizeof role.start);
    assert_false(role_is_complete(&role));
  }
}

/* ---- The ways in which an exchange ends ------------------------------------------------------------------------------------ */

static void answer(struct exchange *exchange) { exchange_answer(exchange, &(struct answer){.status = 204}); }

static void refuse(struct exchange *exchange) { exchange_refuse(exchange, 404, "not_found", "not found", bytes_of(NULL, 0)); }

static void answer_head(struct exchange *exchange) { exchange_answer_stream_head(exchange, 200, NULL); }

static void answer_in_parts(struct exchange *exchange) {
  exchange_begin(exchange, 200, NULL, 4);
  struct blob *blob = blob_new(BYTES("body"));
  exchange_push(exchange, blob, blob_bytes(blob));
  blob_unref(blob);
  exchange_complete(exchange);
}

static void leave_in_the_middle(struct exchange *exchange) {
  exchange_begin(exchange, 200, NULL, 4);
  exchange_reset(exchange);
}

static void stream(struct exchange *exchange) { exchange_stream(exchange, BYTES(":\n")); }

static void end_stream(struct exchange *exchange) {
  stream(exchange);
  exchange_end_stream(exchange);
}

static void close_stream(struct exchange *exchange) {
  stream(exchange);
  exchange_close(exchange, CLOSE_BUSY, "busy");
  exchange_close(exchange, CLOSE_BUSY, "again");
}

static void give_up(struct exchange *exchange) { exchange_break(exchange); }

static void on_end_is_called_once(void **state) {
  (void)state;
  static void (*const ways[])(struct exchange *) = {answer, refuse,     answer_head,  answer_in_parts, leave_in_the_middle,
                                                    stream, end_stream, close_stream, give_up};
  struct mw_config_options options;
  struct mw_config *config;
  struct mw_server *server;
  mw_config_options_init(&options);
  assert_int_equal(mw_config_new(&config, &options, NULL), 0);
  assert_int_equal(mw_server_new(&server, &(struct mw_server_options){.config = config}, NULL), 0);
  mw_config_unref(config);
  for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
    struct memory_peer peer;
    memory_peer_open(&peer, server);
    /* The head has come, and the body has not. */
    memory_peer_send_text(&peer, "POST /send HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n");
    struct conn *conn = container_of(server->workers[0].http.conns.next, struct conn, link);
    assert_int_equal(http1_exchange(conn)->state, EXCHANGE_READING);
    ended = 0;
    exchange_become(http1_exchange(conn), &toy);
    ways[i](http1_exchange(conn));
    server_settle(server);
    memory_peer_close(&peer);
    server_settle(server);
    assert_int_equal(server->workers[0].http.conn_count, 0);
    assert_int_equal(ended, 1);
  }
  server_finish(server);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(all_roles_are_complete),
      TEST(a_role_lacks_nothing),
      TEST(on_end_is_called_once),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
