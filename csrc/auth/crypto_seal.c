/* Text that comes back from outside: sealed (encrypted, AES-256-GCM) or signed (HMAC-SHA256). Both
 * are bound to a key, a purpose, and a time of expiry, and are written in base64url.
 *
 * Sealed: version, nonce, ciphertext of (expiry, text), tag. Each text has a key of its own, derived
 * from half of its random nonce, so that the number of texts is not limited (as in XAES-256-GCM).
 * Signed: text "." (expiry, HMAC). The expiry is 8 bytes, the most significant one first. */
#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "auth/crypto_key.h"
#include "auth/secret.h"
#include "base/base64.h"
#include "base/random.h"

enum { VERSION = 1, SALT_SIZE = 12, IV_SIZE = 12, TIME_SIZE = 8, TAG_SIZE = 16 };
enum { HEAD_SIZE = 1 + SALT_SIZE + IV_SIZE, SEALED_MIN = HEAD_SIZE + TIME_SIZE + TAG_SIZE };
enum { PROOF_SIZE = TIME_SIZE + MW_SHA256_SIZE };

static void write_time(char out[TIME_SIZE], uint64_t time_s) {
  for (int i = 0; i < TIME_SIZE; i++) out[i] = (char)(time_s >> (8 * (TIME_SIZE - 1 - i)) & 0xff);
}

static uint64_t read_time(const char *in) {
  uint64_t time_s = 0;
  for (int i = 0; i < TIME_SIZE; i++) time_s = time_s << 8 | (unsigned char)in[i];
  return time_s;
}

static bool has_expired(const struct mw_seal *seal, uint64_t expires_s) { return expires_s != 0 && seal->now_s >= expires_s; }

/* Copies what was made or read to the caller, and frees it. Returns its length or a status. */
static int64_t hand_over(struct buffer *from, size_t skip, char *out, size_t out_size, int status) {
  int64_t result = status;
  if (status == 0 && from->failed) result = MW_ENOMEM;
  if (result == 0 && from->len - skip > out_size) result = MW_ETOOLARGE;
  if (result == 0) {
    result = (int64_t)(from->len - skip);
    if (from->len > skip) memcpy(out, from->data + skip, from->len - skip);
  }
  if (from->data) OPENSSL_cleanse(from->data, from->capacity);
  buffer_deinit(from);
  return result;
}

size_t mw_crypto_sealed_size(size_t text_len) {
  size_t bytes = text_len + SEALED_MIN > text_len + PROOF_SIZE + 4 ? text_len + SEALED_MIN : text_len + PROOF_SIZE + 4;
  return bytes / 3 * 4 + 8;
}

/* ---- Sealed ---------------------------------------------------------------------------------- */

/* Begins to encrypt or decrypt, with the key of the nonce that `head` holds. */
static int begin(EVP_CIPHER_CTX *cipher, const struct mw_seal *seal, const char *head, bool encrypts) {
  unsigned char key[MW_SHA256_SIZE];
  int status = crypto_key_derive(seal->key, BYTES("moonwire seal 1"), bytes_of(head + 1, SALT_SIZE), key), len;
  if (status == 0) {
    bool ok =
        EVP_CipherInit_ex(cipher, EVP_aes_256_gcm(), NULL, key, (const unsigned char *)head + 1 + SALT_SIZE, encrypts) == 1 &&
        EVP_CipherUpdate(cipher, NULL, &len, (const unsigned char *)head, 1) == 1;
    if (ok && seal->purpose.len > 0) {
      ok = EVP_CipherUpdate(cipher, NULL, &len, (const unsigned char *)seal->purpose.ptr, (int)seal->purpose.len) == 1;
    }
    if (!ok) status = MW_ENOMEM;
  }
  OPENSSL_cleanse(key, sizeof key);
  return status;
}

static int encrypt(const struct mw_seal *seal, struct bytes text, char *out) {
  EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
  unsigned char time[TIME_SIZE], *body = (unsigned char *)out + HEAD_SIZE;
  int len = 0;
  if (!cipher) return MW_ENOMEM;
  out[0] = VERSION;
  random_fill(out + 1, HEAD_SIZE - 1);
  write_time((char *)time, seal->expires_s);
  int status = begin(cipher, seal, out, true);
  if (status == 0) {
    bool ok = EVP_CipherUpdate(cipher, body, &len, time, TIME_SIZE) == 1 &&
              (text.len == 0 ||
               EVP_CipherUpdate(cipher, body + TIME_SIZE, &len, (const unsigned char *)text.ptr, (int)text.len) == 1) &&
              EVP_CipherFinal_ex(cipher, body + TIME_SIZE + text.len, &len) == 1 &&
              EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_GCM_GET_TAG, TAG_SIZE, body + TIME_SIZE + text.len) == 1;
    if (!ok) status = MW_ENOMEM;
  }
  EVP_CIPHER_CTX_free(cipher);
  return status;
}

int64_t mw_crypto_seal(const struct mw_seal *seal, const char *text, size_t text_len, char *out, size_t out_size) {
  struct buffer sealed, digits;
  if (text_len > INT_MAX / 2 || seal->purpose.len > INT_MAX / 2) return MW_ETOOLARGE;
  buffer_init(&sealed);
  buffer_init(&digits);
  char *at = buffer_reserve(&sealed, SEALED_MIN + text_len);
  int status = at ? encrypt(seal, bytes_of(text, text_len), at) : MW_ENOMEM;
  if (status == 0) {
    sealed.len = SEALED_MIN + text_len;
    base64url_write(&digits, buffer_bytes(&sealed));
  }
  buffer_deinit(&sealed);
  return hand_over(&digits, 0, out, out_size, status);
}

