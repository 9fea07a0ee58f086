#include "auth/secret.h"

#include <openssl/crypto.h>

#include "base/random.h"

bool secret_equal(struct bytes a, struct bytes b) { return a.len == b.len && CRYPTO_memcmp(a.ptr, b.ptr, a.len) == 0; }

void secret_name(char *out, size_t len) {
  static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz234567";
  random_fill(out, len);
  for (size_t i = 0; i < len; i++) out[i] = alphabet[(unsigned char)out[i] & 31];
}
