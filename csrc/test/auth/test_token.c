/* Tokens: the examples of RFC 7515, 7517, 7519, and 8037, every algorithm, the rules for claims,
 * and keys in files. What is refused is in test_token_hostile.c. */
#include <pthread.h>
#include <unistd.h>

#include "auth/jwk_set.h"
#include "auth/jws.h"
#include "auth/token.h"
#include "base/base64.h"
#include "base/memory.h"
#include "test/support.h"
#include "test/support/token/token_keys.h"

/* The claims of RFC 7515 A.1 to A.3, and of RFC 7519 section 3.1. */
static const char joe[] = "{\"iss\":\"joe\",\r\n \"exp\":1300819380,\r\n \"http://example.com/is_root\":true}";
enum { JOE_EXP = 1300819380 };

#define JOE "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
static const char hs256[] = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9." JOE ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
static const char rs256[] =
    "eyJhbGciOiJSUzI1NiJ9." JOE
    ".cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjb"
    "KBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6"
    "BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
static const char es256[] =
    "eyJhbGciOiJFUzI1NiJ9." JOE ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";

static struct mw_token *make(const struct mw_token_options *options) {
  struct mw_token *token = NULL;
  struct mw_error error = {""};
  if (mw_token_new(&token, options, &error) != 0) fail_msg("%s", error.text);
  return token;
}

static int verify(struct mw_token *token, const char *text, uint64_t now_s, char claims[MW_TOKEN_MAX], struct mw_error *error) {
  char kept[MW_TOKEN_MAX];
  uint64_t expires_ms;
  struct mw_error unused;
  return mw_token_verify(token, text, strlen(text), now_s * 1000, claims ? claims : kept, &expires_ms, error ? error : &unused);
}

/* ---- The examples ---------------------------------------------------------------------------- */

static void verifies_the_examples(void **state) {
  (void)state;
  const struct {
    const char *text;
    struct mw_token_options options;
  } rows[] = {{hs256, {.key = secret_key}}, {rs256, {.public_key = rsa_public}}, {es256, {.public_key = ec_public}}};
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    char claims[MW_TOKEN_MAX];
    struct mw_token *token = make(&rows[i].options);
    int len = verify(token, rows[i].text, JOE_EXP - 1, claims, NULL);
    assert_bytes_string(bytes_of(claims, (size_t)(len < 0 ? 0 : len)), joe);
    assert_int_equal(verify(token, rows[i].text, JOE_EXP, NULL, NULL), MW_EEXPIRED);
    mw_token_unref(token);
  }
}

/* RFC 7515 A.1 and A.2 sign with deterministic algorithms. Their headers are not ours, so the
 * signature is checked, over their signing input. RFC 8037 A.4 signs text that is no claims. */
static void signs_the_examples(void **state) {
  (void)state;
  const struct {
    const char *text, *private_key;
    enum jwk_algorithm algorithm;
  } rows[] = {
      {hs256, NULL, JWK_HS256},
      {rs256, rsa_private, JWK_RS256},
      {"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc"
       ".hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
       ed_private, JWK_EDDSA},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    struct jwk key;
    struct buffer signature, digits;
    struct bytes text = bytes_string(rows[i].text);
    size_t dot = (size_t)(strrchr(text.ptr, '.') - text.ptr);
    buffer_init(&signature);
    buffer_init(&digits);
    if (rows[i].private_key) {
      assert_int_equal(jwk_init_pem(&key, bytes_string(rows[i].private_key), true, 0, NULL), 0);
    } else {
      assert_int_equal(jwk_init_secret(&key, bytes_of(secret_key.ptr, secret_key.len), 0, NULL), 0);
    }
    assert_int_equal(jws_sign(&key, rows[i].algorithm, bytes_of(text.ptr, dot), &signature), 0);
    base64url_write(&digits, buffer_bytes(&signature));
    assert_bytes_string(buffer_bytes(&digits), text.ptr + dot + 1);
    assert_true(jws_verify(&key, rows[i].algorithm, bytes_of(text.ptr, dot), buffer_bytes(&signature)));
    signature.data[5] ^= 1;
    assert_false(jws_verify(&key, rows[i].algorithm, bytes_of(text.ptr, dot), buffer_bytes(&signature)));
    buffer_deinit(&signature);
    buffer_deinit(&digits);
    jwk_deinit(&key);
  }
}

