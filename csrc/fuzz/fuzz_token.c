/* A token is accepted only if it is the text that our key signs. The first byte of the input chooses
 * what the rest is: a token, or the header or the claims of one that we sign, or a JWK set. */
#include "auth/jwk_set.h"
#include "auth/jws.h"
#include "auth/token.h"
#include "auth/token_head.h"
#include "base/base64.h"
#include "fuzz/fuzz.h"

static const char secret[] = "0123456789abcdef0123456789abcdef";

static struct mw_token *make(void) {
  static struct mw_token *token;
  struct mw_token_options options = {.key = {secret, sizeof secret - 1}, .exp_optional = true};
  if (!token) must(mw_token_new(&token, &options, NULL) == 0);
  return token;
}

static void sign(struct buffer *text) {
  struct jwk key = {.algorithms = 1 << JWK_HS256, .secret = (char *)(uintptr_t)secret, .secret_len = sizeof secret - 1};
  struct buffer signature;
  buffer_init(&signature);
  must(jws_sign(&key, JWK_HS256, buffer_bytes(text), &signature) == 0);
  buffer_append_char(text, '.');
  base64url_write(text, buffer_bytes(&signature));
  buffer_deinit(&signature);
}

static void check(struct bytes text) {
  struct token_facts facts;
  const char *fault = NULL;
  int status = token_check(make(), text, 1000 * 1000, &facts, &fault);
  must(status == 0 || fault);
  if (status < 0) return;
  must(facts.claims.len > 0 && facts.claims.data[facts.claims.len - 1] != '\0');
  must(facts.expires_ms == 0 || facts.expires_ms > 1000 * 1000);
  buffer_deinit(&facts.claims);
}

static void check_signed(struct bytes header, struct bytes claims) {
  struct buffer text;
  buffer_init(&text);
  base64url_write(&text, header);
  buffer_append_char(&text, '.');
  base64url_write(&text, claims);
  sign(&text);
  check(buffer_bytes(&text));
  buffer_deinit(&text);
}

static void check_set(struct bytes text) {
  struct jwk_set set;
  struct mw_error error = {""};
  if (jwk_set_read(&set, text, 0, &error) < 0) {
    must(error.text[0]);
    return;
  }
  must(set.count > 0 && set.count <= JWK_SET_MAX);
  for (size_t i = 0; i < set.count; i++) must(set.keys[i].algorithms && (set.keys[i].pkey || set.keys[i].secret));
  jwk_set_deinit(&set);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size == 0) return 0;
  struct bytes rest = fuzz_bytes(data + 1, size - 1);
  switch (data[0]) {
    case 't': check(rest); break;
    case 'h': check_signed(rest, BYTES("{}")); break;
    case 'c': check_signed(BYTES("{\"alg\":\"HS256\"}"), rest); break;
    default: check_set(rest); break;
  }
  return 0;
}
