#include "auth/token.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "auth/jwk_set.h"
#include "auth/jws.h"
#include "auth/token_claims.h"
#include "auth/token_head.h"
#include "base/base64.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/refs.h"

enum { LEEWAY_MAX_MS = 300 * 1000 };

struct mw_token {
  atomic_uint refs;
  struct token_rules rules; /* its texts are owned */
  char *issuer, *audience, *cookie;
  unsigned allowed;     /* bits of algorithms; 0: by the kind of the key */
  bool has_kids;        /* keys are chosen by the "kid" of a token */
  pthread_mutex_t lock; /* for the members below */
  struct jwk_file file; /* path NULL: none */
  struct jwk_set set;
};

/* ---- Making one ------------------------------------------------------------------------------ */

static int read_algorithms(unsigned *allowed, const char *const *names, size_t count, struct mw_error *error) {
  *allowed = 0;
  for (size_t i = 0; i < count; i++) {
    enum jwk_algorithm algorithm = jwk_algorithm_of(bytes_string(names[i]));
    if (algorithm == JWK_ALGORITHM_NONE) {
      return error_set(error, MW_EINVAL,
                       "algorithms: \"%.40s\" is not supported; use HS256, HS384, HS512, RS256, PS256, ES256, or EdDSA",
                       names[i]);
    }
    *allowed |= 1U << algorithm;
  }
  return 0;
}

/* Names the option in the error. */
static int name_option(struct mw_error *error, int status, const char *option) {
  return status < 0 && error ? error_set(error, status, "%s: %.230s", option, error->text) : status;
}

static int read_only_key(struct mw_token *token, const struct mw_token_options *options, struct mw_error *error) {
  bool is_secret = options->key.len > 0;
  token->set.keys = memory_calloc(1, sizeof *token->set.keys);
  if (!token->set.keys) return error_set(error, MW_ENOMEM, "out of memory");
  struct bytes text = is_secret ? bytes_of(options->key.ptr, options->key.len) : bytes_string(options->public_key);
  int status = is_secret ? jwk_init_secret(token->set.keys, text, token->allowed, error)
                         : jwk_init_pem(token->set.keys, text, false, token->allowed, error);
  if (status == 0) token->set.count = 1;
  return name_option(error, status, is_secret ? "key" : "public_key");
}

static int read_keys(struct mw_token *token, const struct mw_token_options *options, struct mw_error *error) {
  int given = (options->key.len > 0) + (options->public_key != NULL) + (options->jwks_file != NULL);
  if (given == 0) return error_set(error, MW_EINVAL, "one of key, public_key, and jwks_file is required");
  if (given > 1) return error_set(error, MW_EINVAL, "only one of key, public_key, and jwks_file is allowed");
  if (!options->jwks_file) return read_only_key(token, options, error);
  token->has_kids = true;
  int status = jwk_file_init(&token->file, options->jwks_file, 0, &token->set, token->allowed, error);
  if (status == 0 || !error) return status;
  return error_set(error, status, "jwks_file: %.100s: %.120s", options->jwks_file, error->text);
}

static bool own_text(char **own, struct bytes *rule, const char *text) {
  if (!text) return true;
  *own = memory_copy(text, strlen(text));
  if (rule) *rule = bytes_string(*own);
  return *own != NULL;
}

static int read_options(struct mw_token *token, const struct mw_token_options *options, struct mw_error *error) {
  if (options->leeway_ms > LEEWAY_MAX_MS) return error_set(error, MW_EINVAL, "leeway: at most 300 seconds");
  if ((options->issuer && !*options->issuer) || (options->audience && !*options->audience) ||
      (options->cookie && !*options->cookie))
    return error_set(error, MW_EINVAL, "issuer, audience, and cookie must not be empty");
  token->rules.leeway_ms = options->leeway_ms;
  token->rules.exp_optional = options->exp_optional;
  bool owned = own_text(&token->issuer, &token->rules.issuer, options->issuer) &&
               own_text(&token->audience, &token->rules.audience, options->audience) &&
               own_text(&token->cookie, NULL, options->cookie);
  if (!owned) return error_set(error, MW_ENOMEM, "out of memory");
  int status = read_algorithms(&token->allowed, options->algorithms, options->algorithm_count, error);
  return status < 0 ? status : read_keys(token, options, error);
}

