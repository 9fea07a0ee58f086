/* The keys of the RFCs' examples, for tests of tokens: RFC 7515 A.1 (secret), A.2 (RSA), A.3
 * (P-256), and RFC 8037 A (Ed25519). */
#ifndef MOONWIRE_TEST_SUPPORT_TOKEN_TOKEN_KEYS_H
#define MOONWIRE_TEST_SUPPORT_TOKEN_TOKEN_KEYS_H

#include "moonwire.h"

extern const char rsa_private[], rsa_public[], rsa_jwk[];
extern const char ec_private[], ec_public[], ec_jwk[];
extern const char ed_private[], ed_public[], ed_jwk[];
extern const char secret_jwk[];
extern const struct mw_bytes secret_key;

/* Signs claims with the secret (HS256) or a private key in PEM, and returns the terminated text,
 * valid until the next call. */
const char *sign_secret(const char *claims);
const char *sign_private(const char *private_key, const char *claims);
/* Returns "<header>.<claims>.<signature>" for texts of any kind; the signature is that of HS256
 * with the secret. Valid until the next call. */
const char *sign_any(struct mw_bytes header, struct mw_bytes claims, struct mw_bytes secret);

#endif
