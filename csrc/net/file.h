/* Reading a file of a directory without blocking the loop: libuv's thread pool does it. */
#ifndef MOONWIRE_NET_FILE_H
#define MOONWIRE_NET_FILE_H

#include "base/bytes.h"
#include "net/loop.h"

VISIBILITY_PUSH

enum { FILE_CHUNK = 64 * 1024 };

struct file;

/* One callback for each start: opening is over (status 0, or MW_ENOTFOUND, or another status), or a chunk was read (bytes; empty at the end). */
typedef void (*file_fn)(struct file *file, int status, struct bytes bytes);

/* Opens root/path for reading; only a regular file that lies below root when all links are resolved. NULL without memory. */
struct file *file_open(struct loop *loop, const char *root, const char *path, file_fn callback, void *owner);
/* Reads the next chunk. A status of libuv. */
int file_read(struct file *file);
void *file_owner(const struct file *file);
/* Once it is open: its bytes, and when it was changed, in nanoseconds since 1970. */
uint64_t file_size(const struct file *file);
uint64_t file_changed_ns(const struct file *file);
/* True if the path was a directory (MW_ENOTFOUND). */
bool file_is_directory(const struct file *file);
/* Closes it; the callback does not come any more. NULL is allowed. */
void file_close(struct file *file);

VISIBILITY_POP

#endif
