#define _POSIX_C_SOURCE 200809L /* gmtime_r, pthread */

#include "base/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log_writer.h"
#include "base/utf8.h"

enum { PREFIX_MAX = 64 };

static const char *name_of(enum mw_log_level level) {
  switch (level) {
    case MW_LOG_DEBUG: return "debug";
    case MW_LOG_INFO: return "info";
    case MW_LOG_WARNING: return "warning";
    case MW_LOG_ERROR: return "error";
  }
  return "unknown";
}

/* Writes the line with one call, so that the lines of several processes do not mix. */
static void write_stderr(void *context, enum mw_log_level level, const char *text, size_t text_len) {
  (void)context;
  struct clock clock;
  clock_init(&clock);
  time_t seconds = (time_t)(clock.wall_ms / 1000);
  struct tm tm;
  char date[32] = "", line[PREFIX_MAX + LOG_TEXT_MAX + 1];
  if (gmtime_r(&seconds, &tm)) (void)strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
  int prefix_len = snprintf(line, PREFIX_MAX, "%s.%03uZ %s ", date, (unsigned)(clock.wall_ms % 1000), name_of(level));
  size_t len = (size_t)prefix_len;
  if (text_len > LOG_TEXT_MAX) text_len = LOG_TEXT_MAX;
  memcpy(line + len, text, text_len);
  len += text_len;
  line[len++] = '\n';
  log_writer_write(bytes_of(line, len), level >= MW_LOG_WARNING);
}

/* guards sink_fn and sink_context; serializes the calls of the sink */
static pthread_mutex_t sink_mutex = PTHREAD_MUTEX_INITIALIZER;
static mw_log_fn sink_fn = write_stderr;
static void *sink_context;
static atomic_int level_min = MW_LOG_INFO;
static atomic_bool is_stderr = true; /* sink_fn is write_stderr */
static atomic_uint generation = 1;
/* A sink that logs would wait for its own lock: its lines are dropped. */
static _Thread_local bool inside_sink;

static void before_fork(void) {
  pthread_mutex_lock(&sink_mutex);
  log_writer_before_fork();
}

static void after_fork_in_parent(void) {
  log_writer_after_fork(false);
  pthread_mutex_unlock(&sink_mutex);
}

static void after_fork_in_child(void) {
  log_writer_after_fork(true);
  pthread_mutex_unlock(&sink_mutex);
}

static void watch_forks(void) { (void)pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child); }

void log_start(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, watch_forks);
  log_writer_acquire();
}

void log_stop(void) { log_writer_release(); }

void mw_log_to(enum mw_log_level level, mw_log_fn sink, void *context) {
  if (!sink) log_writer_guard();
  pthread_mutex_lock(&sink_mutex);
  sink_fn = sink ? sink : write_stderr;
  sink_context = context;
  atomic_store(&level_min, (int)level);
  atomic_store(&is_stderr, !sink);
  atomic_fetch_add(&generation, 1);
  pthread_mutex_unlock(&sink_mutex);
}

bool log_to_stderr(void) { return atomic_load(&is_stderr); }
unsigned log_generation(void) { return atomic_load(&generation); }

/* Relaxed, because a line that is still written, or omitted, by the earlier level is harmless. */
bool log_enabled(enum mw_log_level level) { return (int)level >= atomic_load_explicit(&level_min, memory_order_relaxed); }

static void hand_over(enum mw_log_level level, struct bytes text) {
  if (inside_sink) return;
  pthread_mutex_lock(&sink_mutex);
  inside_sink = true;
  /* Only threads that the host knows may call its sink. */
  if (sink_fn == write_stderr || !log_writer_is_own_thread()) sink_fn(sink_context, level, text.ptr, text.len);
  inside_sink = false;
  pthread_mutex_unlock(&sink_mutex);
}

/* Writes the next character of `text` to `out`. Escapes control characters (C1 included, because
 * terminals obey them) and bytes that are not UTF-8. Returns how many bytes of `text` it read; *len
 * receives how many it wrote. */
static size_t clean_next(struct bytes text, bool multiline, char out[8], size_t *len) {
  uint32_t c = 0;
  size_t used = utf8_decode(text, &c);
  if (multiline && (c == '\n' || c == '\t') && used == 1) {
    /* Indented, so that the line cannot be mistaken for a new entry. */
    *len = (size_t)snprintf(out, 8, "%s", c == '\n' ? "\n    " : "\t");
  } else if (used == 0 || c < 0x20 || (c >= 0x7f && c < 0xa0)) {
    used = used == 0 ? 1 : used;
    *len = (size_t)snprintf(out, 8, "\\x%02x", (unsigned)(used == 1 ? (unsigned char)text.ptr[0] : c));
  } else {
    memcpy(out, text.ptr, used);
    *len = used;
  }
  return used;
}

/* Copies as many whole characters as fit, and terminates them. `out` has room for `out_max` bytes
 * and the NUL. */
static struct bytes clean_text(struct bytes text, bool multiline, char *out, size_t out_max) {
  size_t written = 0;
  while (text.len > 0) {
    char piece[8];
    size_t len;
    size_t used = clean_next(text, multiline, piece, &len);
    if (len > out_max - written) break;
    memcpy(out + written, piece, len);
    written += len;
    text = bytes_of(text.ptr + used, text.len - used);
  }
  out[written] = '\0';
  return bytes_of(out, written);
}

void log_line_va(enum mw_log_level level, const char *format, va_list arguments) {
  if (!log_enabled(level)) return;
  char raw[LOG_LINE_MAX + 1], line[LOG_LINE_MAX + 1];
  int len = vsnprintf(raw, sizeof(raw), format, arguments);
  if (len < 0) return;
  struct bytes text = bytes_of(raw, len < LOG_LINE_MAX ? (size_t)len : LOG_LINE_MAX);
  hand_over(level, clean_text(text, false, line, LOG_LINE_MAX));
}

void log_line(enum mw_log_level level, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  log_line_va(level, format, arguments);
  va_end(arguments);
}

void log_text(enum mw_log_level level, struct bytes text) {
  if (!log_enabled(level)) return;
  char clean[LOG_TEXT_MAX + 1];
  while (text.len > 0 && text.ptr[text.len - 1] == '\n') text.len--;
  hand_over(level, clean_text(text, true, clean, LOG_TEXT_MAX));
}

void mw_log(enum mw_log_level level, const char *text, size_t text_len) { log_text(level, bytes_of(text, text_len)); }
