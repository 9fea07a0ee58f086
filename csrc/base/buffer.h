/* A growable run of bytes with one owner. An error sticks, so that a writer checks once, at the end. */
#ifndef MOONWIRE_BASE_BUFFER_H
#define MOONWIRE_BASE_BUFFER_H

#include "base/bytes.h"

VISIBILITY_PUSH

struct buffer {
  char *data; /* NULL while empty */
  size_t len;
  size_t capacity;
  bool failed; /* an allocation failed: what was appended since is not there */
};

void buffer_init(struct buffer *buffer);
/* Frees the memory and leaves an empty, usable buffer. */
void buffer_deinit(struct buffer *buffer);
/* Room for `len` more bytes at data + len; NULL and `failed` without memory. The caller adds to len what it wrote. */
char *buffer_reserve(struct buffer *buffer, size_t len);
/* Likewise, and never takes memory for more than `most` bytes in all; len + the room asked for is not more than that. */
char *buffer_reserve_within(struct buffer *buffer, size_t len, size_t most);
void buffer_append(struct buffer *buffer, struct bytes bytes);
void buffer_append_string(struct buffer *buffer, const char *string);
void buffer_append_char(struct buffer *buffer, char c);
void buffer_append_u64(struct buffer *buffer, uint64_t value);
/* Appends by a printf format of this file's own callers; never with a format from outside. */
#if defined(__GNUC__) || defined(__clang__)
__attribute__((format(printf, 2, 3)))
#endif
void buffer_append_format(struct buffer *buffer, const char *format, ...);
/* Drops the first `len` bytes. */
void buffer_consume(struct buffer *buffer, size_t len);
/* Empties it, keeps the memory, and forgets a failure: a new beginning. */
void buffer_clear(struct buffer *buffer);

static inline struct bytes buffer_bytes(const struct buffer *buffer) { return bytes_of(buffer->data, buffer->len); }

VISIBILITY_POP

#endif
