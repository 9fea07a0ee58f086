/* A rate limit for lines that a peer can cause: each place in the code may write one line a second.
 * The other lines are counted.
 *
 * The count is added to the next line of the place. If no line follows within a second, it has a
 * line of its own, on standard error only: the thread of the log does not call a host's sink.
 * mw_log_to resets all places. */
#ifndef MOONWIRE_BASE_LOG_LIMIT_H
#define MOONWIRE_BASE_LOG_LIMIT_H

#include "base/log.h"

VISIBILITY_PUSH

/* Debug lines have a higher limit: they are turned on to see each event. */
enum { LOG_DEBUG_MAX = 1000, LOG_LIMIT_TEXT = 160 };

/* A place in the code. Static and zeroed. */
struct log_limit {
  uint64_t until_ms; /* end of the current second */
  unsigned passed, suppressed;
  unsigned generation; /* log_generation() when the counts began */
  bool is_pending;     /* listed, because its count is not written yet */
  enum mw_log_level level;
  struct log_limit *next;
  char text[LOG_LIMIT_TEXT]; /* the beginning of the last line */
};

#if defined(__GNUC__) || defined(__clang__)
__attribute__((format(printf, 3, 4)))
#endif
void log_line_limited(struct log_limit *limit, enum mw_log_level level, const char *format, ...);

/* Does log_line with the rate limit of this place. The arguments are evaluated only if the level is
 * written. */
#define log_limited(level, ...)                                                                                                  \
  do {                                                                                                                           \
    static struct log_limit log_limit_of_this_place;                                                                             \
    if (log_enabled(level)) log_line_limited(&log_limit_of_this_place, level, __VA_ARGS__);                                      \
  } while (0)

VISIBILITY_POP

#endif
