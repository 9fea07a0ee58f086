#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "net/listener.h"
#include "test/support.h"

static struct loop loop;
static struct list listeners;
static char folder[64];
static unsigned connections;

static void on_turn(struct loop *turning) { (void)turning; }

static void on_connection(struct listener *listener, int status) {
  assert_int_equal(status, 0);
  connections++;
  listener_refuse(listener);
}

static int begin(void **state) {
  int status = support_setup(state);
  assert_int_equal(loop_init(&loop, NULL, on_turn), 0);
  list_init(&listeners);
  connections = 0;
  snprintf(folder, sizeof folder, "/tmp/moonwire-listener-XXXXXX");
  assert_non_null(mkdtemp(folder));
  return status;
}

static int end(void **state) {
  while (!list_empty(&listeners)) listener_close(container_of(listeners.next, struct listener, link));
  loop_close(&loop, NULL);
  while (loop.open_count > 0) loop_run_once(&loop);
  loop_deinit(&loop);
  assert_int_equal(rmdir(folder), 0); /* no socket is left in it */
  return support_teardown(state);
}

static int listen_at(const char *address, unsigned mode, struct listener **listener, struct mw_error *error) {
  struct listener *made = NULL;
  int status = listener_new(&made, &loop, address, mode, on_connection, NULL, error);
  if (status == 0) list_append(&listeners, &made->link);
  if (listener) *listener = made;
  return status;
}

/* "unix:" and a path in the directory. */
static const char *unix_address(const char *name) {
  static char address[108];
  snprintf(address, sizeof address, "unix:%s/%s", folder, name);
  return address;
}

static const char *path_of(const char *address) { return address + strlen("unix:"); }

static int connect_unix(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0) return fd;
  close(fd);
  return -1;
}

/* A listening socket of someone else; one that does not listen is what a crashed process leaves. */
static int bind_unix(const char *path, bool listens) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
  if (listens) assert_int_equal(listen(fd, 0), 0);
  return fd;
}

static void picks_a_port(void **state) {
  (void)state;
  struct listener *first, *second;
  struct mw_error error = {""};
  assert_int_equal(listen_at("127.0.0.1:0", 0, &first, NULL), 0);
  assert_int_equal(listen_at("localhost:0", 0, NULL, NULL), 0);
  assert_true(bytes_starts_with(bytes_string(first->address), BYTES("127.0.0.1:")));
  assert_string_not_equal(first->address, "127.0.0.1:0");
  /* An address is what can be listened on again: here by no one else in the meantime. */
  assert_int_equal(listen_at(first->address, 0, &second, &error), UV_EADDRINUSE);
  assert_non_null(strstr(error.text, first->address));
}

static void writes_ipv6_in_brackets(void **state) {
  (void)state;
  struct listener *listener;
  int status = listen_at("[::1]:0", 0, &listener, NULL);
  if (status == UV_EADDRNOTAVAIL || status == UV_EAFNOSUPPORT) skip(); /* a machine without IPv6 */
  assert_int_equal(status, 0);
  assert_true(bytes_starts_with(bytes_string(listener->address), BYTES("[::1]:")));
}

static void says_which_ports_there_are(void **state) {
  (void)state;
  static const char *const addresses[] = {"127.0.0.1:",      "127.0.0.1:x", "127.0.0.1:-1",
                                          "127.0.0.1:65536", "[::1]:70000", "a:99999999"};
  struct mw_error error;
  for (size_t i = 0; i < COUNT_OF(addresses); i++) {
    assert_int_equal(mw_address_check(addresses[i], &error), MW_EINVAL);
    assert_non_null(strstr(error.text, "the port must be a number from 0 to 65535"));
  }
  assert_int_equal(mw_address_check("127.0.0.1:65535", &error), 0);
  assert_int_equal(mw_address_check("[::1]:0", NULL), 0);
  assert_int_equal(mw_address_check("nowhere", NULL), MW_EINVAL);
}

static void says_which_address_is_malformed(void **state) {
  (void)state;
  static const char *const addresses[] = {
      "",
      ":",
      ":80",
      "127.0.0.1",
      "127.0.0.1:",
      "127.0.0.1:x",
      "127.0.0.1:-1",
      "127.0.0.1:65536",
      "127.0.0.1:000080",
      "127.0.0.1:80 ",
      "::1:80",
      "[::1]",
      "[::1:80",
      "[]:80",
      "unix:",
      "unix:/tmp/a-path-that-no-unix-socket-can-have-because-it-is-longer-than-the-hundred-and-eight-bytes-of-its-address/socket",
  };
  for (size_t i = 0; i < COUNT_OF(addresses); i++) {
    struct mw_error error = {""};
    int status = listen_at(addresses[i], 0, NULL, &error);
    if (status != MW_EINVAL) print_error("\"%s\": %d\n", addresses[i], status);
    assert_int_equal(status, MW_EINVAL);
    char quoted[128];
    snprintf(quoted, sizeof quoted, "\"%.100s\"", addresses[i]);
    assert_non_null(strstr(error.text, quoted));
  }
}

