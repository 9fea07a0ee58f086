#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/status.h"
#include "net/connection/connection.h"
#include "test/support.h"

/* A server of this thread: a listening socket, and the peer that it accepted. */
static struct loop loop;
static struct connections connections;
static struct connection *connection;
static int listener, peer;
static uint16_t port;
static int changes;
static char path[64];

static void on_turn(struct loop *turning) { (void)turning; }
static void on_change(void *context) {
  (void)context;
  changes++;
}

static void listen_on_loopback(void) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t len = sizeof address;
  listener = socket(AF_INET, SOCK_STREAM, 0);
  assert_true(listener >= 0);
  assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
  assert_int_equal(listen(listener, 8), 0);
  assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &len), 0);
  port = ntohs(address.sin_port);
}

static int begin(void **state) {
  int status = support_setup(state);
  assert_int_equal(loop_init(&loop, NULL, on_turn), 0);
  connections_init(&connections, &loop);
  connection = NULL;
  listener = peer = -1;
  changes = 0;
  snprintf(path, sizeof path, "/tmp/mw-connection-%ld", (long)getpid());
  listen_on_loopback();
  return status;
}

static int end(void **state) {
  connections_close(&connections);
  loop_close(&loop, NULL);
  while (loop.open_count > 0) loop_run_once(&loop);
  connections_deinit(&connections);
  loop_deinit(&loop);
  if (listener >= 0) close(listener);
  if (peer >= 0) close(peer);
  unlink(path);
  return support_teardown(state);
}

static int open_to(const char *host, uint16_t to) {
  struct connection_target target = {.host = bytes_string(host), .port = to};
  return connection_open(&connection, &connections, &target, on_change, NULL);
}

static void run_until_decided(void) {
  while (connection_status(connection) == MW_PENDING) loop_run_once(&loop);
}

static void open_and_accept(void) {
  assert_int_equal(open_to("127.0.0.1", port), 0);
  run_until_decided();
  assert_int_equal(connection_status(connection), 0);
  peer = accept(listener, NULL, NULL);
  assert_true(peer >= 0);
}

static void peer_writes(const char *text) { assert_int_equal(write(peer, text, strlen(text)), (ssize_t)strlen(text)); }

static void run_until_received(size_t len) {
  while (connection_received(connection).len < len && connection_ended(connection) == 0) loop_run_once(&loop);
}

/* Reads what the connection sends. The system may take a part of it first. */
static void expect_sent(const char *text) {
  char got[64] = "";
  size_t len = 0;
  assert_true(strlen(text) < sizeof got);
  while (len < strlen(text)) {
    ssize_t some = recv(peer, got + len, sizeof got - 1 - len, MSG_DONTWAIT);
    assert_true(some > 0 || (some < 0 && errno == EAGAIN));
    if (some > 0) len += (size_t)some;
    loop_step(&loop);
  }
  assert_string_equal(got, text);
}

static void expect_received(const char *text) {
  run_until_received(strlen(text));
  struct bytes received = connection_received(connection);
  assert_int_equal(received.len, strlen(text));
  assert_memory_equal(received.ptr, text, received.len);
}

static void run_until_ended(void) {
  while (connection_ended(connection) == 0) loop_run_once(&loop);
}

/* ---- Connecting ------------------------------------------------------------------------------ */

static void connects_sends_and_receives(void **state) {
  (void)state;
  open_and_accept();
  assert_true(changes >= 1);
  assert_int_equal(connection_send(connection, BYTES("ping")), 0);
  expect_sent("ping");
  peer_writes("pong, and more");
  expect_received("pong, and more");
  connection_consume(connection, 6);
  expect_received("and more");
  connection_consume(connection, 8);
  assert_int_equal(connection_received(connection).len, 0);
  assert_int_equal(connection_unsent(connection), 0);
}