int mw_token_new(struct mw_token **out, const struct mw_token_options *options, struct mw_error *error) {
  struct mw_token *token = memory_calloc(1, sizeof *token);
  if (!token) return error_set(error, MW_ENOMEM, "out of memory");
  if (pthread_mutex_init(&token->lock, NULL) != 0) {
    memory_free(token);
    return error_set(error, MW_ENOMEM, "out of memory");
  }
  atomic_init(&token->refs, 1);
  int status = read_options(token, options, error);
  if (status < 0) {
    mw_token_unref(token);
    return status;
  }
  *out = token;
  return 0;
}

struct mw_token *mw_token_ref(struct mw_token *token) {
  refs_add(&token->refs);
  return token;
}

void mw_token_unref(struct mw_token *token) {
  if (!token || !refs_remove(&token->refs)) return;
  jwk_set_deinit(&token->set);
  jwk_file_deinit(&token->file);
  memory_free(token->issuer);
  memory_free(token->audience);
  memory_free(token->cookie);
  pthread_mutex_destroy(&token->lock);
  memory_free(token);
}

const char *token_cookie(const struct mw_token *token) { return token->cookie; }

/* ---- Verifying ------------------------------------------------------------------------------- */

/* Verifies the signature with a key of the verifier; returns NULL, or the fault. */
static const char *check_signature(struct mw_token *token, const struct token_head *head, uint64_t now_ms,
                                   struct bytes signature) {
  struct bytes kid = token->has_kids && head->has_kid ? bytes_of(head->kid, head->kid_len) : bytes_of(NULL, 0);
  const char *fault = NULL;
  pthread_mutex_lock(&token->lock);
  if (token->file.path) jwk_file_refresh(&token->file, now_ms, &token->set, token->allowed);
  const struct jwk *key = jwk_set_find(&token->set, kid, head->algorithm);
  if (!key) {
    fault = "no key is for the algorithm (\"alg\") and the key id (\"kid\") of the token";
  } else if (!jws_verify(key, head->algorithm, head->signing_input, signature)) {
    fault = "the signature of the token is invalid";
  }
  pthread_mutex_unlock(&token->lock);
  return fault;
}

static int check_parts(struct mw_token *token, struct bytes text, uint64_t now_ms, struct buffer *signature,
                       struct token_facts *facts, const char **fault) {
  static const char malformed[] = "malformed token: claims and signature must be base64url";
  struct token_head head;
  *fault = token_head_read(&head, text);
  if (*fault) return MW_EINVAL;
  *fault = base64url_read(signature, head.signature) ? check_signature(token, &head, now_ms, buffer_bytes(signature)) : malformed;
  if (*fault) return MW_EINVAL;
  if (!base64url_read(&facts->claims, head.claims)) {
    *fault = malformed;
    return MW_EINVAL;
  }
  if (facts->claims.failed || signature->failed) {
    *fault = "out of memory";
    return MW_ENOMEM;
  }
  return token_claims_check(buffer_bytes(&facts->claims), &token->rules, now_ms, &facts->expires_ms, fault);
}

int token_check(struct mw_token *token, struct bytes text, uint64_t now_ms, struct token_facts *facts, const char **fault) {
  struct buffer signature;
  int status = MW_EINVAL;
  *facts = (struct token_facts){.expires_ms = 0};
  buffer_init(&facts->claims);
  buffer_init(&signature);
  if (text.len == 0) {
    *fault = "a token is required";
  } else if (text.len > MW_TOKEN_MAX) {
    *fault = "the token is larger than 8192 bytes";
  } else {
    status = check_parts(token, text, now_ms, &signature, facts, fault);
  }
  buffer_deinit(&signature);
  if (status < 0) buffer_deinit(&facts->claims);
  return status;
}

static uint64_t wall_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