/* RFC 7517 A.1: two public keys, of which one is for encryption; and keys that are ignored. */
static void reads_sets(void **state) {
  (void)state;
  static const char set[] =
      "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4\","
      "\"y\":\"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM\",\"use\":\"enc\",\"kid\":\"1\"},"
      "{\"kty\":\"RSA\",\"n\":\"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_"
      "BJECPebWKRX"
      "jBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu"
      "6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-"
      "kEgU8awapJzKnqDKgw\","
      "\"e\":\"AQAB\",\"alg\":\"RS256\",\"kid\":\"2011-04-29\"},"
      "{\"kty\":\"quantum\",\"kid\":\"new\"},{\"kty\":\"RSA\",\"alg\":\"RSA-OAEP\",\"kid\":\"other\"}]}";
  struct jwk_set keys;
  assert_int_equal(jwk_set_read(&keys, bytes_string(set), 0, NULL), 0);
  assert_int_equal(keys.count, 1);
  assert_ptr_equal(jwk_set_find(&keys, BYTES("2011-04-29"), JWK_RS256), &keys.keys[0]);
  assert_ptr_equal(jwk_set_find(&keys, bytes_of(NULL, 0), JWK_RS256), &keys.keys[0]);
  assert_null(jwk_set_find(&keys, BYTES("2011-04-29"), JWK_PS256)); /* "alg" pins it */
  assert_null(jwk_set_find(&keys, BYTES("1"), JWK_ES256));
  assert_null(jwk_set_find(&keys, BYTES(""), JWK_RS256));
  jwk_set_deinit(&keys);
}

static void reads_every_type_of_key(void **state) {
  (void)state;
  char set[4096];
  struct jwk_set keys;
  snprintf(set, sizeof set, "{\"keys\":[%s,%s,%s,%s]}", rsa_jwk, ec_jwk, ed_jwk, secret_jwk);
  assert_int_equal(jwk_set_read(&keys, bytes_string(set), 0, NULL), 0);
  assert_int_equal(keys.count, 4);
  assert_non_null(jwk_set_find(&keys, BYTES("rsa"), JWK_RS256));
  assert_non_null(jwk_set_find(&keys, BYTES("ec"), JWK_ES256));
  assert_non_null(jwk_set_find(&keys, BYTES("ed"), JWK_EDDSA));
  assert_non_null(jwk_set_find(&keys, BYTES("secret"), JWK_HS256));
  assert_null(jwk_set_find(&keys, BYTES("ec"), JWK_HS256));
  jwk_set_deinit(&keys);
  /* The option "algorithms" leaves others out. */
  assert_int_equal(jwk_set_read(&keys, bytes_string(set), 1 << JWK_PS256, NULL), 0);
  assert_int_equal(keys.count, 1);
  assert_non_null(jwk_set_find(&keys, BYTES("rsa"), JWK_PS256));
  jwk_set_deinit(&keys);
}

/* ---- All algorithms -------------------------------------------------------------------------- */

static void signs_and_verifies_with_each_algorithm(void **state) {
  (void)state;
  const struct {
    const char *algorithm, *private_key, *public_key;
  } rows[] = {{"HS256", NULL, NULL},
              {"HS384", NULL, NULL},
              {"HS512", NULL, NULL},
              {"RS256", rsa_private, rsa_public},
              {"PS256", rsa_private, rsa_public},
              {"ES256", ec_private, ec_public},
              {"EdDSA", ed_private, ed_public}};
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    char text[MW_TOKEN_MAX + 1];
    struct mw_token_signer signer = {.private_key = rows[i].private_key, .algorithm = rows[i].algorithm, .kid = "any"};
    if (!rows[i].private_key) signer.key = secret_key;
    int len = mw_token_sign(&signer, "{\"exp\":2000}", 12, text, NULL);
    assert_true(len > 0);
    text[len] = '\0';
    /* Each verifier accepts its own algorithm and no other one. */
    for (size_t k = 0; k < COUNT_OF(rows); k++) {
      struct mw_token_options options = {
          .public_key = rows[k].public_key, .algorithms = &rows[k].algorithm, .algorithm_count = 1};
      if (!rows[k].public_key) options.key = secret_key;
      struct mw_token *token = make(&options);
      assert_int_equal(verify(token, text, 1000, NULL, NULL), i == k ? 12 : MW_EINVAL);
      mw_token_unref(token);
    }
  }
}

/* ---- Claims ---------------------------------------------------------------------------------- */

