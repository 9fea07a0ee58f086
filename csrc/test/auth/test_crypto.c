#include <stdlib.h>

#include "base/status.h"
#include "test/support.h"

static void read_hex(const char *hex, unsigned char *out) {
  for (size_t i = 0; hex[2 * i]; i++) {
    char digits[3] = {hex[2 * i], hex[2 * i + 1], '\0'};
    out[i] = (unsigned char)strtoul(digits, NULL, 16);
  }
}

static void assert_hash(const unsigned char *hash, const char *hex) {
  unsigned char expected[MW_SHA256_SIZE];
  read_hex(hex, expected);
  assert_memory_equal(hash, expected, MW_SHA256_SIZE);
}

/* FIPS 180-4, the examples of NIST. */
static void hashes(void **state) {
  (void)state;
  unsigned char out[MW_SHA256_SIZE];
  assert_int_equal(mw_crypto_sha256("abc", 3, out), 0);
  assert_hash(out, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  assert_int_equal(mw_crypto_sha256(NULL, 0, out), 0);
  assert_hash(out, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  assert_int_equal(mw_crypto_sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56, out), 0);
  assert_hash(out, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

/* RFC 4231 sections 4.2, 4.3, and 4.7. */
static void authenticates(void **state) {
  (void)state;
  unsigned char out[MW_SHA256_SIZE], key[131];
  memset(key, 0x0b, 20);
  assert_int_equal(mw_crypto_hmac(key, 20, "Hi There", 8, out), 0);
  assert_hash(out, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  assert_int_equal(mw_crypto_hmac("Jefe", 4, "what do ya want for nothing?", 28, out), 0);
  assert_hash(out, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  memset(key, 0xaa, sizeof key);
  assert_int_equal(mw_crypto_hmac(key, sizeof key, "Test Using Larger Than Block-Size Key - Hash Key First", 54, out), 0);
  assert_hash(out, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
  assert_int_equal(mw_crypto_hmac(NULL, 0, NULL, 0, out), 0);
  assert_hash(out, "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

static void assert_bytes_hex(const unsigned char *bytes, size_t len, const char *hex) {
  unsigned char expected[MW_SHA256_SIZE];
  read_hex(hex, expected);
  assert_memory_equal(bytes, expected, len);
}

/* RFC 1321 section A.5, FIPS 180-4, and RFC 7914 section 11. */
static void computes_what_databases_need(void **state) {
  (void)state;
  unsigned char old[MW_OLD_DIGEST_MAX], out[MW_SHA256_SIZE];
  assert_int_equal(mw_crypto_old_digest(MW_DIGEST_MD5, "abc", 3, old), 16);
  assert_bytes_hex(old, 16, "900150983cd24fb0d6963f7d28e17f72");
  assert_int_equal(mw_crypto_old_digest(MW_DIGEST_SHA1, "abc", 3, old), 20);
  assert_bytes_hex(old, 20, "a9993e364706816aba3e25717850c26c9cd0d89d");
  assert_int_equal(mw_crypto_pbkdf2("passwd", 6, "salt", 4, 1, out), 0);
  assert_hash(out, "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc");
  assert_int_equal(mw_crypto_pbkdf2(NULL, 0, NULL, 0, 1, out), 0);
  assert_int_equal(mw_crypto_pbkdf2("a", 1, "b", 1, 0, out), MW_EINVAL);
  assert_int_equal(mw_crypto_pbkdf2("a", 1, "b", 1, MW_PBKDF2_ROUNDS_MAX + 1, out), MW_EINVAL);
}

static void makes_random_bytes(void **state) {
  (void)state;
  unsigned char a[300] = {0}, b[300] = {0};
  mw_crypto_random(a, sizeof a);
  mw_crypto_random(b, sizeof b);
  assert_memory_not_equal(a, b, sizeof a);
  assert_memory_not_equal(a + 280, (unsigned char[20]){0}, 20);
}

static void compares(void **state) {
  (void)state;
  assert_true(mw_crypto_equal("key", 3, "key", 3));
  assert_true(mw_crypto_equal(NULL, 0, "", 0));
  assert_false(mw_crypto_equal("key", 3, "kez", 3));
  assert_false(mw_crypto_equal("key", 3, "keys", 4));
}

int main(void) {
  const struct CMUnitTest tests[] = {TEST(hashes), TEST(authenticates), TEST(computes_what_databases_need),
                                     TEST(makes_random_bytes), TEST(compares)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
