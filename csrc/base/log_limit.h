/* Lines that a peer can cause, as often as it likes: one a second from each place, with a count of the rest.
 *
 * The count is in the place's next line, or in a line of its own once nothing has come for a second (on standard error; a host's
 * sink is not called by the log's thread). mw_log_to starts all places afresh. */
#ifndef MOONWIRE_BASE_LOG_LIMIT_H
#define MOONWIRE_BASE_LOG_LIMIT_H

#include "base/log.h"

VISIBILITY_PUSH

/* Debug lines are asked for and follow each event, so their limit is wider. */
enum { LOG_DEBUG_MAX = 1000, LOG_LIMIT_TEXT = 160 };

/* A place; static and zeroed. */
struct log_limit {
  uint64_t until_ms; /* of its second */
  unsigned passed, suppressed;
  unsigned generation; /* of the sink that its counts are about */
  bool is_pending;     /* in the list of those whose count is still to be told */
  enum mw_log_level level;
  struct log_limit *next;
  char text[LOG_LIMIT_TEXT]; /* the beginning of the last line */
};

#if defined(__GNUC__) || defined(__clang__)
__attribute__((format(printf, 3, 4)))
#endif
void log_line_limited(struct log_limit *limit, enum mw_log_level level, const char *format, ...);

/* log_line for a place that a peer can reach. Its arguments are evaluated only if the level is kept. */
#define log_limited(level, ...)                                                                                                  \
  do {                                                                                                                           \
    static struct log_limit log_limit_of_this_place;                                                                             \
    if (log_enabled(level)) log_line_limited(&log_limit_of_this_place, level, __VA_ARGS__);                                      \
  } while (0)

VISIBILITY_POP

#endif
