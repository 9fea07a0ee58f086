/* Reads a file of a directory without blocking the loop. The thread pool of libuv does the work. */
#ifndef MOONWIRE_NET_FILE_H
#define MOONWIRE_NET_FILE_H

#include "base/bytes.h"
#include "net/loop.h"

VISIBILITY_PUSH

enum { FILE_CHUNK = 64 * 1024 };

struct file;

/* Called once for each start: after file_open with 0, MW_ENOTFOUND, or another status; after
 * file_read with the bytes of a chunk, which are empty at the end. */
typedef void (*file_fn)(struct file *file, int status, struct bytes bytes);

/* Opens root/path for reading, if it is a regular file below root after all links are resolved.
 * Returns NULL if out of memory. */
struct file *file_open(struct loop *loop, const char *root, const char *path, file_fn callback, void *owner);
/* Reads the next chunk. Returns a status of libuv. */
int file_read(struct file *file);
void *file_owner(const struct file *file);
/* Return the size, and the time of the last change in nanoseconds since 1970, after it is open. */
uint64_t file_size(const struct file *file);
uint64_t file_changed_ns(const struct file *file);
/* Returns true if the path is a directory (MW_ENOTFOUND). */
bool file_is_directory(const struct file *file);
/* Closes the file. The callback is not called any more. NULL is allowed. */
void file_close(struct file *file);

VISIBILITY_POP

#endif
