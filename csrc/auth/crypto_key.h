/* Keys that are derived from the app's key, one for each use: a result of one function is of no use
 * to another. */
#ifndef MOONWIRE_AUTH_CRYPTO_KEY_H
#define MOONWIRE_AUTH_CRYPTO_KEY_H

#include "base/bytes.h"
#include "base/status.h"

VISIBILITY_PUSH

/* Writes the key for a use: HMAC-SHA256 of its name and `salt`, which may be empty. Returns 0,
 * MW_EINVAL if the app's key is too short, or MW_ENOMEM. */
int crypto_key_derive(struct mw_bytes key, struct bytes use, struct bytes salt, unsigned char out[MW_SHA256_SIZE]);

VISIBILITY_POP

#endif
