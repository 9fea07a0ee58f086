#include "net/file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/list.h"
#include "base/memory.h"
#include "base/status.h"

struct file {
  uv_work_t work;
  struct loop *loop;
  file_fn callback;
  void *owner;
  bool busy, closed, is_directory, is_open;
  int fd;
  int status;
  struct stat stat;
  char *chunk;
  size_t chunk_len;
  size_t root_len;
  char path[]; /* root, '/', path */
};

/* The last few descriptors are not for files: without a spare one, the loop could not even refuse
 * connections. */
enum { HEADROOM = 8 };

static long descriptor_limit(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur > INT_MAX) return INT_MAX;
  return (long)limit.rlim_cur;
}

static int open_below(struct file *file) {
  char resolved[PATH_MAX], root[PATH_MAX];
  file->path[file->root_len] = '\0';
  bool has_root = realpath(file->path, root) != NULL;
  file->path[file->root_len] = '/';
  if (!has_root || !realpath(file->path, resolved)) return MW_ENOTFOUND;
  size_t len = strlen(root);
  bool below = len == 1 || (strncmp(resolved, root, len) == 0 && (resolved[len] == '/' || resolved[len] == '\0'));
  if (!below) return MW_ENOTFOUND;
  /* Without O_NONBLOCK, a FIFO would block the thread. */
  file->fd = open(resolved, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
  if (file->fd < 0) return errno == EMFILE || errno == ENFILE ? MW_EUNAVAILABLE : MW_ENOTFOUND;
  if (file->fd > descriptor_limit() - HEADROOM) return MW_EUNAVAILABLE;
  if (fstat(file->fd, &file->stat) < 0) return MW_ENOTFOUND;
  file->is_directory = S_ISDIR(file->stat.st_mode);
  return S_ISREG(file->stat.st_mode) ? 0 : MW_ENOTFOUND;
}

static void on_open_work(uv_work_t *work) {
  struct file *file = container_of(work, struct file, work);
  file->status = open_below(file);
}

static void on_read_work(uv_work_t *work) {
  struct file *file = container_of(work, struct file, work);
  ssize_t len;
  do len = read(file->fd, file->chunk, FILE_CHUNK);
  while (len < 0 && errno == EINTR);
  file->status = len < 0 ? -errno : 0;
  file->chunk_len = len < 0 ? 0 : (size_t)len;
}

static void file_destroy(struct file *file) {
  if (file->fd >= 0) close(file->fd);
  memory_free(file->chunk);
  memory_free(file);
}

static void on_work_done(uv_work_t *work, int status) {
  struct file *file = container_of(work, struct file, work);
  struct loop *loop = file->loop;
  if (status < 0) file->status = status;
  file->busy = false;
  if (file->closed) {
    file_destroy(file);
  } else {
    bool opened = !file->is_open;
    file->is_open = true;
    file->callback(file, file->status, opened ? bytes_of(NULL, 0) : bytes_of(file->chunk, file->chunk_len));
  }
  loop_handle_closed(loop);
}

static int queue_work(struct file *file, uv_work_cb work) {
  assert(!file->busy);
  int status = uv_queue_work(file->loop->uv, &file->work, work, on_work_done);
  if (status < 0) return status;
  file->busy = true;
  loop_opened(file->loop);
  return 0;
}

struct file *file_open(struct loop *loop, const char *root, const char *path, file_fn callback, void *owner) {
  size_t root_len = strlen(root), path_len = strlen(path);
  struct file *file = memory_calloc(1, sizeof *file + root_len + path_len + 2);
  if (!file) return NULL;
  file->loop = loop;
  file->callback = callback;
  file->owner = owner;
  file->fd = -1;
  file->root_len = root_len;
  memcpy(file->path, root, root_len);
  file->path[root_len] = '/';
  memcpy(file->path + root_len + 1, path, path_len);
  if (queue_work(file, on_open_work) == 0) return file;
  file_destroy(file);
  return NULL;
}

int file_read(struct file *file) {
  if (!file->chunk) file->chunk = memory_alloc(FILE_CHUNK);
  return file->chunk ? queue_work(file, on_read_work) : MW_ENOMEM;
}

void *file_owner(const struct file *file) { return file->owner; }
uint64_t file_size(const struct file *file) { return (uint64_t)file->stat.st_size; }
bool file_is_directory(const struct file *file) { return file->is_directory; }

uint64_t file_changed_ns(const struct file *file) {
#ifdef __APPLE__
  const struct timespec *changed = &file->stat.st_mtimespec;
#else
  const struct timespec *changed = &file->stat.st_mtim;
#endif
  return (uint64_t)changed->tv_sec * 1000000000u + (uint64_t)changed->tv_nsec;
}

void file_close(struct file *file) {
  if (!file) return;
  file->closed = true;
  if (!file->busy) file_destroy(file);
}
