#define _POSIX_C_SOURCE 200809L /* pthread, sigmask */

#include "base/log_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

/* A pipe takes a piece as a whole (PIPE_BUF), so that the lines of several processes do not mix. */
enum {
  PIECE_MAX = 4096,
  NOTICE_MAX = 128,
  SECOND_MS = 1000,
  POLL_MS = 100,
  FLUSH_MS = 3000,   /* longest wait of the last release */
  STALLED_MS = 1000, /* and without progress */
  RETRY_MS = 1000,   /* after an error such as a full disk */
};

static char ring[LOG_BUFFER_SIZE];

static struct {
  pthread_mutex_t mutex; /* guards all members, and the ring */
  pthread_cond_t wake;   /* wakes the thread */
  pthread_cond_t moved;  /* something was written, or the thread has ended */
  pthread_t thread;
  unsigned users;
  bool is_running, is_detached, is_failing, gives_up;
  size_t head, used;
  uint64_t dropped;
  uint64_t taken; /* bytes written so far */
  void (*chores[LOG_CHORES_MAX])(uint64_t now_ms, bool is_last);
} writer = {.mutex = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER, .moved = PTHREAD_COND_INITIALIZER};

static _Thread_local bool is_own_thread;

/* Waits at most `ms` and releases the mutex in the meantime. A clock that is set back makes one
 * wait longer. */
static void wait_for(pthread_cond_t *cond, uint64_t ms) {
  struct timespec until;
  clock_gettime(CLOCK_REALTIME, &until);
  uint64_t ns = (uint64_t)until.tv_nsec + (ms % 1000) * 1000000;
  until.tv_sec += (time_t)(ms / 1000 + ns / 1000000000);
  until.tv_nsec = (long)(ns % 1000000000);
  pthread_cond_timedwait(cond, &writer.mutex, &until);
}

/* ---- The buffer, under the mutex ------------------------------------------------------------- */

static void log_writer_append(struct bytes text) {
  size_t tail = (writer.head + writer.used) % LOG_BUFFER_SIZE;
  size_t first = LOG_BUFFER_SIZE - tail < text.len ? LOG_BUFFER_SIZE - tail : text.len;
  memcpy(ring + tail, text.ptr, first);
  memcpy(ring, text.ptr + first, text.len - first);
  writer.used += text.len;
}

/* Adds a line that reports dropped lines. NOTICE_MAX bytes must be free. */
static void append_notice(void) {
  char notice[NOTICE_MAX];
  int len = snprintf(notice, sizeof notice, "(dropped %llu lines of the log: standard error is too slow)\n",
                     (unsigned long long)writer.dropped);
  log_writer_append(bytes_of(notice, (size_t)len));
  writer.dropped = 0;
}

static void append_line(struct bytes line, bool is_urgent) {
  size_t most = is_urgent ? LOG_BUFFER_SIZE : LOG_BUFFER_SIZE - LOG_BUFFER_RESERVE;
  if (writer.used + line.len + NOTICE_MAX > most) {
    writer.dropped++;
    return;
  }
  if (writer.dropped > 0) append_notice();
  log_writer_append(line);
}

/* Copies whole lines, or a part of a line that is longer than a piece. */
static size_t copy_piece(char piece[PIECE_MAX]) {
  size_t len = writer.used < PIECE_MAX ? writer.used : PIECE_MAX, end = len;
  size_t first = LOG_BUFFER_SIZE - writer.head < len ? LOG_BUFFER_SIZE - writer.head : len;
  memcpy(piece, ring + writer.head, first);
  memcpy(piece + first, ring, len - first);
  while (end > 0 && piece[end - 1] != '\n') end--;
  return end > 0 ? end : len;
}

/* ---- The thread ------------------------------------------------------------------------------ */

/* Waits a moment until standard error is writable, and writes. Returns the number of bytes written,
 * 0 if none were, or -1. */
