/* A key for tokens: a secret, a key in PEM, or a JWK (RFC 7517, RFC 7518 section 6, RFC 8037).
 *
 * A key is bound to the algorithms with which it may be used. The header of a token chooses only
 * among them, so that a public key is never used as a secret (RFC 8725 section 3.1). */
#ifndef MOONWIRE_AUTH_JWK_H
#define MOONWIRE_AUTH_JWK_H

#include <jansson.h>
#include <openssl/evp.h>

#include "base/bytes.h"
#include "base/status.h"

VISIBILITY_PUSH

/* RFC 7518 section 3.1, and "EdDSA" of RFC 8037 with Ed25519. */
enum jwk_algorithm {
  JWK_HS256,
  JWK_HS384,
  JWK_HS512,
  JWK_RS256,
  JWK_PS256,
  JWK_ES256,
  JWK_EDDSA,
  JWK_ALGORITHM_COUNT,
  JWK_ALGORITHM_NONE = JWK_ALGORITHM_COUNT
};
/* Returns the algorithm of that name, compared exactly, or JWK_ALGORITHM_NONE. */
enum jwk_algorithm jwk_algorithm_of(struct bytes name);
const char *jwk_algorithm_name(enum jwk_algorithm algorithm);

enum { JWK_KID_MAX = 256 }; /* bytes of the id of a key */

struct jwk {
  unsigned algorithms; /* bits 1 << enum jwk_algorithm */
  EVP_PKEY *pkey;      /* NULL: a secret */
  char *secret;        /* owned */
  size_t secret_len;
  char *kid; /* owned; NULL: none */
};

/* Each returns 0, or MW_EINVAL with what is wrong in `error`, or MW_ENOMEM. `allowed` has the bits
 * of the algorithms that the caller allows; 0: the one algorithm that is usual for such a key. */
/* Copies the secret. It must be as long as the hash (RFC 7518 section 3.2). */
int jwk_init_secret(struct jwk *key, struct bytes secret, unsigned allowed, struct mw_error *error);
/* Reads a key in PEM: PUBLIC KEY or, if is_private, PRIVATE KEY without a password. */
int jwk_init_pem(struct jwk *key, struct bytes pem, bool is_private, unsigned allowed, struct mw_error *error);
/* Reads a public key or a secret from a JWK. MW_ENOTFOUND: the key is valid, or of an unknown type,
 * and is not for verifying tokens with an allowed algorithm. */
int jwk_init_json(struct jwk *key, const json_t *json, unsigned allowed, struct mw_error *error);
void jwk_deinit(struct jwk *key);

VISIBILITY_POP

#endif
