/* The parts of a token in compact form, and its header (RFC 7515 sections 3 and 4). */
#ifndef MOONWIRE_AUTH_TOKEN_HEAD_H
#define MOONWIRE_AUTH_TOKEN_HEAD_H

#include "auth/jwk.h"

VISIBILITY_PUSH

struct token_head {
  struct bytes signing_input;     /* header and claims, as they are signed */
  struct bytes claims, signature; /* in base64url */
  enum jwk_algorithm algorithm;   /* JWK_ALGORITHM_NONE: unknown, or "none" */
  bool has_kid;
  size_t kid_len;
  char kid[JWK_KID_MAX];
};

/* Reads a token; slices point into `text`. Returns NULL, or a constant that states the fault.
 * Members that bring a key ("jwk", "jku", "x5c", "x5u") are ignored: keys are never taken from a
 * token. */
const char *token_head_read(struct token_head *head, struct bytes text);

VISIBILITY_POP

#endif