static ssize_t try_write(const char *piece, size_t len) {
  struct pollfd pollfd = {.fd = STDERR_FILENO, .events = POLLOUT};
  int status = poll(&pollfd, 1, POLL_MS);
  if (status == 0 || (status < 0 && errno == EINTR)) return 0;
  ssize_t written = write(STDERR_FILENO, piece, len);
  if (written >= 0 || (errno != EAGAIN && errno != EINTR)) return written;
  poll(NULL, 0, 1); /* another process was faster */
  return 0;
}

static void write_some(void) {
  char piece[PIECE_MAX];
  size_t len = copy_piece(piece);
  pthread_mutex_unlock(&writer.mutex);
  ssize_t written = try_write(piece, len);
  pthread_mutex_lock(&writer.mutex);
  writer.is_failing = written < 0;
  if (written > 0) {
    writer.head = (writer.head + (size_t)written) % LOG_BUFFER_SIZE;
    writer.used -= (size_t)written;
    writer.taken += (uint64_t)written;
    pthread_cond_broadcast(&writer.moved);
  }
  /* Every new line wakes the thread, which alone is not a reason to try again. */
  uint64_t begin_ms = clock_system_ms();
  while (writer.is_failing && writer.users > 0 && clock_system_ms() < begin_ms + RETRY_MS) wait_for(&writer.wake, RETRY_MS);
}

static void run_chores(bool is_last) {
  for (size_t i = 0; i < LOG_CHORES_MAX && writer.chores[i]; i++) {
    void (*chore)(uint64_t, bool) = writer.chores[i];
    pthread_mutex_unlock(&writer.mutex);
    chore(clock_system_ms(), is_last);
    pthread_mutex_lock(&writer.mutex);
  }
}

static void *run_thread(void *argument) {
  (void)argument;
  is_own_thread = true;
  pthread_mutex_lock(&writer.mutex);
  bool is_last = false;
  for (uint64_t next_ms = clock_system_ms() + SECOND_MS;;) {
    if (writer.users == 0 && !is_last) run_chores(true);
    is_last = writer.users == 0;
    if (writer.used == 0 && writer.dropped > 0) append_notice();
    bool is_done = writer.users == 0 && (writer.used == 0 || writer.is_failing || writer.gives_up);
    if (is_done) break;
    if (writer.used > 0) write_some();
    uint64_t now = clock_system_ms();
    if (now >= next_ms) {
      next_ms = now + SECOND_MS;
      run_chores(false);
    } else if (writer.used == 0 && writer.users > 0) {
      wait_for(&writer.wake, next_ms - now);
    }
  }
  writer.is_running = false;
  writer.used = 0;
  pthread_cond_broadcast(&writer.moved);
  pthread_mutex_unlock(&writer.mutex);
  return NULL;
}

/* Blocks all signals in the thread: they are for the threads of the program. If the
 * thread cannot start now, the next line tries again. */
static void start_thread(void) {
  sigset_t all, old;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &old);
  writer.is_detached = writer.is_failing = false;
  writer.is_running = pthread_create(&writer.thread, NULL, run_thread, NULL) == 0;
  pthread_sigmask(SIG_SETMASK, &old, NULL);
}

/* Waits until the thread has ended, while it makes progress. Returns false if a write blocks it. */
static bool await_end(void) {
  uint64_t begin_ms = clock_system_ms(), moved_ms = begin_ms, taken = writer.taken;
  while (writer.is_running && writer.users == 0) {
    uint64_t now = clock_system_ms();
    if (writer.taken != taken) moved_ms = now;
    taken = writer.taken;
    if (now >= begin_ms + FLUSH_MS || now >= moved_ms + STALLED_MS) writer.gives_up = true;
    if (now >= begin_ms + FLUSH_MS + 5 * POLL_MS || now >= moved_ms + STALLED_MS + 5 * POLL_MS) return false;
    pthread_cond_signal(&writer.wake);
    wait_for(&writer.moved, POLL_MS);
  }
  return !writer.is_running;
}

