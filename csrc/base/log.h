/* One line an event, to a sink that the process chose. Safe from any thread. */
#ifndef MOONWIRE_BASE_LOG_H
#define MOONWIRE_BASE_LOG_H

#include "base/bytes.h"
#include "base/status.h"

VISIBILITY_PUSH

/* True if a line of that level would be kept: ask before preparing an expensive one. */
bool log_enabled(enum mw_log_level level);
/* Formats and hands over one line of at most 4,000 bytes; longer ones are cut. Control characters in it, line feeds
 * included, are written as \xNN, so that nothing from outside can forge a line. */
#if defined(__GNUC__) || defined(__clang__)
__attribute__((format(printf, 2, 3)))
#endif
void log_line(enum mw_log_level level, const char *format, ...);
/* As log_line for text that is already there, up to 16,000 bytes; tabs and line feeds stay (a traceback has several lines), and
 * further lines are indented. */
void log_text(enum mw_log_level level, struct bytes text);

VISIBILITY_POP

#endif
