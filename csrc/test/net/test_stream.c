#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include "base/memory.h"
#include "net/listener.h"
#include "test/support.h"

static struct loop loop;
static struct stream_owner owner;
static struct stream *stream; /* our end of the one connection */
static struct listener *listener;
static int peer; /* the other end, a plain socket */
static char read_buffer[4096], received[8192], path[64];
static size_t received_len;
static int end_status, written_status;
static unsigned ends, writes_over, closes;
static int64_t clock_lag_ms;

static void on_turn(struct loop *turning) { (void)turning; }

static void on_read(struct stream *reading, struct bytes bytes) {
  assert_ptr_equal(reading, stream);
  struct clock now;
  clock_init(&now);
  clock_lag_ms = (int64_t)(now.now_ms - loop.clock.now_ms);
  assert_true(received_len + bytes.len <= sizeof received);
  memcpy(received + received_len, bytes.ptr, bytes.len);
  received_len += bytes.len;
}
static void on_end(struct stream *ended, int status) {
  assert_ptr_equal(ended, stream);
  end_status = status;
  ends++;
}
static void on_written(struct stream *wrote, int status) {
  assert_ptr_equal(wrote, stream);
  assert_int_equal(closes, 0);
  written_status = status;
  writes_over++;
}
static void on_closed(struct stream *closed) {
  assert_ptr_equal(closed, stream);
  closes++;
  memory_free(stream);
}

static void on_connection(struct listener *listening, int status) {
  assert_int_equal(status, 0);
  stream = memory_calloc(1, stream_size(listening->kind));
  assert_int_equal(stream_init(stream, &owner, listening->kind), 0);
  assert_int_equal(listener_accept(listening, stream), 0);
  stream_set_options(stream, 1000);
  assert_int_equal(stream_read_start(stream), 0);
  assert_int_equal(stream_read_start(stream), 0);
}

static int connect_tcp(const char *address) {
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(strrchr(address, ':') + 1))};
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int fd = socket(AF_INET, SOCK_STREAM, 0), small = 4096;
  setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
  assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
  return fd;
}

static int connect_unix(void) {
  struct sockaddr_un to = {.sun_family = AF_UNIX};
  snprintf(to.sun_path, sizeof to.sun_path, "%s", path);
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
  return fd;
}

static int begin(void **state, bool is_unix) {
  int status = support_setup(state);
  char address[80] = "127.0.0.1:0";
  snprintf(path, sizeof path, "/tmp/moonwire-stream-%d", (int)getpid());
  if (is_unix) snprintf(address, sizeof address, "unix:%s", path);
  received_len = 0;
  ends = writes_over = closes = 0;
  stream = NULL;
  assert_int_equal(loop_init(&loop, NULL, on_turn), 0);
  owner = (struct stream_owner){.loop = &loop,
                                .read_buffer = read_buffer,
                                .read_buffer_size = sizeof read_buffer,
                                .on_read = on_read,
                                .on_end = on_end,
                                .on_written = on_written,
                                .on_closed = on_closed};
  assert_int_equal(listener_new(&listener, &loop, address, 0, on_connection, NULL, NULL), 0);
  peer = is_unix ? connect_unix() : connect_tcp(listener->address);
  while (!stream) loop_run_once(&loop);
  return status;
}

static int begin_tcp(void **state) { return begin(state, false); }
static int begin_unix(void **state) { return begin(state, true); }

static int end(void **state) {
  listener_close(listener);
  if (closes == 0) stream_close(stream);
  if (peer >= 0) close(peer);
  loop_close(&loop, NULL);
  while (loop.open_count > 0) loop_run_once(&loop);
  assert_int_equal(closes, 1);
  loop_deinit(&loop);
  return support_teardown(state);
}

