#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "base/status.h"
#include "net/file.h"
#include "test/support.h"

static struct loop loop;
static char folder[64], root[80];

/* What came of opening and reading a file to its end. */
struct reading {
  struct buffer content;
  int status;
  uint64_t size;
  bool over, opened, is_directory;
};

static void on_turn(struct loop *turning) { (void)turning; }

static void write_file(const char *path, const char *content, size_t len) {
  int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0600);
  assert_true(fd >= 0);
  assert_int_equal(write(fd, content, len), len);
  close(fd);
}

static const char *in_directory(const char *name) {
  static char path[128];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  return path;
}

static int begin(void **state) {
  int status = support_setup(state);
  assert_int_equal(loop_init(&loop, NULL, on_turn), 0);
  snprintf(folder, sizeof folder, "/tmp/moonwire-file-XXXXXX");
  assert_non_null(mkdtemp(folder));
  snprintf(root, sizeof root, "%s/root", folder);
  assert_int_equal(mkdir(root, 0700), 0);
  assert_int_equal(mkdir(in_directory("root/sub"), 0700), 0);
  assert_int_equal(mkdir(in_directory("root2"), 0700), 0);
  write_file(in_directory("secret"), "secret", 6);
  write_file(in_directory("root2/secret"), "secret", 6);
  write_file(in_directory("root/a.txt"), "hello", 5);
  write_file(in_directory("root/empty"), "", 0);
  write_file(in_directory("root/sub/b.txt"), "below", 5);
  return status;
}

/* Removes a directory and all in it. */
static void remove_all(const char *path) {
  DIR *entries = opendir(path);
  for (struct dirent *entry; entries && (entry = readdir(entries));) {
    char inner[512];
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    snprintf(inner, sizeof inner, "%s/%s", path, entry->d_name);
    if (unlink(inner) < 0) remove_all(inner);
  }
  if (entries) closedir(entries);
  rmdir(path);
}

static int end(void **state) {
  loop_close(&loop, NULL);
  while (loop.open_count > 0) loop_run_once(&loop);
  loop_deinit(&loop);
  remove_all(folder);
  return support_teardown(state);
}

static void on_file(struct file *file, int status, struct bytes bytes) {
  struct reading *reading = file_owner(file);
  bool opening = !reading->opened;
  reading->opened = true;
  reading->status = status;
  if (opening && status == 0) reading->size = file_size(file);
  reading->is_directory = file_is_directory(file);
  buffer_append(&reading->content, bytes);
  if (status < 0 || (!opening && bytes.len == 0) || (reading->status = file_read(file)) < 0) {
    reading->over = true;
    file_close(file);
  }
}

/* The content of root/path must be `expected`; NULL: it must not be found. */
static void check(const char *from, const char *path, const char *expected) {
  struct reading reading = {.over = false};
  assert_non_null(file_open(&loop, from, path, on_file, &reading));
  while (!reading.over) loop_run_once(&loop);
  if (reading.status != (expected ? 0 : MW_ENOTFOUND)) print_error("%s/%s: %d\n", from, path, reading.status);
  assert_int_equal(reading.status, expected ? 0 : MW_ENOTFOUND);
  assert_bytes_string(buffer_bytes(&reading.content), expected ? expected : "");
  if (expected) assert_int_equal(reading.size, strlen(expected));
  buffer_deinit(&reading.content);
}

static void reads_what_lies_below(void **state) {
  (void)state;
  check(root, "a.txt", "hello");
  check(root, "empty", "");
  check(root, "sub/b.txt", "below");
  check(root, "sub/../a.txt", "hello");
  check("/", root + 1, NULL); /* a directory */
  check("/", in_directory("root/a.txt") + 1, "hello");
}

static void finds_nothing_outside(void **state) {
  (void)state;
  check(root, "missing", NULL);
  check(root, "a.txt/", NULL);
  check(root, "../secret", NULL);
  check(root, "sub/../../secret", NULL);
  check(root, "../root2/secret", NULL);
  check(root, "../root/../secret", NULL);
  check(in_directory("no-such-root"), "a.txt", NULL);
}