static void checks_claims(void **state) {
  (void)state;
  /* It is second 1000. */
  static const struct {
    const char *claims;
    const char *issuer, *audience;
    uint64_t leeway_s;
    bool exp_optional;
    const char *fault; /* NULL: valid */
  } rows[] = {
      {"{\"exp\":1001}", NULL, NULL, 0, false, NULL},
      {"{\"exp\":1000}", NULL, NULL, 0, false, "the token has expired"},
      {"{\"exp\":1000.5}", NULL, NULL, 0, false, NULL},
      {"{\"exp\":1e3}", NULL, NULL, 0, false, "the token has expired"},
      {"{\"exp\":0}", NULL, NULL, 0, false, "the token has expired"},
      {"{\"exp\":991}", NULL, NULL, 10, false, NULL},
      {"{\"exp\":990}", NULL, NULL, 10, false, "the token has expired"},
      {"{}", NULL, NULL, 0, false, "the token never expires: \"exp\" is required"},
      {"{}", NULL, NULL, 0, true, NULL},
      {"{\"exp\":1000}", NULL, NULL, 0, true, "the token has expired"},
      {"{\"exp\":2000,\"nbf\":1000}", NULL, NULL, 0, false, NULL},
      {"{\"exp\":2000,\"nbf\":1001}", NULL, NULL, 0, false, "the token is not valid yet (\"nbf\")"},
      {"{\"exp\":2000,\"nbf\":1010}", NULL, NULL, 10, false, NULL},
      {"{\"exp\":2000,\"nbf\":1011}", NULL, NULL, 10, false, "the token is not valid yet (\"nbf\")"},
      {"{\"exp\":2000,\"iat\":3000}", NULL, NULL, 0, false, NULL},
      {"{\"exp\":2000,\"iss\":\"a\"}", "a", NULL, 0, false, NULL},
      {"{\"exp\":2000,\"iss\":\"a\"}", NULL, NULL, 0, false, NULL},
      {"{\"exp\":2000,\"iss\":\"b\"}", "a", NULL, 0, false, "the token is from another issuer (\"iss\")"},
      {"{\"exp\":2000,\"iss\":\"A\"}", "a", NULL, 0, false, "the token is from another issuer (\"iss\")"},
      {"{\"exp\":2000}", "a", NULL, 0, false, "the token is from another issuer (\"iss\")"},
      {"{\"exp\":2000,\"aud\":\"x\"}", NULL, "x", 0, false, NULL},
      {"{\"exp\":2000,\"aud\":[\"y\",\"x\"]}", NULL, "x", 0, false, NULL},
      {"{\"exp\":2000,\"aud\":[\"y\"]}", NULL, "x", 0, false, "the token is for another audience (\"aud\")"},
      {"{\"exp\":2000,\"aud\":\"xy\"}", NULL, "x", 0, false, "the token is for another audience (\"aud\")"},
      {"{\"exp\":2000,\"aud\":[]}", NULL, "x", 0, false, "the token is for another audience (\"aud\")"},
      {"{\"exp\":2000}", NULL, "x", 0, false, "the token is for no audience: \"aud\" is required"},
      {"{\"exp\":2000,\"aud\":\"x\"}", NULL, NULL, 0, false, "the token is for another audience (\"aud\")"},
      {"{\"exp\":2000,\"sub\":7}", NULL, NULL, 0, false, NULL},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    struct mw_token_options options = {.key = secret_key,
                                       .issuer = rows[i].issuer,
                                       .audience = rows[i].audience,
                                       .leeway_ms = rows[i].leeway_s * 1000,
                                       .exp_optional = rows[i].exp_optional};
    struct mw_token *token = make(&options);
    struct mw_error error = {""};
    int status = verify(token, sign_secret(rows[i].claims), 1000, NULL, &error);
    if (rows[i].fault) {
      assert_string_equal(error.text, rows[i].fault);
      bool is_expired = strcmp(rows[i].fault, "the token has expired") == 0;
      assert_int_equal(status, is_expired ? MW_EEXPIRED : MW_EINVAL);
    } else if (status < 0) {
      fail_msg("%s: %s", rows[i].claims, error.text);
    }
    mw_token_unref(token);
  }
}

static void tells_when_a_token_expires(void **state) {
  (void)state;
  char claims[MW_TOKEN_MAX];
  uint64_t expires_ms = 1;
  struct mw_token *token = make(&(struct mw_token_options){.key = secret_key, .leeway_ms = 5000, .exp_optional = true});
  const char *text = sign_secret("{\"exp\":2000.25}");
  assert_true(mw_token_verify(token, text, strlen(text), 1000, claims, &expires_ms, NULL) > 0);
  assert_int_equal(expires_ms, 2005250);
  text = sign_secret("{}");
  assert_int_equal(mw_token_verify(token, text, strlen(text), 1000, claims, &expires_ms, NULL), 2);
  assert_int_equal(expires_ms, 0);
  mw_token_unref(token);
}