static void knows_its_peer(void **state) {
  (void)state;
  char remote[48];
  stream_remote(stream, remote, sizeof remote);
  assert_string_equal(remote, listener->kind == STREAM_TCP ? "127.0.0.1" : "unix");
  assert_false(stream_is_closing(stream));
}

static void reads_until_the_end(void **state) {
  (void)state;
  assert_int_equal(write(peer, "hello ", 6), 6);
  while (received_len < 6) loop_run_once(&loop);
  assert_int_equal(write(peer, "there", 5), 5);
  shutdown(peer, SHUT_WR);
  while (ends == 0) loop_run_once(&loop);
  assert_int_equal(end_status, UV_EOF);
  assert_memory_equal(received, "hello there", 11);
  /* The other direction is still open, and the end is told once. */
  struct bytes slice = BYTES("bye");
  assert_int_equal(stream_try_write(stream, &slice, 1), 3);
  char text[4] = "";
  assert_int_equal(read(peer, text, 3), 3);
  assert_string_equal(text, "bye");
  for (unsigned n = 0; n < 5; n++) loop_step(&loop);
  assert_int_equal(ends, 1);
}

static void stops_reading(void **state) {
  (void)state;
  stream_read_stop(stream);
  assert_int_equal(write(peer, "hello", 5), 5);
  for (unsigned n = 0; n < 5; n++) loop_step(&loop);
  assert_int_equal(received_len, 0);
  assert_int_equal(stream_read_start(stream), 0);
  while (received_len < 5) loop_run_once(&loop);
}

/* What has not gone out at once follows as the peer reads, in order and complete. */
static void writes_in_parts(void **state) {
  (void)state;
  enum { SLICE = 50000, TOTAL = SLICE * STREAM_SLICES_MAX };
  char *content = malloc(TOTAL), *got = malloc(TOTAL);
  struct bytes slices[STREAM_SLICES_MAX];
  for (size_t i = 0; i < TOTAL; i++) content[i] = (char)(i * 31 + i / 257);
  for (size_t i = 0; i < STREAM_SLICES_MAX; i++) slices[i] = bytes_of(content + i * SLICE, SLICE);
  ptrdiff_t at_once = stream_try_write(stream, slices, STREAM_SLICES_MAX);
  assert_true(at_once > 0 && at_once < TOTAL);
  size_t first = (size_t)at_once / SLICE, within = (size_t)at_once % SLICE;
  slices[first] = bytes_of(slices[first].ptr + within, SLICE - within);
  assert_int_equal(stream_write(stream, slices + first, STREAM_SLICES_MAX - first), 0);
  for (size_t len = 0; len < TOTAL;) {
    ssize_t some = recv(peer, got + len, TOTAL - len, MSG_DONTWAIT);
    assert_true(some > 0 || errno == EAGAIN);
    if (some > 0) len += (size_t)some;
    /* Of a unix socket, the system counts the memory, not the bytes. */
    assert_true(listener->kind != STREAM_TCP || stream_unwritten(stream) <= TOTAL);
    loop_step(&loop);
  }
  while (writes_over == 0) loop_run_once(&loop);
  assert_int_equal(written_status, 0);
  /* the system may hold some of it for a moment */
  while (stream_unwritten(stream) > 0) loop_step(&loop);
  assert_memory_equal(got, content, TOTAL);
  free(content);
  free(got);
}

/* Fills what the system takes and leaves a write in progress. */
static void write_too_much(const char *content, size_t len) {
  struct bytes slice = bytes_of(content, len);
  ptrdiff_t written;
  while ((written = stream_try_write(stream, &slice, 1)) > 0) continue;
  assert_int_equal(written, 0);
  assert_int_equal(stream_write(stream, &slice, 1), 0);
}

static void closing_ends_what_is_under_way(void **state) {
  (void)state;
  static char content[100000];
  write_too_much(content, sizeof content);
  stream_close(stream);
  stream_close(stream);
  assert_true(stream_is_closing(stream));
  while (closes == 0) loop_run_once(&loop);
  assert_int_equal(writes_over, 1);
  assert_int_equal(written_status, UV_ECANCELED);
}