static void accepts_on_a_unix_socket(void **state) {
  (void)state;
  const char *address = unix_address("socket");
  struct listener *listener;
  struct stat file;
  assert_int_equal(listen_at(address, 0600, &listener, NULL), 0);
  assert_string_equal(listener->address, address);
  assert_int_equal(stat(path_of(address), &file), 0);
  assert_int_equal(file.st_mode & 0777, 0600);
  int fd = connect_unix(path_of(address));
  assert_true(fd >= 0);
  while (connections == 0) loop_run_once(&loop);
  char byte;
  assert_int_equal(read(fd, &byte, 1), 0);
  close(fd);
  listener_close(listener);
  loop_step(&loop);
  assert_int_equal(stat(path_of(address), &file), -1);
  assert_int_equal(listen_at(address, 0, NULL, NULL), 0);
  assert_int_equal(stat(path_of(address), &file), 0);
  assert_int_equal(file.st_mode & 0777, 0660);
}

static void takes_the_place_of_a_stale_socket(void **state) {
  (void)state;
  const char *address = unix_address("stale");
  close(bind_unix(path_of(address), false));
  assert_int_equal(listen_at(address, 0, NULL, NULL), 0);
  int fd = connect_unix(path_of(address));
  assert_true(fd >= 0);
  while (connections == 0) loop_run_once(&loop);
  close(fd);
}

static void leaves_a_live_socket_alone(void **state) {
  (void)state;
  const char *address = unix_address("live");
  struct mw_error error = {""};
  int other = bind_unix(path_of(address), true);
  assert_int_equal(listen_at(address, 0, NULL, &error), MW_EINVAL);
  assert_non_null(strstr(error.text, "another process is listening there"));
  /* Nor when its queue is full, as it is with the attempt above, which must not hold us up
   * either. */
  error.text[0] = '\0';
  assert_int_equal(listen_at(address, 0, NULL, &error), MW_EINVAL);
  assert_non_null(strstr(error.text, "another process is listening there"));
  close(other);
  unlink(path_of(address));
}

static void leaves_files_alone(void **state) {
  (void)state;
  const char *address = unix_address("file");
  struct mw_error error = {""};
  close(open(path_of(address), O_CREAT | O_WRONLY, 0600));
  assert_int_equal(listen_at(address, 0, NULL, &error), MW_EINVAL);
  assert_non_null(strstr(error.text, "is not a socket"));
  assert_int_equal(unlink(path_of(address)), 0);
  assert_true(listen_at(unix_address("no/such/folder"), 0, NULL, &error) < 0);
  assert_non_null(strstr(error.text, "no/such/folder"));
}

/* A server that is started in our place removes our file, or renames its own over it. We may stop
 * after that. */
static void leaves_the_socket_of_a_successor_alone(void **state) {
  (void)state;
  const char *address = unix_address("taken");
  char temporary[108];
  struct stat file;
  for (int renames = 0; renames < 2; renames++) {
    struct listener *listener;
    assert_int_equal(listen_at(address, 0, &listener, NULL), 0);
    snprintf(temporary, sizeof temporary, "%s", path_of(address));
    if (renames) snprintf(temporary, sizeof temporary, "%s.new", path_of(address));
    if (!renames) unlink(temporary);
    int successor = bind_unix(temporary, true);
    if (renames) assert_int_equal(rename(temporary, path_of(address)), 0);
    listener_close(listener);
    loop_step(&loop);
    assert_int_equal(lstat(path_of(address), &file), 0);
    int fd = connect_unix(path_of(address));
    assert_true(fd >= 0);
    close(fd);
    close(successor);
    unlink(path_of(address));
  }
  /* A file that is not a socket any more is not ours either. */
  struct listener *listener;
  assert_int_equal(listen_at(address, 0, &listener, NULL), 0);
  unlink(path_of(address));
  close(open(path_of(address), O_CREAT | O_WRONLY, 0600));
  listener_close(listener);
  assert_int_equal(unlink(path_of(address)), 0);
}

/* Waits until the other end has closed. */
static void expect_end(int fd) {
  char byte;
  struct pollfd end = {.fd = fd, .events = POLLIN};
  assert_int_equal(poll(&end, 1, 30000), 1);
  assert_int_equal(recv(fd, &byte, 1, 0), 0);
}

/* Peers who are refused, also several at once, hold up no one who comes after them. */
static void refuses_as_many_as_come(void **state) {
  (void)state;
  enum { COUNT = 50 };
  const char *address = unix_address("refusing");
  struct listener *listener;
  int fds[COUNT];
  assert_int_equal(listen_at(address, 0, &listener, NULL), 0);
  for (size_t i = 0; i < COUNT; i++) assert_true((fds[i] = connect_unix(path_of(address))) >= 0);
  while (connections < COUNT) loop_run_once(&loop);
  for (unsigned n = 0; n < 3; n++) loop_step(&loop);
  for (size_t i = 0; i < COUNT; i++) {
    expect_end(fds[i]);
    close(fds[i]);
  }
}

