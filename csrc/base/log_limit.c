#include "base/log_limit.h"

#include <pthread.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/log_writer.h"

enum { SECOND_MS = 1000, MINUTE_MS = 60000, PLACES_MAX = 64, ERRORS_MAX = 256, PLACE_TEXT_MAX = 200, COUNT_TEXT_MAX = 64 };

/* Guards everything in this file, and all limits. Never held while a line is written. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct log_limit *pending;

/* ---- Limits, under the mutex ----------------------------------------------------------------- */

static void make_pending(struct log_limit *limit) {
  if (limit->is_pending) return;
  limit->is_pending = true;
  limit->next = pending;
  pending = limit;
}

static void begin_second(struct log_limit *limit, uint64_t now) {
  limit->until_ms = now + SECOND_MS;
  limit->passed = 1;
  limit->suppressed = 0;
}

/* Returns true if a line may be written now; *suppressed receives how many were not before it. */
static bool pass(struct log_limit *limit, enum mw_log_level level, uint64_t now, unsigned *suppressed) {
  unsigned most = level == MW_LOG_DEBUG ? LOG_DEBUG_MAX : 1, generation = log_generation();
  if (limit->generation != generation) limit->until_ms = limit->suppressed = 0;
  limit->generation = generation;
  limit->level = level;
  *suppressed = limit->suppressed;
  if (now >= limit->until_ms) {
    begin_second(limit, now);
    return true;
  }
  if (limit->passed < most) {
    *suppressed = 0;
    limit->passed++;
    return true;
  }
  limit->suppressed++;
  make_pending(limit);
  return false;
}

/* Takes one whose second has ended from the list (with `any`, the first one). Returns NULL if there
 * is none. */
static struct log_limit *take_due(uint64_t now, bool any) {
  for (struct log_limit **at = &pending; *at; at = &(*at)->next) {
    struct log_limit *limit = *at;
    if (limit->suppressed > 0 && now < limit->until_ms && !any) continue;
    *at = limit->next;
    limit->is_pending = false;
    return limit;
  }
  return NULL;
}

/* Writes the counts of places that have not logged again. */
static void tell_counts(uint64_t now, bool is_last) {
  for (;;) {
    char text[LOG_LIMIT_TEXT];
    pthread_mutex_lock(&mutex);
    struct log_limit *limit = log_to_stderr() ? take_due(now, is_last) : NULL;
    unsigned count = limit ? limit->suppressed : 0;
    enum mw_log_level level = limit ? limit->level : MW_LOG_INFO;
    if (limit) memcpy(text, limit->text, sizeof text);
    if (count > 0) begin_second(limit, now);
    pthread_mutex_unlock(&mutex);
    if (!limit) return;
    if (count > 0) log_line(level, "%u similar %s not written: %s", count, count == 1 ? "line was" : "lines were", text);
  }
}

/* ---- Places in our own code ------------------------------------------------------------------ */

static void count_text(char out[COUNT_TEXT_MAX], unsigned suppressed) {
  out[0] = '\0';
  if (suppressed > 0)
    snprintf(out, COUNT_TEXT_MAX, " (%u similar %s not written)", suppressed, suppressed == 1 ? "line was" : "lines were");
}

/* Keeps the beginning of a line, which is shown with its count. */
static void remember(struct log_limit *limit, struct bytes text) {
  size_t len = text.len < sizeof limit->text ? text.len : sizeof limit->text - 1;
  memcpy(limit->text, text.ptr, len);
  limit->text[len] = '\0';
}

static bool pass_with_text(struct log_limit *limit, enum mw_log_level level, struct bytes text, char count[COUNT_TEXT_MAX]) {
  unsigned suppressed;
  log_writer_add_chore(tell_counts);
  pthread_mutex_lock(&mutex);
  bool passes = pass(limit, level, clock_system_ms(), &suppressed);
  if (passes) remember(limit, text);
  pthread_mutex_unlock(&mutex);
  if (passes) count_text(count, suppressed);
  return passes;
}

void log_line_limited(struct log_limit *limit, enum mw_log_level level, const char *format, ...) {
  if (!log_enabled(level)) return;
  char text[LOG_LINE_MAX + 1], count[COUNT_TEXT_MAX];
  va_list arguments;
  va_start(arguments, format);
  int len = vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  if (len < 0 || !pass_with_text(limit, level, bytes_string(text), count)) return;
  log_line(level, "%s%s", text, count);
}

/* ---- Places of the app, which have names ----------------------------------------------------- */

static struct place {
  uint64_t hash;
  struct log_limit limit;
} places[PLACES_MAX];
/* shared by all that find no free place: PLACES_MAX + 1 lines a second at most */
static struct log_limit other_places;