static void aborting_leaves_nothing_in_the_system(void **state) {
  (void)state;
  static char content[100000], got[100000];
  write_too_much(content, sizeof content);
  stream_abort(stream);
  stream_abort(stream);
  while (closes == 0) loop_run_once(&loop);
  assert_int_equal(writes_over, 1);
  ssize_t len;
  while ((len = read(peer, got, sizeof got)) > 0) continue;
  if (listener->kind == STREAM_TCP) assert_true(len < 0 && errno == ECONNRESET);
}

static void ends_its_side_only(void **state) {
  (void)state;
  char byte;
  stream_end(stream);
  assert_int_equal(read(peer, &byte, 1), 0);
  assert_int_equal(write(peer, "still here", 10), 10);
  while (received_len < 10) loop_run_once(&loop);
}

static void notices_that_the_peer_has_gone(void **state) {
  (void)state;
  struct linger reset = {.l_onoff = 1};
  setsockopt(peer, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  close(peer);
  peer = -1;
  while (ends == 0) loop_run_once(&loop);
  assert_true(end_status < 0);
}

static void *write_later(void *context) {
  struct timespec pause = {.tv_nsec = 300 * 1000000};
  (void)context;
  nanosleep(&pause, NULL); /* the poll lasts in the meantime: that is what is tried */
  assert_int_equal(write(peer, "x", 1), 1);
  return NULL;
}

/* Deadlines are counted from when something is read, so the time must be right then, however long
 * nothing happened before. */
static void knows_the_time_when_it_reads(void **state) {
  (void)state;
  /* A busy machine may stop this thread between the poll and the callback. */
  int64_t least_lag_ms = INT64_MAX;
  for (int i = 0; i < 20 && least_lag_ms >= 100; i++) {
    pthread_t thread;
    received_len = 0;
    assert_int_equal(pthread_create(&thread, NULL, write_later, NULL), 0);
    while (received_len == 0) loop_run_once(&loop);
    pthread_join(thread, NULL);
    if (clock_lag_ms < least_lag_ms) least_lag_ms = clock_lag_ms;
  }
  assert_true(least_lag_ms < 100);
}

static bool write_once(void *context) {
  (void)context;
  struct bytes slice = BYTES("x");
  int status = stream_write(stream, &slice, 1);
  unsigned before = writes_over;
  while (status == 0 && writes_over == before) loop_run_once(&loop);
  return status == 0;
}

static void stands_failing_memory(void **state) {
  (void)state;
  assert_int_equal(support_fail_each(write_once, NULL), 2);
}

#define TCP_TEST(name) cmocka_unit_test_setup_teardown(name, begin_tcp, end)
#define UNIX_TEST(name)                                                                                                          \
  { #name " (unix)", name, begin_unix, end, NULL }

int main(void) {
  const struct CMUnitTest tests[] = {
      TCP_TEST(knows_its_peer),
      TCP_TEST(reads_until_the_end),
      TCP_TEST(stops_reading),
      TCP_TEST(writes_in_parts),
      TCP_TEST(closing_ends_what_is_under_way),
      TCP_TEST(aborting_leaves_nothing_in_the_system),
      TCP_TEST(ends_its_side_only),
      TCP_TEST(notices_that_the_peer_has_gone),
      TCP_TEST(knows_the_time_when_it_reads),
      TCP_TEST(stands_failing_memory),
      UNIX_TEST(knows_its_peer),
      UNIX_TEST(reads_until_the_end),
      UNIX_TEST(writes_in_parts),
      UNIX_TEST(closing_ends_what_is_under_way),
      UNIX_TEST(aborting_leaves_nothing_in_the_system),
      UNIX_TEST(ends_its_side_only),
      UNIX_TEST(notices_that_the_peer_has_gone),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