static void connects_to_a_unix_socket(void **state) {
  (void)state;
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
  unlink(path);
  close(listener);
  listener = socket(AF_UNIX, SOCK_STREAM, 0);
  assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
  assert_int_equal(listen(listener, 8), 0);
  assert_int_equal(open_to(path, 0), 0);
  run_until_decided();
  assert_int_equal(connection_status(connection), 0);
  peer = accept(listener, NULL, NULL);
  peer_writes("hello");
  expect_received("hello");
}

static void names_why_it_cannot_connect(void **state) {
  (void)state;
  close(listener);
  listener = -1;
  assert_int_equal(open_to("127.0.0.1", port), 0);
  run_until_decided();
  assert_int_equal(connection_status(connection), UV_ECONNREFUSED);
  assert_string_equal(connection_problem(connection), "Connection refused");
  connection_close(connection);
  assert_int_equal(open_to("/nonexistent/socket", 0), 0);
  run_until_decided();
  assert_int_equal(connection_status(connection), UV_ENOENT);
  connection_close(connection);
  char long_path[200];
  memset(long_path, 'a', sizeof long_path - 1);
  long_path[sizeof long_path - 1] = '\0';
  assert_int_equal(open_to(long_path, 0), UV_ENAMETOOLONG);
  assert_int_equal(open_to("", 0), MW_EINVAL);
  assert_int_equal(open_to("", 80), MW_EINVAL);
}

static void tries_all_addresses_of_a_name(void **state) {
  (void)state;
  /* may be ::1 and then 127.0.0.1, of which only the second one listens */
  assert_int_equal(open_to("localhost", port), 0);
  run_until_decided();
  assert_int_equal(connection_status(connection), 0);
  connection_close(connection);
  assert_int_equal(connections.lookups.begun_count, 1);
  assert_int_equal(open_to("localhost", port), 0); /* the answer is kept */
  run_until_decided();
  assert_int_equal(connection_status(connection), 0);
  assert_int_equal(connections.lookups.begun_count, 1);
}

static void those_who_ask_for_a_name_share_a_lookup(void **state) {
  (void)state;
  struct connection *all[5];
  for (size_t i = 0; i < 5; i++) {
    assert_int_equal(open_to("localhost", port), 0);
    all[i] = connection;
  }
  assert_int_equal(connections.lookups.begun_count, 1);
  connection_close(all[1]); /* does not wait any longer */
  for (size_t i = 0; i < 5; i++) {
    if (i == 1) continue;
    connection = all[i];
    run_until_decided();
    assert_int_equal(connection_status(connection), 0);
  }
}

static void an_end_cancels_what_connects(void **state) {
  (void)state;
  assert_int_equal(open_to("localhost", port), 0);
  assert_int_equal(open_to("127.0.0.1", port), 0);
  /* the teardown closes them */
}

/* ---- Ends ------------------------------------------------------------------------------------ */

static void a_half_closed_peer_still_receives(void **state) {
  (void)state;
  open_and_accept();
  peer_writes("last words");
  shutdown(peer, SHUT_WR);
  run_until_ended();
  assert_int_equal(connection_ended(connection), UV_EOF);
  expect_received("last words");
  assert_int_equal(connection_send(connection, BYTES("still here")), 0);
  expect_sent("still here");
}