/* When the traceback of an error was last written. */
static struct known_error {
  uint64_t hash, at_ms;
  unsigned generation;
} known_errors[ERRORS_MAX];

static uint64_t hash_text(uint64_t hash, struct bytes text) {
  for (size_t i = 0; i < text.len; i++) hash = (hash ^ (unsigned char)text.ptr[i]) * 1099511628211u;
  return hash;
}

static void remove_pending(struct log_limit *limit) {
  for (struct log_limit **at = &pending; *at; at = &(*at)->next) {
    if (*at != limit) continue;
    *at = limit->next;
    break;
  }
  limit->is_pending = false;
}

/* Call with the mutex held. */
static struct log_limit *find_place(struct bytes name, uint64_t now) {
  uint64_t hash = hash_text(1469598103934665603u, name);
  struct place *oldest = &places[0];
  for (size_t i = 0; i < PLACES_MAX; i++) {
    if (places[i].hash == hash) return &places[i].limit;
    if (places[i].limit.until_ms < oldest->limit.until_ms) oldest = &places[i];
  }
  if (oldest->limit.until_ms > now) return &other_places;
  remove_pending(&oldest->limit);
  *oldest = (struct place){.hash = hash};
  return &oldest->limit;
}

/* Returns the slot for the error, which may hold another one. */
static struct known_error *find_error(struct bytes place, struct bytes text, uint64_t *hash) {
  *hash = hash_text(hash_text(1469598103934665603u, place), text);
  return &known_errors[*hash % ERRORS_MAX];
}

static bool is_known(const struct known_error *error, uint64_t hash, uint64_t now) {
  return error->hash == hash && error->generation == log_generation() && now < error->at_ms + MINUTE_MS;
}

bool mw_log_error_is_new(const char *place, size_t place_len, const char *text, size_t text_len) {
  uint64_t hash;
  if (!log_enabled(MW_LOG_ERROR)) return false;
  pthread_mutex_lock(&mutex);
  const struct known_error *error = find_error(bytes_of(place, place_len), bytes_of(text, text_len), &hash);
  bool is_new = !is_known(error, hash, clock_system_ms());
  pthread_mutex_unlock(&mutex);
  return is_new;
}

/* Returns true if the traceback should be written, and remembers that. Call with the mutex held. */
static bool learn_error(struct bytes place, struct bytes text, uint64_t now) {
  uint64_t hash;
  struct known_error *error = find_error(place, text, &hash);
  if (is_known(error, hash, now)) return false;
  *error = (struct known_error){hash, now, log_generation()};
  return true;
}

/* Returns true if a line may be written for the place. Call with the mutex held. */
static bool pass_place(const struct mw_log_error *error, struct bytes line, unsigned *suppressed, bool *with_traceback) {
  struct bytes place = bytes_of(error->place.ptr, error->place.len), text = bytes_of(error->text.ptr, error->text.len);
  uint64_t now = clock_system_ms();
  struct log_limit *limit = find_place(place, now);
  if (!pass(limit, error->level, now, suppressed)) return false;
  *with_traceback = error->traceback.len > 0 && learn_error(place, text, now);
  remember(limit, bytes_of(line.ptr, bytes_find(line, '\n')));
  return true;
}

void mw_log_error(const struct mw_log_error *error) {
  if (!log_enabled(error->level)) return;
  char line[LOG_TEXT_MAX + 1], count[COUNT_TEXT_MAX];
  unsigned suppressed;
  bool with_traceback = false;
  const size_t most = LOG_TEXT_MAX / 2; /* a long message leaves room for its traceback */
  int text_len = (int)(error->text.len < most ? error->text.len : most);
  int what_len = (int)(error->what.len < most / 4 ? error->what.len : most / 4);
  int len = snprintf(line, sizeof line, "%.*s%.*s", what_len, error->what.ptr, text_len, error->text.ptr);
  log_writer_add_chore(tell_counts);
  pthread_mutex_lock(&mutex);
  bool passes = len >= 0 && pass_place(error, bytes_of(line, (size_t)len), &suppressed, &with_traceback);
  pthread_mutex_unlock(&mutex);
  if (!passes) return;
  count_text(count, suppressed);
  int rest_len = with_traceback ? (int)(error->traceback.len < most / 2 ? error->traceback.len : most / 2) : 0;
  int more = snprintf(line + len, sizeof line - (size_t)len, "%s%s%.*s", count, rest_len > 0 ? "\n" : "", rest_len,
                      error->traceback.ptr);
  log_text(error->level, bytes_of(line, (size_t)len + (size_t)more));
}
