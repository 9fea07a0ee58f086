/* Secrets: comparing them in constant time, and making names that cannot be guessed. */
#ifndef MOONWIRE_AUTH_SECRET_H
#define MOONWIRE_AUTH_SECRET_H

#include "base/bytes.h"

VISIBILITY_PUSH

/* Compares in a time that depends only on the lengths. */
bool secret_equal(struct bytes a, struct bytes b);
/* Fills `out` with characters of [a-z2-7], five random bits each. It is not terminated. */
void secret_name(char *out, size_t len);

VISIBILITY_POP

#endif
