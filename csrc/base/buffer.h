/* A growable run of bytes with one owner. A failed allocation is remembered in `failed`, so that a
 * writer checks once, after its last append. */
#ifndef MOONWIRE_BASE_BUFFER_H
#define MOONWIRE_BASE_BUFFER_H

#include "base/bytes.h"

VISIBILITY_PUSH

struct buffer {
  char *data; /* NULL while the buffer is empty */
  size_t len;
  size_t capacity;
  bool failed; /* an allocation failed: later appends were ignored */
};

void buffer_init(struct buffer *buffer);
/* Frees the memory and leaves an empty, usable buffer. */
void buffer_deinit(struct buffer *buffer);
/* Returns room for `len` more bytes at data + len. The caller adds to buffer->len what it wrote. If
 * out of memory, returns NULL and sets `failed`. */
char *buffer_reserve(struct buffer *buffer, size_t len);
/* Does the same, and never allocates more than `most` bytes in all. The caller makes sure that
 * buffer->len + len is at most `most`. */
char *buffer_reserve_within(struct buffer *buffer, size_t len, size_t most);
void buffer_append(struct buffer *buffer, struct bytes bytes);
void buffer_append_string(struct buffer *buffer, const char *string);
void buffer_append_char(struct buffer *buffer, char c);
void buffer_append_u64(struct buffer *buffer, uint64_t value);
/* Appends text in a printf format. The format must be a literal, never input. */
#if defined(__GNUC__) || defined(__clang__)
__attribute__((format(printf, 2, 3)))
#endif
void buffer_append_format(struct buffer *buffer, const char *format, ...);
/* Removes the first `len` bytes. */
void buffer_consume(struct buffer *buffer, size_t len);
/* Empties the buffer, keeps its memory, and resets `failed`. */
void buffer_clear(struct buffer *buffer);

static inline struct bytes buffer_bytes(const struct buffer *buffer) { return bytes_of(buffer->data, buffer->len); }

VISIBILITY_POP

#endif
