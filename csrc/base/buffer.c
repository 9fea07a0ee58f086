#include "base/buffer.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/memory.h"

enum { CAPACITY_MIN = 64 };

void buffer_init(struct buffer *buffer) { *buffer = (struct buffer){0}; }

void buffer_deinit(struct buffer *buffer) {
  memory_free(buffer->data);
  buffer_init(buffer);
}

/* At least doubles the capacity, within `most`, so that appending costs constant time for each
 * byte. */
static bool buffer_grow(struct buffer *buffer, size_t len, size_t most) {
  size_t needed = buffer->len + len;
  size_t capacity = buffer->capacity > SIZE_MAX / 2 ? SIZE_MAX : buffer->capacity * 2;
  if (capacity < needed) capacity = needed;
  if (capacity < CAPACITY_MIN) capacity = CAPACITY_MIN;
  if (capacity > most) capacity = most;
  char *data = memory_realloc(buffer->data, capacity);
  if (!data) return false;
  buffer->data = data;
  buffer->capacity = capacity;
  return true;
}

char *buffer_reserve_within(struct buffer *buffer, size_t len, size_t most) {
  assert(buffer->len <= most && len <= most - buffer->len);
  if (buffer->failed) return NULL;
  if ((!buffer->data || len > buffer->capacity - buffer->len) && !buffer_grow(buffer, len, most)) {
    buffer->failed = true;
    return NULL;
  }
  return buffer->data + buffer->len;
}

char *buffer_reserve(struct buffer *buffer, size_t len) {
  if (len <= SIZE_MAX - buffer->len) return buffer_reserve_within(buffer, len, SIZE_MAX);
  buffer->failed = true;
  return NULL;
}

void buffer_append(struct buffer *buffer, struct bytes bytes) {
  if (bytes.len == 0) return;
  char *end = buffer_reserve(buffer, bytes.len);
  if (!end) return;
  memcpy(end, bytes.ptr, bytes.len);
  buffer->len += bytes.len;
}

void buffer_append_string(struct buffer *buffer, const char *string) { buffer_append(buffer, bytes_string(string)); }

void buffer_append_char(struct buffer *buffer, char c) { buffer_append(buffer, bytes_of(&c, 1)); }

void buffer_append_u64(struct buffer *buffer, uint64_t value) {
  char digits[20];
  size_t at = sizeof(digits);
  do {
    digits[--at] = (char)('0' + value % 10);
    value /= 10;
  } while (value > 0);
  buffer_append(buffer, bytes_of(digits + at, sizeof(digits) - at));
}

void buffer_append_format(struct buffer *buffer, const char *format, ...) {
  va_list measure, write;
  va_start(measure, format);
  va_copy(write, measure);
  int len = vsnprintf(NULL, 0, format, measure);
  va_end(measure);
  char *end = len < 0 ? NULL : buffer_reserve(buffer, (size_t)len + 1);
  if (end) {
    (void)vsnprintf(end, (size_t)len + 1, format, write);
    buffer->len += (size_t)len;
  } else {
    buffer->failed = true;
  }
  va_end(write);
}

void buffer_consume(struct buffer *buffer, size_t len) {
  if (len >= buffer->len) {
    buffer->len = 0;
    return;
  }
  memmove(buffer->data, buffer->data + len, buffer->len - len);
  buffer->len -= len;
}

void buffer_clear(struct buffer *buffer) {
  buffer->len = 0;
  buffer->failed = false;
}