/* ---- Options --------------------------------------------------------------------------------- */

static void refuses_options(void **state) {
  (void)state;
  static const char *const hs512[] = {"HS512"}, *const both[] = {"HS256", "RS256"}, *const none[] = {"none"},
                           *const es256_only[] = {"ES256"};
  const struct {
    struct mw_token_options options;
    const char *fault;
  } rows[] = {
      {{.key = {NULL, 0}}, "one of key, public_key, and jwks_file is required"},
      {{.key = secret_key, .public_key = rsa_public}, "only one of key, public_key, and jwks_file is allowed"},
      {{.key = {"secret", 6}}, "key: the key is too short: HS256 requires at least 32 bytes, got 6"},
      {{.key = {secret_key.ptr, 63}, .algorithms = hs512, .algorithm_count = 1},
       "key: the key is too short: HS512 requires at least 64 bytes, got 63"},
      {{.key = {rsa_public, strlen(rsa_public)}}, "key: the key is in PEM, and is not a secret; use the option public_key"},
      {{.key = secret_key, .algorithms = es256_only, .algorithm_count = 1}, "key: a secret is only for HS256, HS384, and HS512"},
      {{.public_key = rsa_public, .algorithms = es256_only, .algorithm_count = 1},
       "public_key: none of the algorithms is for this type of key"},
      {{.key = secret_key, .algorithms = none, .algorithm_count = 1},
       "algorithms: \"none\" is not supported; use HS256, HS384, HS512, RS256, PS256, ES256, or EdDSA"},
      {{.public_key = rsa_private}, "public_key: not a public key in PEM (\"-----BEGIN PUBLIC KEY-----\")"},
      {{.public_key = ""}, "public_key: not a public key in PEM (\"-----BEGIN PUBLIC KEY-----\")"},
      {{.jwks_file = "/nowhere/keys.json"}, "jwks_file: /nowhere/keys.json: No such file or directory"},
      {{.key = secret_key, .leeway_ms = 301000}, "leeway: at most 300 seconds"},
      {{.key = secret_key, .issuer = ""}, "issuer, audience, and cookie must not be empty"},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    struct mw_token *token = NULL;
    struct mw_error error = {""};
    assert_true(mw_token_new(&token, &rows[i].options, &error) < 0);
    assert_string_equal(error.text, rows[i].fault);
  }
  /* Of several algorithms, those that fit the key count. */
  mw_token_unref(make(&(struct mw_token_options){.key = secret_key, .algorithms = both, .algorithm_count = 2}));
}

/* ---- Files ----------------------------------------------------------------------------------- */

static void write_set(const char *path, const char *first, const char *second) {
  char next[64];
  snprintf(next, sizeof next, "%s.next", path);
  FILE *file = fopen(next, "w");
  assert_non_null(file);
  fprintf(file, second ? "{\"keys\":[%s,%s]}" : "{\"keys\":[%s]}", first, second);
  fclose(file);
  assert_int_equal(rename(next, path), 0);
}

static void rotates_keys(void **state) {
  (void)state;
  char path[] = "/tmp/moonwire-keys-XXXXXX";
  assert_true(close(mkstemp(path)) == 0);
  write_set(path, ec_jwk, NULL);
  struct mw_token *token = make(&(struct mw_token_options){.jwks_file = path});
  struct mw_token_signer old = {.private_key = ec_private, .kid = "ec"}, fresh = {.private_key = ed_private, .kid = "ed"};
  char one[MW_TOKEN_MAX + 1] = "", two[MW_TOKEN_MAX + 1] = "";
  one[mw_token_sign(&old, "{\"exp\":9000}", 12, one, NULL)] = '\0';
  two[mw_token_sign(&fresh, "{\"exp\":9000}", 12, two, NULL)] = '\0';
  assert_int_equal(verify(token, one, 1000, NULL, NULL), 12);
  assert_int_equal(verify(token, two, 1000, NULL, NULL), MW_EINVAL);
  write_set(path, ec_jwk, ed_jwk);
  assert_int_equal(verify(token, two, 1000, NULL, NULL), MW_EINVAL); /* the same second */
  assert_int_equal(verify(token, two, 1001, NULL, NULL), 12);
  assert_int_equal(verify(token, one, 1001, NULL, NULL), 12);
  write_set(path, ed_jwk, NULL);
  assert_int_equal(verify(token, one, 1002, NULL, NULL), MW_EINVAL);
  /* A version that cannot be read, and no file, leave the keys as they are. */
  write_set(path, "{", NULL);
  assert_int_equal(verify(token, two, 1003, NULL, NULL), 12);
  unlink(path);
  assert_int_equal(verify(token, two, 1004, NULL, NULL), 12);
  write_set(path, ec_jwk, NULL);
  assert_int_equal(verify(token, one, 1005, NULL, NULL), 12);
  assert_int_equal(verify(token, two, 1005, NULL, NULL), MW_EINVAL);
  mw_token_unref(token);
  unlink(path);
}