static void follows_links_only_inside(void **state) {
  (void)state;
  assert_int_equal(symlink("a.txt", in_directory("root/inside")), 0);
  assert_int_equal(symlink("../secret", in_directory("root/outside")), 0);
  assert_int_equal(symlink("../root2", in_directory("root/neighbour")), 0);
  assert_int_equal(symlink("/etc/passwd", in_directory("root/absolute")), 0);
  assert_int_equal(symlink("loop", in_directory("root/loop")), 0);
  assert_int_equal(symlink("root", in_directory("linked-root")), 0);
  check(root, "inside", "hello");
  check(root, "outside", NULL);
  check(root, "neighbour/secret", NULL); /* its name begins as the root's does */
  check(root, "absolute", NULL);
  check(root, "loop", NULL);
  check(in_directory("linked-root"), "a.txt", "hello");
}

static void opens_only_regular_files(void **state) {
  (void)state;
  struct reading reading = {.over = false};
  assert_int_equal(mkfifo(in_directory("root/fifo"), 0600), 0);
  check(root, "fifo", NULL); /* must not wait for a writer */
  check("/", "dev/null", NULL);
  assert_non_null(file_open(&loop, root, "sub", on_file, &reading));
  while (!reading.over) loop_run_once(&loop);
  assert_int_equal(reading.status, MW_ENOTFOUND);
  assert_true(reading.is_directory);
}

static void reads_big_files_in_chunks(void **state) {
  (void)state;
  enum { LEN = 5 * FILE_CHUNK + 17 };
  char *content = malloc(LEN + 1);
  for (size_t i = 0; i < LEN; i++) content[i] = (char)('a' + i * 7 % 26);
  content[LEN] = '\0';
  write_file(in_directory("root/big"), content, LEN);
  check(root, "big", content);
  free(content);
}

static void on_closing_read(struct file *file, int status, struct bytes bytes) {
  unsigned *calls = file_owner(file);
  assert_int_equal(status, 0);
  assert_int_equal(bytes.len, 0);
  if (++*calls == 1) {
    assert_int_equal(file_read(file), 0);
    file_close(file);
  }
}

static void may_be_closed_at_any_time(void **state) {
  (void)state;
  unsigned calls = 0;
  file_close(NULL);
  file_close(file_open(&loop, root, "a.txt", on_closing_read, &calls)); /* while it is opened */
  while (loop.open_count > 3) loop_run_once(&loop);
  assert_int_equal(calls, 0);
  assert_non_null(file_open(&loop, root, "a.txt", on_closing_read, &calls)); /* while it is read */
  while (loop.open_count > 3) loop_run_once(&loop);
  assert_int_equal(calls, 1);
}

static bool read_once(void *context) {
  struct reading *reading = context;
  *reading = (struct reading){.over = false};
  if (!file_open(&loop, root, "a.txt", on_file, reading)) return false;
  while (!reading->over) loop_run_once(&loop);
  assert_true(reading->status == 0 || reading->status == MW_ENOMEM);
  bool ok = reading->status == 0 && !reading->content.failed && reading->content.len == 5;
  buffer_deinit(&reading->content);
  return ok;
}

static void stands_failing_memory(void **state) {
  (void)state;
  struct reading reading;
  assert_true(support_fail_each(read_once, &reading) > 2);
}

#define FILE_TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void) {
  const struct CMUnitTest tests[] = {
      FILE_TEST(reads_what_lies_below),    FILE_TEST(finds_nothing_outside),     FILE_TEST(follows_links_only_inside),
      FILE_TEST(opens_only_regular_files), FILE_TEST(reads_big_files_in_chunks), FILE_TEST(may_be_closed_at_any_time),
      FILE_TEST(stands_failing_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
