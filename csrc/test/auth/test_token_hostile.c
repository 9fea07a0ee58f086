/* Attacks on tokens: each is refused with its reason, and a valid token is accepted beside it. */
#include "auth/jws.h"
#include "auth/token.h"
#include "base/base64.h"
#include "test/auth/hostile_tokens.h"
#include "test/support.h"

static struct mw_bytes text_of(const char *text) { return (struct mw_bytes){text, strlen(text)}; }

static struct mw_token *make(const struct mw_token_options *options) {
  struct mw_token *token = NULL;
  assert_int_equal(mw_token_new(&token, options, NULL), 0);
  return token;
}

/* NULL: valid. */
static void expect(struct mw_token *token, struct bytes text, const char *fault) {
  char claims[MW_TOKEN_MAX];
  struct mw_error error = {""};
  int status = mw_token_verify(token, text.ptr, text.len, 1000 * 1000, claims, NULL, &error);
  if (fault && (status >= 0 || strcmp(error.text, fault) != 0))
    fail_msg("\"%.*s\": expected \"%s\", got \"%s\" (%d)", (int)text.len, text.ptr, fault, error.text, status);
  if (!fault && status < 0) fail_msg("\"%.*s\": %s", (int)text.len, text.ptr, error.text);
}

static void expect_still_works(struct mw_token *token) { expect(token, bytes_string(sign_secret("{\"exp\":2000}")), NULL); }

static void refuses_each(void **state) {
  (void)state;
  struct mw_token *token = make(&(struct mw_token_options){.key = secret_key});
  for (size_t i = 0; i < COUNT_OF(raw_rows); i++) {
    expect(token, bytes_string(raw_rows[i].text), raw_rows[i].fault);
    expect_still_works(token);
  }
  for (size_t i = 0; i < COUNT_OF(header_rows); i++) {
    const char *text = sign_any(text_of(header_rows[i].header), text_of("{\"exp\":2000}"), secret_key);
    expect(token, bytes_string(text), header_rows[i].fault);
  }
  for (size_t i = 0; i < COUNT_OF(claim_rows); i++) {
    const char *text = sign_any(text_of("{\"alg\":\"HS256\"}"), text_of(claim_rows[i].claims), secret_key);
    expect(token, bytes_string(text), claim_rows[i].fault);
  }
  assert_true(COUNT_OF(raw_rows) + COUNT_OF(header_rows) + COUNT_OF(claim_rows) >= 150);
  expect_still_works(token);
  mw_token_unref(token);
}

/* A public key is no secret: a MAC made with its text, in each form that a library might use, does
 * not verify. */
static void is_not_confused_about_keys(void **state) {
  (void)state;
  static const char *const keys[] = {rsa_public, ec_public, ed_public};
  static const char *const headers[] = {"{\"alg\":\"HS256\"}", "{\"alg\":\"RS256\"}", "{\"alg\":\"ES256\"}",
                                        "{\"alg\":\"EdDSA\"}"};
  for (size_t i = 0; i < COUNT_OF(keys); i++) {
    struct mw_token *token = make(&(struct mw_token_options){.public_key = keys[i]});
    for (size_t k = 0; k < COUNT_OF(headers); k++) {
      for (size_t cut = 0; cut < 2; cut++) { /* with the newline at the end, and without */
        struct mw_bytes secret = {keys[i], strlen(keys[i]) - cut};
        const char *text = sign_any(text_of(headers[k]), text_of("{\"exp\":2000}"), secret);
        expect(token, bytes_string(text), k == i + 1 ? SIGNATURE : NO_KEY);
      }
    }
    mw_token_unref(token);
  }
}

/* In a set with a secret and public keys, each is only for its own algorithm. */
static void is_not_confused_in_a_set(void **state) {
  (void)state;
  char path[] = "/tmp/moonwire-keys-XXXXXX", header[256];
  FILE *file = fdopen(mkstemp(path), "w");
  assert_non_null(file);
  fprintf(file, "{\"keys\":[%s,%s,%s,%s]}", rsa_jwk, ec_jwk, ed_jwk, secret_jwk);
  fclose(file);
  struct mw_token *token = make(&(struct mw_token_options){.jwks_file = path});
  static const char *const kids[] = {"rsa", "ec", "ed", "../secret", "secret' OR '1'='1", "", "SECRET", "secret\\u0020"};
  for (size_t i = 0; i < COUNT_OF(kids); i++) {
    snprintf(header, sizeof header, "{\"alg\":\"HS256\",\"kid\":\"%s\"}", kids[i]);
    expect(token, bytes_string(sign_any(text_of(header), text_of("{\"exp\":2000}"), text_of(rsa_public))), NO_KEY);
    expect(token, bytes_string(sign_any(text_of(header), text_of("{\"exp\":2000}"), secret_key)), NO_KEY);
  }
  expect(token, bytes_string(sign_any(text_of("{\"alg\":\"HS256\",\"kid\":\"secret\"}"), text_of("{\"exp\":2000}"), secret_key)),
         NULL);
  expect(
      token,
      bytes_string(sign_any(text_of("{\"alg\":\"HS256\",\"kid\":\"secret\"}"), text_of("{\"exp\":2000}"), text_of(rsa_public))),
      SIGNATURE);
  mw_token_unref(token);
  remove(path);
}