/* Without a kid, a token needs the only key for its algorithm; a single key needs no kid at all. */
static void chooses_keys(void **state) {
  (void)state;
  char path[] = "/tmp/moonwire-keys-XXXXXX", again[1024];
  assert_true(close(mkstemp(path)) == 0);
  write_set(path, ec_jwk, ed_jwk);
  struct mw_token *token = make(&(struct mw_token_options){.jwks_file = path});
  assert_int_equal(verify(token, sign_private(ec_private, "{\"exp\":9000}"), 1000, NULL, NULL), 12);
  snprintf(again, sizeof again, "%s,%s", ec_jwk, ec_jwk);
  write_set(path, again, ed_jwk);
  assert_int_equal(verify(token, sign_private(ec_private, "{\"exp\":9000}"), 1001, NULL, NULL), MW_EINVAL);
  mw_token_unref(token);
  unlink(path);
}

/* ---- Threads --------------------------------------------------------------------------------- */

enum { THREADS = 4, ROUNDS = 200 };

struct verifying {
  struct mw_token *token;
  char text[MW_TOKEN_MAX];
  int failures;
};

static void *verify_often(void *context) {
  struct verifying *own = context;
  for (uint64_t i = 0; i < ROUNDS; i++) own->failures += verify(own->token, own->text, 1000 + i, NULL, NULL) != 12;
  return NULL;
}

/* Some verify while the file of keys is replaced; a key that stays in it is always found. */
static void verifies_on_many_threads(void **state) {
  (void)state;
  char path[] = "/tmp/moonwire-keys-XXXXXX";
  static struct verifying all[THREADS];
  pthread_t threads[THREADS];
  assert_true(close(mkstemp(path)) == 0);
  write_set(path, ed_jwk, NULL);
  struct mw_token *token = make(&(struct mw_token_options){.jwks_file = path});
  for (int i = 0; i < THREADS; i++) {
    all[i] = (struct verifying){.token = mw_token_ref(token)};
    snprintf(all[i].text, sizeof all[i].text, "%s", sign_private(ed_private, "{\"exp\":9000}"));
    assert_int_equal(pthread_create(&threads[i], NULL, verify_often, &all[i]), 0);
  }
  for (int i = 0; i < 20; i++) write_set(path, ed_jwk, i % 2 == 0 ? ec_jwk : NULL);
  for (int i = 0; i < THREADS; i++) {
    pthread_join(threads[i], NULL);
    assert_int_equal(all[i].failures, 0);
    mw_token_unref(all[i].token);
  }
  mw_token_unref(token);
  unlink(path);
}

/* ---- Out of memory --------------------------------------------------------------------------- */

static bool run(void *context) {
  struct mw_token *token;
  char claims[MW_TOKEN_MAX];
  static const char *const algorithms[] = {"HS256"};
  struct mw_token_options options = {
      .key = secret_key, .issuer = "joe", .algorithms = algorithms, .algorithm_count = 1, .cookie = "token"};
  (void)context;
  if (mw_token_new(&token, &options, NULL) < 0) return false;
  int status = verify(token, hs256, 1000, claims, NULL);
  mw_token_unref(token);
  struct mw_token_signer signer = {.key = secret_key};
  return status > 0 && mw_token_sign(&signer, "{}", 2, claims, NULL) > 0;
}

static void copes_with_too_little_memory(void **state) {
  (void)state;
  assert_true(support_fail_each(run, NULL) > 5);
}

int main(void) {
  const struct CMUnitTest tests[] = {TEST(verifies_the_examples),
                                     TEST(signs_the_examples),
                                     TEST(reads_sets),
                                     TEST(reads_every_type_of_key),
                                     TEST(signs_and_verifies_with_each_algorithm),
                                     TEST(checks_claims),
                                     TEST(tells_when_a_token_expires),
                                     TEST(refuses_options),
                                     TEST(rotates_keys),
                                     TEST(chooses_keys),
                                     TEST(verifies_on_many_threads),
                                     TEST(copes_with_too_little_memory)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
