/* One line an event, to a sink that the process chose. Safe from any thread. */
#ifndef MOONWIRE_BASE_LOG_H
#define MOONWIRE_BASE_LOG_H

#include <stdarg.h>

#include "base/bytes.h"
#include "base/status.h"

VISIBILITY_PUSH

enum { LOG_LINE_MAX = 4000, LOG_TEXT_MAX = 16000 };

/* A server lives: what goes to standard error is written by a thread of the log's own (log_writer.h). Calls may nest. */
void log_start(void);
/* The last call waits a bounded time until everything is written. */
void log_stop(void);

/* Lines go to standard error, not to a host's sink. */
bool log_to_stderr(void);
/* Counts the calls of mw_log_to. */
unsigned log_generation(void);

/* True if a line of that level would be kept: ask before preparing an expensive one. */
bool log_enabled(enum mw_log_level level);
/* Formats and hands over one line of at most LOG_LINE_MAX bytes; longer ones are cut. Control characters in it, line feeds
 * included, are written as \xNN, so that nothing from outside can forge a line. */
#if defined(__GNUC__) || defined(__clang__)
__attribute__((format(printf, 2, 3)))
#endif
void log_line(enum mw_log_level level, const char *format, ...);
void log_line_va(enum mw_log_level level, const char *format, va_list arguments);
/* As log_line for text that is already there, up to LOG_TEXT_MAX bytes; tabs and line feeds stay (a traceback has several lines), and
 * further lines are indented. */
void log_text(enum mw_log_level level, struct bytes text);

VISIBILITY_POP

#endif