/* RFC 7515 A.3 with signatures that ECDSA must refuse: zeros (CVE-2022-21449), the order of the
 * group, DER instead of two numbers, and other lengths. */
static void refuses_signatures_of_curves(void **state) {
  (void)state;
  struct mw_token *token = make(&(struct mw_token_options){.public_key = ec_public});
  char valid[MW_TOKEN_MAX], text[MW_TOKEN_MAX];
  snprintf(valid, sizeof valid, "%s", sign_private(ec_private, "{\"exp\":2000}"));
  size_t dot = (size_t)(strrchr(valid, '.') - valid);
  expect(token, bytes_string(valid), NULL);
  static const unsigned char order[32] = {0xff, 0xff, 0xff, 0xff, 0,    0,    0,    0,    0xff, 0xff, 0xff,
                                          0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17,
                                          0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51};
  char signatures[5][96] = {{0}};
  size_t lengths[] = {64, 64, 63, 65, 72};
  memcpy(signatures[1], order, 32);
  memcpy(signatures[1] + 32, order, 32);
  memcpy(signatures[4], "\x30\x46\x02\x21", 4);
  for (size_t i = 0; i < COUNT_OF(lengths); i++) {
    struct buffer digits;
    buffer_init(&digits);
    base64url_write(&digits, bytes_of(signatures[i], lengths[i]));
    snprintf(text, sizeof text, "%.*s.%.*s", (int)dot, valid, (int)digits.len, digits.data);
    expect(token, bytes_string(text), SIGNATURE);
    buffer_deinit(&digits);
  }
  mw_token_unref(token);
}

/* Each byte of a valid token, changed, left out, or the end of the token. */
static void refuses_every_change(void **state) {
  (void)state;
  struct mw_token *token = make(&(struct mw_token_options){.key = secret_key});
  char valid[MW_TOKEN_MAX], claims[MW_TOKEN_MAX];
  snprintf(valid, sizeof valid, "%s", sign_secret("{\"exp\":2000,\"sub\":\"ann\"}"));
  size_t len = strlen(valid);
  for (size_t i = 0; i < len; i++) {
    char text[MW_TOKEN_MAX];
    memcpy(text, valid, len);
    text[i] = text[i] == 'A' ? 'B' : 'A';
    assert_int_equal(mw_token_verify(token, text, len, 1000 * 1000, claims, NULL, NULL), MW_EINVAL);
    assert_int_equal(mw_token_verify(token, valid, i, 1000 * 1000, claims, NULL, NULL), MW_EINVAL);
    memcpy(text, valid, i);
    memcpy(text + i, valid + i + 1, len - i - 1);
    assert_int_equal(mw_token_verify(token, text, len - 1, 1000 * 1000, claims, NULL, NULL), MW_EINVAL);
  }
  expect(token, bytes_string(valid), NULL);
  mw_token_unref(token);
}

static void refuses_what_is_huge(void **state) {
  (void)state;
  static char text[1 << 20];
  struct mw_token *token = make(&(struct mw_token_options){.key = secret_key});
  memset(text, 'A', sizeof text);
  expect(token, bytes_of(text, sizeof text), "the token is larger than 8192 bytes");
  expect(token, bytes_of(text, MW_TOKEN_MAX + 1), "the token is larger than 8192 bytes");
  expect(token, bytes_of(text, MW_TOKEN_MAX), PARTS);
  /* A header that is deep, long, or has a long kid, each with a valid signature. */
  static char header[6000];
  int at = snprintf(header, sizeof header, "{\"alg\":\"HS256\",\"kid\":\"");
  memset(header + at, 'k', 257);
  snprintf(header + at + 257, sizeof header - (size_t)at - 257, "\"}");
  expect(token, bytes_string(sign_any(text_of(header), text_of("{\"exp\":2000}"), secret_key)), LONG_KID);
  at = snprintf(header, sizeof header, "{\"alg\":\"HS256\",\"x\":");
  memset(header + at, '[', 5000);
  header[at + 5000] = '\0';
  expect(token, bytes_string(sign_any(text_of(header), text_of("{\"exp\":2000}"), secret_key)), HEADER);
  at = snprintf(header, sizeof header, "{\"exp\":2000,\"x\":");
  memset(header + at, '{', 5000);
  header[at + 5000] = '\0';
  expect(token, bytes_string(sign_any(text_of("{\"alg\":\"HS256\"}"), text_of(header), secret_key)), CLAIMS);
  mw_token_unref(token);
}

int main(void) {
  const struct CMUnitTest tests[] = {TEST(refuses_each),
                                     TEST(is_not_confused_about_keys),
                                     TEST(is_not_confused_in_a_set),
                                     TEST(refuses_signatures_of_curves),
                                     TEST(refuses_every_change),
                                     TEST(refuses_what_is_huge)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
