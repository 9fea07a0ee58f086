/* Pairs are slices of the header, in order and without delimiters, and the walk ends. */
#include "codec/http/cookie.h"
#include "fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct bytes field = fuzz_bytes(data, size), rest = field, name, value;
  const char *last = field.ptr, *end = field.ptr + field.len;
  while (cookie_next(&rest, &name, &value)) {
    must(name.len > 0 && name.ptr >= last && name.ptr + name.len < value.ptr && value.ptr + value.len <= end);
    must(bytes_find(name, ';') == name.len && bytes_find(name, '=') == name.len && bytes_find(value, ';') == value.len);
    must(bytes_equal(name, bytes_trim(name)));
    last = value.ptr + value.len;
  }
  must(rest.len == 0);
  return 0;
}