static void a_reset_ends_it(void **state) {
  (void)state;
  open_and_accept();
  struct linger linger = {.l_onoff = 1};
  setsockopt(peer, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
  close(peer);
  peer = -1;
  run_until_ended();
  assert_int_equal(connection_ended(connection), UV_ECONNRESET);
  while (connection_send(connection, BYTES("x")) == 0) loop_run_once(&loop);
  assert_true(connection_send(connection, BYTES("x")) < 0);
}

/* ---- Bounds ---------------------------------------------------------------------------------- */

static void reads_no_more_than_is_kept(void **state) {
  (void)state;
  open_and_accept();
  fcntl(peer, F_SETFL, O_NONBLOCK);
  char block[4096];
  memset(block, 'x', sizeof block);
  size_t sent = 0, received = 0, most = 0;
  const size_t all = 20 * 1024 * 1024;
  while (received < all) {
    /* The system may take a part of a block. */
    size_t left = all - sent;
    ssize_t len = left > 0 ? write(peer, block, left < sizeof block ? left : sizeof block) : 0;
    if (len > 0) sent += (size_t)len;
    if (len > 0) continue;
    loop_step(&loop);
    struct bytes kept = connection_received(connection);
    if (kept.len > most) most = kept.len;
    received += kept.len;
    connection_consume(connection, kept.len);
  }
  assert_int_equal(received, all);
  assert_true(most <= CONNECTION_KEPT_MAX + CONNECTION_READ_SIZE);
}

static void sends_what_a_slow_peer_takes(void **state) {
  (void)state;
  open_and_accept();
  const size_t len = 8 * 1024 * 1024;
  char *text = memory_alloc(len);
  for (size_t i = 0; i < len; i++) text[i] = (char)(i * 7 % 251);
  assert_int_equal(connection_send(connection, bytes_of(text, len)), 0);
  assert_true(connection_unsent(connection) > 0);
  assert_int_equal(connection_send(connection, bytes_of(text, 1000)), 0);
  assert_int_equal(connection_send(connection, bytes_of(text, MW_CONNECTION_UNSENT_MAX)), MW_ETOOLARGE);
  fcntl(peer, F_SETFL, O_NONBLOCK);
  char block[8192];
  size_t at = 0;
  while (at < len + 1000) {
    ssize_t got = read(peer, block, sizeof block);
    if (got < 0) loop_step(&loop);
    for (ssize_t i = 0; i < got; i++, at++) assert_int_equal(block[i], text[at < len ? at : at - len]);
  }
  while (connection_unsent(connection) > 0) loop_run_once(&loop);
  memory_free(text);
}

static void a_byte_at_a_time(void **state) {
  (void)state;
  open_and_accept();
  for (size_t i = 0; i < 200; i++) {
    peer_writes("a");
    run_until_received(i % 10 + 1);
    if (i % 10 == 9) connection_consume(connection, 10);
  }
  assert_int_equal(connection_received(connection).len, 0);
}

static void stops_reporting_when_nobody_watches(void **state) {
  (void)state;
  open_and_accept();
  connection_watch(connection, NULL, NULL);
  changes = 0;
  peer_writes("x");
  expect_received("x");
  assert_int_equal(changes, 0);
}

static bool exchange_once(void *context) {
  const size_t open_before = *(size_t *)context;
  connections_init(&connections, &loop);
  int status = open_to("localhost", port);
  if (status == 0) {
    run_until_decided();
    status = connection_status(connection);
  }
  if (status == 0) {
    peer = accept(listener, NULL, NULL);
    peer_writes("hello");
    while (connection_received(connection).len < 5 && connection_ended(connection) == 0) loop_run_once(&loop);
    status = connection_ended(connection);
    if (status == 0) status = connection_send(connection, BYTES("hello"));
    close(peer);
    peer = -1;
  }
  connections_close(&connections);
  while (loop.open_count > open_before) loop_run_once(&loop);
  return status == 0;
}

static void stands_failing_memory(void **state) {
  (void)state;
  size_t open_before = loop.open_count;
  assert_true(support_fail_each(exchange_once, &open_before) > 1);
}

#define IN_LOOP(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void) {
  const struct CMUnitTest tests[] = {IN_LOOP(connects_sends_and_receives),
                                     IN_LOOP(connects_to_a_unix_socket),
                                     IN_LOOP(names_why_it_cannot_connect),
                                     IN_LOOP(tries_all_addresses_of_a_name),
                                     IN_LOOP(those_who_ask_for_a_name_share_a_lookup),
                                     IN_LOOP(an_end_cancels_what_connects),
                                     IN_LOOP(a_half_closed_peer_still_receives),
                                     IN_LOOP(a_reset_ends_it),
                                     IN_LOOP(reads_no_more_than_is_kept),
                                     IN_LOOP(sends_what_a_slow_peer_takes),
                                     IN_LOOP(a_byte_at_a_time),
                                     IN_LOOP(stops_reporting_when_nobody_watches),
                                     IN_LOOP(stands_failing_memory)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
