/* A decoded query stays the same when it is encoded and decoded again. A path that is accepted is
 * UTF-8 without NUL. */
#include "base/utf8.h"
#include "codec/http/query.h"
#include "fuzz/fuzz.h"

static void encode(struct buffer *out, struct bytes text) {
  for (size_t i = 0; i < text.len; i++) buffer_append_format(out, "%%%02X", (unsigned)(unsigned char)text.ptr[i]);
}

static void check_query(struct bytes query) {
  struct buffer name = {0}, value = {0}, again = {0}, name_again = {0}, value_again = {0};
  struct bytes rest = query;
  while (query_next(&rest, &name, &value)) {
    must(name.len + value.len <= query.len);
    buffer_clear(&again);
    encode(&again, buffer_bytes(&name));
    buffer_append_char(&again, '=');
    encode(&again, buffer_bytes(&value));
    struct bytes pair = buffer_bytes(&again);
    must(query_next(&pair, &name_again, &value_again) && pair.len == 0);
    must(bytes_equal(buffer_bytes(&name), buffer_bytes(&name_again)));
    must(bytes_equal(buffer_bytes(&value), buffer_bytes(&value_again)));
  }
  must(rest.len == 0);
  buffer_deinit(&name);
  buffer_deinit(&value);
  buffer_deinit(&again);
  buffer_deinit(&name_again);
  buffer_deinit(&value_again);
}

static void check_path(struct bytes path) {
  struct buffer out = {0}, again = {0}, out_again = {0};
  if (path_decode(path, &out)) {
    must(out.len <= path.len && utf8_valid(buffer_bytes(&out)) && bytes_find(buffer_bytes(&out), '\0') == out.len);
    encode(&again, buffer_bytes(&out));
    must(path_decode(buffer_bytes(&again), &out_again));
    must(bytes_equal(buffer_bytes(&out), buffer_bytes(&out_again)));
  }
  buffer_deinit(&out);
  buffer_deinit(&again);
  buffer_deinit(&out_again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  check_query(fuzz_bytes(data, size));
  check_path(fuzz_bytes(data, size));
  return 0;
}
