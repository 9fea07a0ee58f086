/* The verifier of tokens (mw_token): keys, and rules for the claims. Any thread. */
#ifndef MOONWIRE_AUTH_TOKEN_H
#define MOONWIRE_AUTH_TOKEN_H

#include "base/buffer.h"
#include "base/status.h"

VISIBILITY_PUSH

/* A valid token. */
struct token_facts {
  struct buffer claims; /* JSON */
  uint64_t expires_ms;  /* since 1970, with the leeway; 0: never */
};

/* Verifies a token at a time in milliseconds since 1970. Returns 0, and the caller calls
 * buffer_deinit; or MW_EEXPIRED, MW_EINVAL, or MW_ENOMEM, with a constant for the client in
 * *fault. */
int token_check(struct mw_token *token, struct bytes text, uint64_t now_ms, struct token_facts *facts, const char **fault);
/* Returns the name of the cookie that has the token, or NULL. */
const char *token_cookie(const struct mw_token *token);

VISIBILITY_POP

#endif
