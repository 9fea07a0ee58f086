/* The log: one line for each event, to the sink that the process has chosen. Any thread. */
#ifndef MOONWIRE_BASE_LOG_H
#define MOONWIRE_BASE_LOG_H

#include <stdarg.h>

#include "base/bytes.h"
#include "base/status.h"

VISIBILITY_PUSH

enum { LOG_LINE_MAX = 4000, LOG_TEXT_MAX = 16000 };

/* Starts the thread of the log that writes to standard error (log_writer.h). Called once for each
 * server that starts. */
void log_start(void);
/* Ends one log_start. The last call waits, for a bounded time, until all lines are written. */
void log_stop(void);

/* Returns true if lines go to standard error and not to the sink of a host. */
bool log_to_stderr(void);
/* Returns how often mw_log_to was called. */
unsigned log_generation(void);

/* Returns true if a line of that level is written. Ask before you prepare an expensive one. */
bool log_enabled(enum mw_log_level level);
/* Formats and writes one line of at most LOG_LINE_MAX bytes; a longer one is truncated. Control
 * characters, newlines included, are written as \xNN, so that input cannot forge a line. */
#if defined(__GNUC__) || defined(__clang__)
__attribute__((format(printf, 2, 3)))
#endif
void log_line(enum mw_log_level level, const char *format, ...);
void log_line_va(enum mw_log_level level, const char *format, va_list arguments);
/* Writes up to LOG_TEXT_MAX bytes of text. Tabs and newlines stay, because a traceback has several
 * lines; the lines after the first are indented. Everything else is as in log_line. */
void log_text(enum mw_log_level level, struct bytes text);

VISIBILITY_POP

#endif
