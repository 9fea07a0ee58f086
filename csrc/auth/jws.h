/* Signatures of tokens: JSON Web Signature in compact form (RFC 7515), with the algorithms of enum
 * jwk_algorithm. Any thread. */
#ifndef MOONWIRE_AUTH_JWS_H
#define MOONWIRE_AUTH_JWS_H

#include "auth/jwk.h"
#include "base/buffer.h"

VISIBILITY_PUSH

/* Returns true if the signature of `text` is valid. The algorithm must be one of the key's; it is
 * false otherwise. */
bool jws_verify(const struct jwk *key, enum jwk_algorithm algorithm, struct bytes text, struct bytes signature);
/* Appends the signature of `text`. The key is a secret or a private key. Returns 0, MW_EINVAL if
 * the algorithm is not one of the key's, or MW_ENOMEM. */
int jws_sign(const struct jwk *key, enum jwk_algorithm algorithm, struct bytes text, struct buffer *out);

VISIBILITY_POP

#endif
