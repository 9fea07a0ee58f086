#include "base/memory.h"
#include "base/status.h"
#include "test/support.h"

static int verify(const char *password, const char *hash) {
  return mw_crypto_password_verify(password, strlen(password), hash, hash ? strlen(hash) : 0);
}

/* RFC 7914 section 12, with the parameters of the second and the third vector. */
static void known_hashes_match(void **state) {
  (void)state;
  static const struct {
    const char *password, *hash;
  } cases[] = {
      {"password", "$scrypt$ln=10,r=8,p=16$TmFDbA$/bq+HJ00cgB4VucZDQHp/nxq18vII3gw53N2Y0s3MWIurzDZLiKjiG/xCSedmDDaxyevuUqD7m2D"
                   "YMvfoswGQA"},
      {"pleaseletmein", "$scrypt$ln=14,r=8,p=1$U29kaXVtQ2hsb3JpZGU$cCO9yzr9c0hGHAbNgf046/2o+7qQT44+qbVD9lRdofLVQylVYT8Pz2LUlwUk"
                        "Kpr55h6F3A1lHkDfzwF7RVdYhw"},
  };
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    assert_int_equal(verify(cases[i].password, cases[i].hash), 1);
    assert_int_equal(verify("Password", cases[i].hash), 0);
  }
}

static void hashes_and_verifies(void **state) {
  (void)state;
  char a[MW_PASSWORD_HASH_SIZE], b[MW_PASSWORD_HASH_SIZE], longest[MW_PASSWORD_MAX + 1];
  assert_int_equal(mw_crypto_password_hash("secret", 6, 10, a), 0);
  assert_int_equal(mw_crypto_password_hash("secret", 6, 10, b), 0);
  assert_string_not_equal(a, b); /* the salt */
  assert_int_equal(strncmp(a, "$scrypt$ln=10,r=8,p=3$", 22), 0);
  assert_int_equal(verify("secret", a), 1);
  assert_int_equal(verify("secret", b), 1);
  assert_int_equal(verify("secret ", a), 0);
  assert_int_equal(verify("", a), 0);
  assert_int_equal(mw_crypto_password_verify(NULL, 0, a, strlen(a)), 0);
  /* bytes, with NUL */
  assert_int_equal(mw_crypto_password_hash("a\0b", 3, 10, a), 0);
  assert_int_equal(mw_crypto_password_verify("a\0b", 3, a, strlen(a)), 1);
  assert_int_equal(mw_crypto_password_verify("a\0c", 3, a, strlen(a)), 0);
  /* what is too long is not cut */
  memset(longest, 'x', sizeof longest);
  assert_int_equal(mw_crypto_password_hash(longest, MW_PASSWORD_MAX, 10, a), 0);
  assert_int_equal(mw_crypto_password_verify(longest, MW_PASSWORD_MAX, a, strlen(a)), 1);
  assert_int_equal(mw_crypto_password_verify(longest, MW_PASSWORD_MAX + 1, a, strlen(a)), 0);
  assert_int_equal(mw_crypto_password_hash(longest, MW_PASSWORD_MAX + 1, 10, a), MW_EINVAL);
}

static void default_cost(void **state) {
  (void)state;
  char hash[MW_PASSWORD_HASH_SIZE];
  assert_int_equal(mw_crypto_password_hash("secret", 6, 0, hash), 0);
  assert_int_equal(strncmp(hash, "$scrypt$ln=15,r=8,p=3$", 22), 0);
  assert_int_equal(verify("secret", NULL), 0);
}

static void arguments_are_checked(void **state) {
  (void)state;
  char hash[MW_PASSWORD_HASH_SIZE];
  assert_int_equal(mw_crypto_password_hash("", 0, 10, hash), MW_EINVAL);
  assert_int_equal(mw_crypto_password_hash("x", 1, 9, hash), MW_EINVAL);
  assert_int_equal(mw_crypto_password_hash("x", 1, 19, hash), MW_EINVAL);
  assert_int_equal(mw_crypto_password_hash("x", 1, -1, hash), MW_EINVAL);
}

#define SALT "AAAAAAAAAAAAAAAAAAAAAA"
#define HASH "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

