/* Lines on their way to standard error.
 *
 * While a server lives, one thread of the log writes them, so that a pipe that nobody reads, or a disk that is full, holds up no
 * other thread. What does not fit into its buffer is dropped and counted. Without a server the caller writes. */
#ifndef MOONWIRE_BASE_LOG_WRITER_H
#define MOONWIRE_BASE_LOG_WRITER_H

#include "base/bytes.h"

VISIBILITY_PUSH

enum { LOG_BUFFER_SIZE = 256 * 1024, LOG_BUFFER_RESERVE = 64 * 1024, LOG_CHORES_MAX = 4 };

/* Needs the thread from here on. Calls may nest. Opens those of descriptors 0 to 2 that are closed on /dev/null: a connection that
 * got number 2 would receive the log. */
void log_writer_acquire(void);
/* The last call waits until the buffer is written and ends the thread: at most 3 seconds, and 1 if nothing moves. What cannot be
 * written by then is lost. */
void log_writer_release(void);
/* Takes a line that ends with a newline. Only an urgent one may use the last LOG_BUFFER_RESERVE bytes. Any thread. */
void log_writer_write(struct bytes line, bool is_urgent);
/* Opens those of descriptors 0 to 2 that are closed on /dev/null. */
void log_writer_guard(void);
/* The thread calls it about once a second, while it is not held up by a write, and with is_last before it ends. Registering twice does nothing. */
void log_writer_add_chore(void (*chore)(uint64_t now_ms, bool is_last));
/* True on the log's own thread. */
bool log_writer_is_own_thread(void);
/* How many lines were dropped and not yet reported, for tests. */
uint64_t log_writer_dropped(void);

/* Around a fork: the child has no thread and writes by itself until it has a server, and what is buffered is its parent's to write. */
void log_writer_before_fork(void);
void log_writer_after_fork(bool is_child);

VISIBILITY_POP

#endif
