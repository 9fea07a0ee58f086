#include "load/template.h"

void template_write(struct buffer *out, const char *template, const struct template_values *values) {
  struct bytes rest = bytes_string(template);
  while (rest.len > 0) {
    size_t plain = bytes_find(rest, '{');
    buffer_append(out, bytes_of(rest.ptr, plain));
    rest = bytes_of(rest.ptr + plain, rest.len - plain);
    size_t used = rest.len > 0 ? 1 : 0;
    if (bytes_starts_with(rest, BYTES("{c}"))) {
      buffer_append_u64(out, values->channel);
      used = 3;
    } else if (bytes_starts_with(rest, BYTES("{p}"))) {
      buffer_append(out, values->payload);
      used = 3;
    } else if (bytes_starts_with(rest, BYTES("{cursor}"))) {
      buffer_append(out, values->cursor);
      used = 8;
    } else {
      buffer_append(out, bytes_of(rest.ptr, used));
    }
    rest = bytes_of(rest.ptr + used, rest.len - used);
  }
}
