#include "load/mark.h"

#include "net/poller.h"

/* "~" run 4, channel 5, sequence 8, due 16, size 5, all in hexadecimal digits */
enum { RUN_DIGITS = 4, CHANNEL_DIGITS = 5, SEQUENCE_DIGITS = 8, DUE_DIGITS = 16, SIZE_DIGITS = 5 };
enum { HEAD_SIZE = 1 + RUN_DIGITS + CHANNEL_DIGITS + SEQUENCE_DIGITS + DUE_DIGITS + SIZE_DIGITS };
_Static_assert((int)HEAD_SIZE < (int)MARK_SIZE_MIN, "a payload has a filler");

static uint32_t own_run;
static char filler[MARK_SIZE_MAX];

void mark_init(uint32_t run) {
  own_run = run & 0xffff;
  for (size_t i = 0; i < sizeof(filler); i++) filler[i] = (char)('g' + i % 19);
}

static void write_hex(char **out, uint64_t value, int digits) {
  for (int i = digits - 1; i >= 0; i--, value >>= 4) (*out)[i] = "0123456789abcdef"[value & 15];
  *out += digits;
}

void mark_write(struct buffer *out, const struct mark *mark) {
  char *to = buffer_reserve(out, mark->size);
  if (!to) die("out of memory");
  out->len += mark->size;
  *to++ = '~';
  write_hex(&to, own_run, RUN_DIGITS);
  write_hex(&to, mark->channel, CHANNEL_DIGITS);
  write_hex(&to, mark->sequence, SEQUENCE_DIGITS);
  write_hex(&to, mark->due_ns, DUE_DIGITS);
  write_hex(&to, mark->size - 1, SIZE_DIGITS);
  memcpy(to, filler, mark->size - HEAD_SIZE);
}

static bool read_hex(const char **from, uint64_t *value, int digits) {
  *value = 0;
  for (int i = 0; i < digits; i++) {
    char c = *(*from)++;
    bool is_decimal = c >= '0' && c <= '9';
    if (!is_decimal && (c < 'a' || c > 'f')) return false;
    *value = *value << 4 | (unsigned)(is_decimal ? c - '0' : c - 'a' + 10);
  }
  return true;
}

static enum mark_found read_mark(struct bytes text, struct mark *mark) {
  const char *from = text.ptr + 1;
  uint64_t run, channel, sequence, size;
  if (text.len < MARK_SIZE_MIN || !read_hex(&from, &run, RUN_DIGITS)) return MARK_ALTERED;
  if (run != own_run) return MARK_FOREIGN;
  if (!read_hex(&from, &channel, CHANNEL_DIGITS) || !read_hex(&from, &sequence, SEQUENCE_DIGITS) ||
      !read_hex(&from, &mark->due_ns, DUE_DIGITS) || !read_hex(&from, &size, SIZE_DIGITS))
    return MARK_ALTERED;
  *mark = (struct mark){(uint32_t)channel, (uint32_t)sequence, mark->due_ns, (size_t)size + 1};
  if (mark->size < MARK_SIZE_MIN || mark->size > text.len) return MARK_ALTERED;
  return memcmp(from, filler, mark->size - HEAD_SIZE) == 0 ? MARK_INTACT : MARK_ALTERED;
}

enum mark_found mark_next(struct bytes *text, struct mark *mark) {
  const char *at = text->len > 0 ? memchr(text->ptr, '~', text->len) : NULL;
  if (!at) return MARK_NONE;
  struct bytes rest = bytes_of(at, text->len - (size_t)(at - text->ptr));
  enum mark_found found = read_mark(rest, mark);
  size_t used = found == MARK_INTACT ? mark->size : 1;
  *text = bytes_of(rest.ptr + used, rest.len - used);
  return found;
}