static void end_thread(void) {
  if (!writer.is_running) return;
  pthread_t thread = writer.thread;
  bool was_detached = writer.is_detached, has_ended = await_end();
  if (was_detached || writer.users > 0) return; /* a server has started in the meantime */
  if (!has_ended) {
    pthread_detach(thread); /* it ends after its write, or with the process */
    writer.is_detached = true;
    return;
  }
  pthread_mutex_unlock(&writer.mutex);
  pthread_join(thread, NULL);
  pthread_mutex_lock(&writer.mutex);
}

/* ---- For the rest of the program ------------------------------------------------------------- */

static void write_directly(struct bytes text) {
  while (text.len > 0) {
    ssize_t written = write(STDERR_FILENO, text.ptr, text.len);
    if (written < 0 && errno == EAGAIN) {
      struct pollfd pollfd = {.fd = STDERR_FILENO, .events = POLLOUT};
      poll(&pollfd, 1, SECOND_MS);
    } else if (written < 0 && errno != EINTR) {
      return;
    } else if (written > 0) {
      text = bytes_of(text.ptr + written, text.len - (size_t)written);
    }
  }
}

void log_writer_write(struct bytes line, bool is_urgent) {
  pthread_mutex_lock(&writer.mutex);
  if (writer.users > 0 && !writer.is_running) start_thread();
  bool is_buffered = writer.users > 0 || writer.is_running;
  if (is_buffered) append_line(line, is_urgent);
  if (is_buffered && !is_own_thread) pthread_cond_signal(&writer.wake);
  pthread_mutex_unlock(&writer.mutex);
  if (!is_buffered) write_directly(line);
}

void log_writer_guard(void) {
  for (int fd = 0; fd <= STDERR_FILENO; fd++) {
    if (fcntl(fd, F_GETFD) >= 0 || errno != EBADF) continue;
    int opened = open("/dev/null", O_RDWR); /* opens the lowest free descriptor: this one */
    if (opened > STDERR_FILENO) close(opened);
  }
}

void log_writer_acquire(void) {
  log_writer_guard();
  pthread_mutex_lock(&writer.mutex);
  writer.users++;
  writer.gives_up = false;
  if (!writer.is_running) start_thread();
  pthread_mutex_unlock(&writer.mutex);
}

void log_writer_release(void) {
  pthread_mutex_lock(&writer.mutex);
  if (writer.users > 0 && --writer.users == 0) end_thread();
  pthread_mutex_unlock(&writer.mutex);
}

/* For a process that exits and has not freed its servers. */
#if defined(__GNUC__) || defined(__clang__)
__attribute__((destructor)) static void flush_at_exit(void) {
  pthread_mutex_lock(&writer.mutex);
  writer.users = 0;
  end_thread();
  pthread_mutex_unlock(&writer.mutex);
}
#endif

void log_writer_add_chore(void (*chore)(uint64_t now_ms, bool is_last)) {
  pthread_mutex_lock(&writer.mutex);
  for (size_t i = 0; i < LOG_CHORES_MAX; i++) {
    if (writer.chores[i] && writer.chores[i] != chore) continue;
    writer.chores[i] = chore;
    break;
  }
  pthread_mutex_unlock(&writer.mutex);
}

bool log_writer_is_own_thread(void) { return is_own_thread; }

uint64_t log_writer_dropped(void) {
  pthread_mutex_lock(&writer.mutex);
  uint64_t dropped = writer.dropped;
  pthread_mutex_unlock(&writer.mutex);
  return dropped;
}

void log_writer_before_fork(void) { pthread_mutex_lock(&writer.mutex); }

void log_writer_after_fork(bool is_child) {
  if (is_child) {
    writer.is_running = false;
    writer.users = 0; /* servers do not survive a fork */
    writer.head = writer.used = 0;
    writer.dropped = 0;
    pthread_cond_init(&writer.wake, NULL);
    pthread_cond_init(&writer.moved, NULL);
  }
  pthread_mutex_unlock(&writer.mutex);
}
