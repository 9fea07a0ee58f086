/* Writes the lines of the log to standard error.
 *
 * While there is a server, a thread of the log writes them, so that a pipe without a reader or a
 * full disk does not block any other thread. Lines that do not fit into its buffer are dropped and
 * counted. Without a server, the caller writes. */
#ifndef MOONWIRE_BASE_LOG_WRITER_H
#define MOONWIRE_BASE_LOG_WRITER_H

#include "base/bytes.h"

VISIBILITY_PUSH

enum { LOG_BUFFER_SIZE = 256 * 1024, LOG_BUFFER_RESERVE = 64 * 1024, LOG_CHORES_MAX = 4 };

/* Starts the thread, if it is the first call; each needs one log_writer_release. Calls
 * log_writer_guard. */
void log_writer_acquire(void);
/* Ends one log_writer_acquire. The last call waits until the buffer is written, and ends the
 * thread. It waits at most 3 seconds, and at most 1 without progress; lines that are not written by
 * then are lost. */
void log_writer_release(void);
/* Takes a line that ends with a newline. Only an urgent line may use the last LOG_BUFFER_RESERVE
 * bytes. Any thread. */
void log_writer_write(struct bytes line, bool is_urgent);
/* Opens /dev/null for each of the descriptors 0 to 2 that is closed. Otherwise, a connection could
 * get descriptor 2 and receive the log. */
void log_writer_guard(void);
/* Registers a function that the thread calls about once a second, unless a write blocks it, and
 * with is_last before it ends. Registering a function again does nothing. */
void log_writer_add_chore(void (*chore)(uint64_t now_ms, bool is_last));
/* Returns true on the thread of the log. */
bool log_writer_is_own_thread(void);
/* Returns how many lines were dropped and not yet reported. For tests. */
uint64_t log_writer_dropped(void);

/* Called around a fork. The child has no thread: it writes by itself until it has a server. The
 * parent writes what is in the buffer. */
void log_writer_before_fork(void);
void log_writer_after_fork(bool is_child);

VISIBILITY_POP

#endif
