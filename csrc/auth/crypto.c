/* Random bytes, hashes, and comparisons for the app, on OpenSSL. */
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "auth/crypto_key.h"
#include "auth/secret.h"
#include "base/random.h"

void mw_crypto_random(void *out, size_t len) { random_fill(out, len); }

int mw_crypto_sha256(const void *data, size_t data_len, unsigned char out[MW_SHA256_SIZE]) {
  return EVP_Digest(data, data_len, out, NULL, EVP_sha256(), NULL) == 1 ? 0 : MW_ENOMEM;
}

int mw_crypto_hmac(const void *key, size_t key_len, const void *data, size_t data_len, unsigned char out[MW_SHA256_SIZE]) {
  if (key_len > INT32_MAX) return MW_ETOOLARGE;
  /* Without a pointer, HMAC would continue with an earlier key. */
  const void *given = key_len > 0 ? key : "";
  return HMAC(EVP_sha256(), given, (int)key_len, data, data_len, out, NULL) ? 0 : MW_ENOMEM;
}

int mw_crypto_old_digest(enum mw_old_digest digest, const void *data, size_t data_len, unsigned char out[MW_OLD_DIGEST_MAX]) {
  const EVP_MD *type = digest == MW_DIGEST_MD5 ? EVP_md5() : EVP_sha1();
  unsigned len = 0;
  return EVP_Digest(data, data_len, out, &len, type, NULL) == 1 ? (int)len : MW_ENOMEM;
}

int mw_crypto_pbkdf2(const void *password, size_t password_len, const void *salt, size_t salt_len, uint32_t rounds,
                     unsigned char out[MW_SHA256_SIZE]) {
  if (rounds == 0 || rounds > MW_PBKDF2_ROUNDS_MAX) return MW_EINVAL;
  if (password_len > INT32_MAX || salt_len > INT32_MAX) return MW_ETOOLARGE;
  const char *given = password_len > 0 ? password : "";
  const unsigned char *with = salt_len > 0 ? salt : (const unsigned char *)"";
  int ok = PKCS5_PBKDF2_HMAC(given, (int)password_len, with, (int)salt_len, (int)rounds, EVP_sha256(), MW_SHA256_SIZE, out);
  return ok == 1 ? 0 : MW_ENOMEM;
}

bool mw_crypto_equal(const void *a, size_t a_len, const void *b, size_t b_len) {
  return secret_equal(bytes_of(a, a_len), bytes_of(b, b_len));
}

int crypto_key_derive(struct mw_bytes key, struct bytes use, struct bytes salt, unsigned char out[MW_SHA256_SIZE]) {
  char text[64];
  size_t len = 0;
  if (key.len < MW_CRYPTO_KEY_MIN || use.len + salt.len > sizeof text) return MW_EINVAL;
  memcpy(text, use.ptr, use.len);
  len += use.len;
  if (salt.len > 0) memcpy(text + len, salt.ptr, salt.len);
  len += salt.len;
  return mw_crypto_hmac(key.ptr, key.len, text, len, out);
}
