/* Secrets: comparing them without telling where they differ, and making names that cannot be guessed. */
#ifndef MOONWIRE_AUTH_SECRET_H
#define MOONWIRE_AUTH_SECRET_H

#include "base/bytes.h"

VISIBILITY_PUSH

/* In time that depends on the lengths alone. */
bool secret_equal(struct bytes a, struct bytes b);
/* Fills `out` with characters of [a-z2-7], five random bits each, without a terminator. */
void secret_name(char *out, size_t len);

VISIBILITY_POP

#endif