/* Decrypts in place: the plain text is after the head. */
static int decrypt(const struct mw_seal *seal, char *sealed, size_t len) {
  EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
  unsigned char *body = (unsigned char *)sealed + HEAD_SIZE;
  int body_len = (int)(len - HEAD_SIZE - TAG_SIZE), done = 0;
  if (!cipher) return MW_ENOMEM;
  int status = begin(cipher, seal, sealed, false);
  if (status == 0) {
    bool ok = EVP_CipherUpdate(cipher, body, &done, body, body_len) == 1 &&
              EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_GCM_SET_TAG, TAG_SIZE, body + body_len) == 1 &&
              EVP_CipherFinal_ex(cipher, body + done, &done) == 1;
    if (!ok) status = MW_EFORGED;
  }
  EVP_CIPHER_CTX_free(cipher);
  return status;
}

int64_t mw_crypto_open(const struct mw_seal *seal, const char *sealed, size_t sealed_len, char *out, size_t out_size) {
  struct buffer bytes;
  if (seal->key.len < MW_CRYPTO_KEY_MIN) return MW_EINVAL;
  if (sealed_len > INT_MAX || seal->purpose.len > INT_MAX / 2) return MW_EFORGED;
  buffer_init(&bytes);
  int status = base64url_read(&bytes, bytes_of(sealed, sealed_len)) ? 0 : MW_EFORGED;
  if (status == 0 && bytes.failed) status = MW_ENOMEM;
  if (status == 0 && (bytes.len < SEALED_MIN || bytes.data[0] != VERSION)) status = MW_EFORGED;
  if (status == 0) status = decrypt(seal, bytes.data, bytes.len);
  if (status == 0 && has_expired(seal, read_time(bytes.data + HEAD_SIZE))) status = MW_EEXPIRED;
  if (status == 0) bytes.len -= TAG_SIZE;
  return hand_over(&bytes, status == 0 ? HEAD_SIZE + TIME_SIZE : 0, out, out_size, status);
}

/* ---- Signed ---------------------------------------------------------------------------------- */

/* Writes the HMAC of purpose, expiry, and text. The length of the purpose comes first, so that no
 * two of these are the same text. */
static int sign(const struct mw_seal *seal, const char time[TIME_SIZE], struct bytes text, unsigned char out[MW_SHA256_SIZE]) {
  unsigned char key[MW_SHA256_SIZE];
  char purpose_len[TIME_SIZE];
  struct buffer all;
  int status = crypto_key_derive(seal->key, BYTES("moonwire sign 1"), bytes_of(NULL, 0), key);
  if (status < 0) return status;
  buffer_init(&all);
  write_time(purpose_len, seal->purpose.len);
  buffer_append(&all, bytes_of(purpose_len, TIME_SIZE));
  buffer_append(&all, bytes_of(seal->purpose.ptr, seal->purpose.len));
  buffer_append(&all, bytes_of(time, TIME_SIZE));
  buffer_append(&all, text);
  status = all.failed ? MW_ENOMEM : mw_crypto_hmac(key, sizeof key, all.data, all.len, out);
  buffer_deinit(&all);
  OPENSSL_cleanse(key, sizeof key);
  return status;
}

int64_t mw_crypto_sign(const struct mw_seal *seal, const char *text, size_t text_len, char *out, size_t out_size) {
  char proof[PROOF_SIZE];
  struct buffer digits;
  if (text_len > INT_MAX / 2 || seal->purpose.len > INT_MAX / 2) return MW_ETOOLARGE;
  buffer_init(&digits);
  write_time(proof, seal->expires_s);
  int status = sign(seal, proof, bytes_of(text, text_len), (unsigned char *)proof + TIME_SIZE);
  if (status == 0) {
    base64url_write(&digits, bytes_of(text, text_len));
    buffer_append_char(&digits, '.');
    base64url_write(&digits, bytes_of(proof, PROOF_SIZE));
  }
  return hand_over(&digits, 0, out, out_size, status);
}

int64_t mw_crypto_verify(const struct mw_seal *seal, const char *given, size_t given_len, char *out, size_t out_size) {
  struct buffer text, proof;
  unsigned char expected[MW_SHA256_SIZE];
  if (seal->key.len < MW_CRYPTO_KEY_MIN) return MW_EINVAL;
  if (given_len > INT_MAX || seal->purpose.len > INT_MAX / 2) return MW_EFORGED;
  size_t dot = bytes_find(bytes_of(given, given_len), '.');
  if (dot == given_len) return MW_EFORGED;
  buffer_init(&text);
  buffer_init(&proof);
  bool is_read =
      base64url_read(&text, bytes_of(given, dot)) && base64url_read(&proof, bytes_of(given + dot + 1, given_len - dot - 1));
  int status = is_read ? 0 : MW_EFORGED;
  if (status == 0 && (text.failed || proof.failed)) status = MW_ENOMEM;
  if (status == 0 && proof.len != PROOF_SIZE) status = MW_EFORGED;
  if (status == 0) status = sign(seal, proof.data, buffer_bytes(&text), expected);
  if (status == 0 &&
      !secret_equal(bytes_of((const char *)expected, sizeof expected), bytes_of(proof.data + TIME_SIZE, MW_SHA256_SIZE))) {
    status = MW_EFORGED;
  }
  if (status == 0 && has_expired(seal, read_time(proof.data))) status = MW_EEXPIRED;
  buffer_deinit(&proof);
  return hand_over(&text, 0, out, out_size, status);
}