static void malformed_hashes_are_refused(void **state) {
  (void)state;
  static const char *const wrong[] = {
      "",
      "secret",
      "$",
      "$scrypt",
      "$scrypt$",
      "$scrypt$ln=10,r=8,p=1",
      "$scrypt$ln=10,r=8,p=1$",
      "$scrypt$ln=10,r=8,p=1$" SALT,
      "$scrypt$ln=10,r=8,p=1$" SALT "$",
      "$scrypt$ln=10,r=8,p=1$" SALT "$AAAA",                   /* any password would soon match */
      "$scrypt$ln=10,r=8,p=1$" SALT "$AAAAAAAAAAAAAAAAAAAAAA", /* 16 bytes */
      "$scrypt$ln=10,r=8,p=1$" SALT "$" HASH "$",
      "$scrypt$ln=10,r=8,p=1$" SALT "$" HASH "=",
      "$scrypt$ln=10,r=8,p=1$" SALT "$" HASH "!",
      "$scrypt$ln=10,r=8,p=1$" SALT "$" HASH HASH HASH,
      "$scrypt$ln=10,r=8,p=1$!$" HASH,
      "$scrypt$ln=10,r=8,p=1$" SALT SALT SALT SALT SALT "$" HASH,
      "$scrypt$ln=0,r=8,p=1$" SALT "$" HASH,
      "$scrypt$ln=-1,r=8,p=1$" SALT "$" HASH,
      "$scrypt$ln=19,r=8,p=1$" SALT "$" HASH,
      "$scrypt$ln=63,r=8,p=1$" SALT "$" HASH,
      "$scrypt$ln=99999999999999999999,r=8,p=1$" SALT "$" HASH,
      "$scrypt$ln=18,r=32,p=1$" SALT "$" HASH, /* 1 GiB */
      "$scrypt$ln=18,r=8,p=16$" SALT "$" HASH, /* minutes */
      "$scrypt$ln=10,r=0,p=1$" SALT "$" HASH,
      "$scrypt$ln=10,r=33,p=1$" SALT "$" HASH,
      "$scrypt$ln=10,r=8,p=0$" SALT "$" HASH,
      "$scrypt$ln=10,r=8,p=17$" SALT "$" HASH,
      "$scrypt$ln=10,r=8$" SALT "$" HASH,
      "$scrypt$ln=10,r=8,p=1,x=1$" SALT "$" HASH,
      "$scrypt$r=8,ln=10,p=1$" SALT "$" HASH,
      "$scrypt$ln=,r=8,p=1$" SALT "$" HASH,
      "$scrypt$ln=1 0,r=8,p=1$" SALT "$" HASH,
      "$SCRYPT$ln=10,r=8,p=1$" SALT "$" HASH,
      "$2b$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW", /* bcrypt */
      "$argon2id$v=19$m=65536,t=2,p=1$" SALT "$" HASH,
  };
  for (size_t i = 0; i < COUNT_OF(wrong); i++) {
    if (verify("secret", wrong[i]) != MW_EINVAL) fail_msg("%s was not refused", wrong[i]);
  }
  assert_int_equal(verify("secret", "$scrypt$ln=10,r=8,p=1$" SALT "$" HASH), 0);
  /* with NUL */
  static const char cut[] = "$scrypt$ln=10,r=8,p=1$" SALT "$" HASH "\0";
  assert_int_equal(mw_crypto_password_verify("x", 1, cut, sizeof cut), MW_EINVAL);
}

/* Each byte of a hash counts: altered, it is refused or does not match. */
static void altered_hashes_do_not_match(void **state) {
  (void)state;
  char hash[MW_PASSWORD_HASH_SIZE];
  assert_int_equal(mw_crypto_password_hash("secret", 6, 10, hash), 0);
  size_t len = strlen(hash);
  for (size_t i = 0; i < len; i++) {
    char altered[MW_PASSWORD_HASH_SIZE];
    memcpy(altered, hash, sizeof altered);
    altered[i] = altered[i] == 'A' ? 'B' : 'A';
    int status = mw_crypto_password_verify("secret", 6, altered, len);
    if (status != 0 && status != MW_EINVAL) fail_msg("%s: %d", altered, status);
    status = mw_crypto_password_verify("secret", 6, hash, i);
    if (status != 0 && status != MW_EINVAL) fail_msg("cut at %zu: %d", i, status);
  }
}

static bool hash_one(void *context) {
  (void)context;
  char hash[MW_PASSWORD_HASH_SIZE];
  int status = mw_crypto_password_hash("secret", 6, 10, hash);
  if (status < 0) return false;
  return verify("secret", hash) == 1;
}

static void stands_failing_memory(void **state) {
  (void)state;
  assert_true(support_fail_each(hash_one, NULL) > 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(known_hashes_match),    TEST(hashes_and_verifies),          TEST(default_cost),
      TEST(arguments_are_checked), TEST(malformed_hashes_are_refused), TEST(altered_hashes_do_not_match),
      TEST(stands_failing_memory)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
