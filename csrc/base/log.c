#define _POSIX_C_SOURCE 200809L /* gmtime_r, pthread */

#include "base/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

#include "base/clock.h"
#include "base/utf8.h"

enum {
  LINE_MAX_LEN = 4000,
  TEXT_MAX_LEN = 16000,
};

static const char *name_of(enum mw_log_level level) {
  switch (level) {
    case MW_LOG_DEBUG: return "debug";
    case MW_LOG_INFO: return "info";
    case MW_LOG_WARNING: return "warning";
    case MW_LOG_ERROR: return "error";
  }
  return "unknown";
}

/* One call of fprintf, so that the lines of several processes do not mix. */
static void write_stderr(void *context, enum mw_log_level level, const char *text, size_t text_len) {
  (void)context;
  struct clock clock;
  clock_init(&clock);
  time_t seconds = (time_t)(clock.wall_ms / 1000);
  struct tm tm;
  char date[32] = "";
  if (gmtime_r(&seconds, &tm)) (void)strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
  (void)fprintf(stderr, "%s.%03uZ %s %.*s\n", date, (unsigned)(clock.wall_ms % 1000), name_of(level), (int)text_len, text);
}

static pthread_mutex_t sink_mutex =
    PTHREAD_MUTEX_INITIALIZER; /* guards sink_fn and sink_context, and makes it one call at a time */
static mw_log_fn sink_fn = write_stderr;
static void *sink_context;
static atomic_int level_min = MW_LOG_INFO;
/* A sink that logs would wait for itself for ever: what it logs is dropped. */
static _Thread_local bool inside_sink;

void mw_log_to(enum mw_log_level level, mw_log_fn sink, void *context) {
  pthread_mutex_lock(&sink_mutex);
  sink_fn = sink ? sink : write_stderr;
  sink_context = context;
  atomic_store(&level_min, (int)level);
  pthread_mutex_unlock(&sink_mutex);
}

bool log_enabled(enum mw_log_level level) { return (int)level >= atomic_load_explicit(&level_min, memory_order_relaxed); }

static void hand_over(enum mw_log_level level, struct bytes text) {
  if (inside_sink) return;
  pthread_mutex_lock(&sink_mutex);
  inside_sink = true;
  sink_fn(sink_context, level, text.ptr, text.len);
  inside_sink = false;
  pthread_mutex_unlock(&sink_mutex);
}

/* Writes the next character of `text` to `out`, escaped if it could be taken for more than text: control characters (C1 as
 * well, which terminals obey) and what is not UTF-8. Returns how many bytes of `text` that was; *len is how many of `out`. */
static size_t clean_next(struct bytes text, bool multiline, char out[8], size_t *len) {
  uint32_t c = 0;
  size_t used = utf8_decode(text, &c);
  if (multiline && (c == '\n' || c == '\t') && used == 1) {
    /* An indented line is not taken for a new entry. */
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

/* Copies what fits, cut between characters, and terminates it. `out` has room for `out_max` bytes and the NUL. */
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

void log_line(enum mw_log_level level, const char *format, ...) {
  if (!log_enabled(level)) return;
  char raw[LINE_MAX_LEN + 1], line[LINE_MAX_LEN + 1];
  va_list arguments;
  va_start(arguments, format);
  int len = vsnprintf(raw, sizeof(raw), format, arguments);
  va_end(arguments);
  if (len < 0) return;
  struct bytes text = bytes_of(raw, len < LINE_MAX_LEN ? (size_t)len : LINE_MAX_LEN);
  hand_over(level, clean_text(text, false, line, LINE_MAX_LEN));
}

void log_text(enum mw_log_level level, struct bytes text) {
  if (!log_enabled(level)) return;
  char clean[TEXT_MAX_LEN + 1];
  while (text.len > 0 && text.ptr[text.len - 1] == '\n') text.len--;
  hand_over(level, clean_text(text, true, clean, TEXT_MAX_LEN));
}

void mw_log(enum mw_log_level level, const char *text, size_t text_len) { log_text(level, bytes_of(text, text_len)); }
