/* The claims of a token (RFC 7519 section 4.1): whether they are in force. */
#ifndef MOONWIRE_AUTH_TOKEN_CLAIMS_H
#define MOONWIRE_AUTH_TOKEN_CLAIMS_H

#include "base/bytes.h"
#include "base/status.h"

VISIBILITY_PUSH

struct token_rules {
  struct bytes issuer, audience; /* empty: any issuer; no token for an audience */
  uint64_t leeway_ms;
  bool exp_optional;
};

/* Checks claims in JSON. *expires_ms receives when the token expires, with the leeway, in
 * milliseconds since 1970; 0: never. Returns 0, MW_EEXPIRED, or MW_EINVAL, with a constant that
 * states the fault in *fault. */
int token_claims_check(struct bytes json, const struct token_rules *rules, uint64_t now_ms, uint64_t *expires_ms,
                       const char **fault);

/* Returns the "exp" of claims in JSON in milliseconds since 1970; 0: none. */
uint64_t token_claims_expiry(struct bytes json);

VISIBILITY_POP

#endif