static void may_be_closed_while_refusing(void **state) {
  (void)state;
  const char *address = unix_address("closing");
  struct listener *listener;
  assert_int_equal(listen_at(address, 0, &listener, NULL), 0);
  int first = connect_unix(path_of(address)), second = connect_unix(path_of(address));
  listener->owner = listener;
  while (connections == 0) loop_run_once(&loop);
  listener_close(listener);
  close(first);
  close(second);
}

static unsigned failures;
static bool sheds;

static void on_connection_or_failure(struct listener *listener, int status) {
  if (status == 0) {
    on_connection(listener, status);
    return;
  }
  assert_int_equal(status, UV_EMFILE);
  failures++;
  if (sheds) listener_shed(listener);
}

/* Leaves the process no descriptor; returns what it had. */
static rlim_t take_descriptors(void) {
  struct rlimit limit;
  getrlimit(RLIMIT_NOFILE, &limit);
  rlim_t before = limit.rlim_cur;
  int lowest = dup(STDERR_FILENO);
  close(lowest);
  limit.rlim_cur = (rlim_t)lowest;
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
  return before;
}

static void give_descriptors(rlim_t before) {
  struct rlimit limit;
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = before;
  setrlimit(RLIMIT_NOFILE, &limit);
}

static void a_lack_of_descriptors_is_told_and_ends(void **state) {
  (void)state;
  enum { COUNT = 10 };
  const char *address = unix_address("full");
  struct listener *listener;
  int fds[COUNT];
  failures = 0;
  sheds = true;
  assert_int_equal(listener_new(&listener, &loop, address, 0, on_connection_or_failure, NULL, NULL), 0);
  list_append(&listeners, &listener->link);
  for (size_t i = 0; i < COUNT; i++) assert_true((fds[i] = connect_unix(path_of(address))) >= 0);
  rlim_t before = take_descriptors();
  while (failures == 0) loop_run_once(&loop);
  give_descriptors(before);
  assert_int_equal(connections, 0);
  for (size_t i = 0; i < COUNT; i++) {
    expect_end(fds[i]); /* they do not wait for an answer that does not come */
    close(fds[i]);
  }
  int again = connect_unix(path_of(address));
  while (connections == 0) loop_run_once(&loop);
  close(again);
  assert_int_equal(failures, 1);
}

static void a_lack_of_descriptors_does_not_turn_the_loop(void **state) {
  (void)state;
  const char *address = unix_address("waiting");
  struct listener *listener;
  failures = 0;
  sheds = false; /* as when even the descriptor that was held back is not there */
  assert_int_equal(listener_new(&listener, &loop, address, 0, on_connection_or_failure, NULL, NULL), 0);
  list_append(&listeners, &listener->link);
  int fd = connect_unix(path_of(address));
  rlim_t before = take_descriptors();
  while (failures == 0) loop_run_once(&loop);
  for (int i = 0; i < 1000; i++) loop_step(&loop);
  unsigned told = failures;
  give_descriptors(before);
  while (connections == 0) loop_run_once(&loop);
  close(fd);
  assert_in_range(told, 1, 5); /* a slow machine may take a pause or two for that */
}

static bool start_and_end(void *context) {
  (void)context;
  struct mw_error error = {""};
  struct listener *listener;
  int status = listener_new(&listener, &loop, "127.0.0.1:0", 0, on_connection, NULL, &error);
  if (status < 0) {
    assert_int_equal(status, MW_ENOMEM);
    assert_non_null(strstr(error.text, "out of memory"));
    return false;
  }
  listener_close(listener);
  loop_step(&loop);
  return true;
}

static void stands_failing_memory(void **state) {
  (void)state;
  assert_int_equal(support_fail_each(start_and_end, NULL), 2);
}

#define LISTENER_TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void) {
  const struct CMUnitTest tests[] = {
      LISTENER_TEST(picks_a_port),
      LISTENER_TEST(writes_ipv6_in_brackets),
      LISTENER_TEST(says_which_ports_there_are),
      LISTENER_TEST(says_which_address_is_malformed),
      LISTENER_TEST(accepts_on_a_unix_socket),
      LISTENER_TEST(takes_the_place_of_a_stale_socket),
      LISTENER_TEST(leaves_a_live_socket_alone),
      LISTENER_TEST(leaves_files_alone),
      LISTENER_TEST(leaves_the_socket_of_a_successor_alone),
      LISTENER_TEST(refuses_as_many_as_come),
      LISTENER_TEST(may_be_closed_while_refusing),
      LISTENER_TEST(a_lack_of_descriptors_is_told_and_ends),
      LISTENER_TEST(a_lack_of_descriptors_does_not_turn_the_loop),
      LISTENER_TEST(stands_failing_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
