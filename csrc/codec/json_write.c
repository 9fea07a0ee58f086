/* The writing half of json_scan.h. */
#include "codec/json_scan.h"

/* Returns the length of the character at the start of `text` if it must be escaped, or 0. U+2028
 * and U+2029 end a line in JavaScript. */
static size_t special_len(struct bytes text) {
  unsigned char c = (unsigned char)text.ptr[0];
  if (c < 0x20 || c == '"' || c == '\\') return 1;
  bool is_line_end =
      c == 0xe2 && (bytes_starts_with(text, BYTES("\xe2\x80\xa8")) || bytes_starts_with(text, BYTES("\xe2\x80\xa9")));
  return is_line_end ? 3 : 0;
}

static void write_escape(struct buffer *out, struct bytes special) {
  switch (special.ptr[0]) {
    case '"': buffer_append(out, BYTES("\\\"")); return;
    case '\\': buffer_append(out, BYTES("\\\\")); return;
    case '\b': buffer_append(out, BYTES("\\b")); return;
    case '\f': buffer_append(out, BYTES("\\f")); return;
    case '\n': buffer_append(out, BYTES("\\n")); return;
    case '\r': buffer_append(out, BYTES("\\r")); return;
    case '\t': buffer_append(out, BYTES("\\t")); return;
    default: break;
  }
  unsigned code = special.len == 1 ? (unsigned)special.ptr[0] : 0x2000U | ((unsigned)special.ptr[2] & 0x3f);
  buffer_append_format(out, "\\u%04x", code);
}

void json_write_string(struct buffer *out, struct bytes text) {
  size_t run = 0; /* start of the text that is not yet written */
  buffer_append_char(out, '"');
  for (size_t i = 0; i < text.len;) {
    size_t len = special_len(bytes_of(text.ptr + i, text.len - i));
    if (len > 0) {
      buffer_append(out, bytes_of(text.ptr + run, i - run));
      write_escape(out, bytes_of(text.ptr + i, len));
      run = i + len;
    }
    i += len > 0 ? len : 1;
  }
  if (text.len > run) buffer_append(out, bytes_of(text.ptr + run, text.len - run));
  buffer_append_char(out, '"');
}

void json_write_compact(struct buffer *out, struct bytes text) {
  size_t run = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.len; i++) {
    char c = text.ptr[i];
    if (in_string && c == '\\') {
      i++;
    } else if (c == '"') {
      in_string = !in_string;
    } else if (!in_string && json_is_space(c)) {
      buffer_append(out, bytes_of(text.ptr + run, i - run));
      run = i + 1;
    }
  }
  if (text.len > run) buffer_append(out, bytes_of(text.ptr + run, text.len - run));
}