int mw_token_verify(struct mw_token *token, const char *text, size_t text_len, uint64_t now_ms, char claims[MW_TOKEN_MAX],
                    uint64_t *expires_ms, struct mw_error *error) {
  struct token_facts facts;
  const char *fault;
  int status = token_check(token, bytes_of(text, text_len), now_ms > 0 ? now_ms : wall_ms(), &facts, &fault);
  if (status < 0) return error_set(error, status, "%s", fault);
  size_t len = facts.claims.len;
  memcpy(claims, facts.claims.data, len);
  if (expires_ms) *expires_ms = facts.expires_ms;
  buffer_deinit(&facts.claims);
  return (int)len;
}

/* ---- Signing --------------------------------------------------------------------------------- */

static int read_signing_key(struct jwk *key, const struct mw_token_signer *signer, struct mw_error *error) {
  unsigned allowed = 0;
  if (signer->algorithm) {
    int status = read_algorithms(&allowed, &signer->algorithm, 1, error);
    if (status < 0) return status;
  }
  if ((signer->key.len > 0) == (signer->private_key != NULL))
    return error_set(error, MW_EINVAL, "one of key and private_key is required");
  if (signer->key.len > 0)
    return name_option(error, jwk_init_secret(key, bytes_of(signer->key.ptr, signer->key.len), allowed, error), "key");
  return name_option(error, jwk_init_pem(key, bytes_string(signer->private_key), true, allowed, error), "private_key");
}

static enum jwk_algorithm lowest(unsigned algorithms) {
  unsigned i = 0;
  while (!(algorithms & 1U << i)) i++;
  return (enum jwk_algorithm)i;
}

static char *make_header(enum jwk_algorithm algorithm, const char *kid) {
  json_t *header = json_object();
  if (header) {
    json_object_set_new(header, "alg", json_string(jwk_algorithm_name(algorithm)));
    json_object_set_new(header, "typ", json_string("JWT"));
    if (kid) json_object_set_new(header, "kid", json_string(kid));
  }
  char *text = header ? json_dumps(header, JSON_COMPACT) : NULL;
  json_decref(header);
  return text;
}

static int sign(const struct jwk *key, struct bytes claims, const char *kid, struct buffer *out, struct mw_error *error) {
  enum jwk_algorithm algorithm = lowest(key->algorithms);
  struct buffer signature;
  char *header = make_header(algorithm, kid);
  if (!header) return error_set(error, MW_ENOMEM, "out of memory, or the kid is not UTF-8");
  base64url_write(out, bytes_string(header));
  free(header);
  buffer_append_char(out, '.');
  base64url_write(out, claims);
  if (out->failed) return error_set(error, MW_ENOMEM, "out of memory");
  buffer_init(&signature);
  int status = jws_sign(key, algorithm, buffer_bytes(out), &signature);
  buffer_append_char(out, '.');
  base64url_write(out, buffer_bytes(&signature));
  buffer_deinit(&signature);
  if (status < 0) return error_set(error, status, "the key cannot sign");
  if (out->len > MW_TOKEN_MAX) return error_set(error, MW_ETOOLARGE, "the token would be larger than 8192 bytes");
  return out->failed ? error_set(error, MW_ENOMEM, "out of memory") : 0;
}

int mw_token_sign(const struct mw_token_signer *signer, const char *claims, size_t claims_len, char text[MW_TOKEN_MAX],
                  struct mw_error *error) {
  struct jwk key = {0};
  struct buffer out;
  json_t *root = json_loadb(claims ? claims : "", claims_len, JSON_REJECT_DUPLICATES, NULL);
  bool is_object = json_is_object(root);
  json_decref(root);
  if (!is_object) return error_set(error, MW_EINVAL, "the claims must be a JSON object, without a name twice");
  int status = read_signing_key(&key, signer, error);
  if (status < 0) return status;
  buffer_init(&out);
  status = sign(&key, bytes_of(claims, claims_len), signer->kid, &out, error);
  int len = (int)out.len;
  if (status == 0) memcpy(text, out.data, out.len);
  buffer_deinit(&out);
  jwk_deinit(&key);
  return status < 0 ? status : len;
}
