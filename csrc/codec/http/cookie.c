#include "codec/http/cookie.h"

bool cookie_next(struct bytes *rest, struct bytes *name, struct bytes *value) {
  while (rest->len > 0) {
    struct bytes pair = bytes_of(rest->ptr, bytes_find(*rest, ';'));
    size_t taken = pair.len < rest->len ? pair.len + 1 : pair.len;
    *rest = bytes_of(rest->ptr + taken, rest->len - taken);
    size_t equals = bytes_find(pair, '=');
    if (equals == pair.len) continue;
    *name = bytes_trim(bytes_of(pair.ptr, equals));
    *value = bytes_trim(bytes_of(pair.ptr + equals + 1, pair.len - equals - 1));
    if (name->len == 0) continue;
    if (value->len >= 2 && value->ptr[0] == '"' && value->ptr[value->len - 1] == '"') {
      *value = bytes_of(value->ptr + 1, value->len - 2);
    }
    return true;
  }
  return false;
}
