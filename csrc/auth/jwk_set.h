/* The keys with which tokens are verified: one key, or those of a JWK set in a file (RFC 7517
 * section 5), which is read again when it changes. */
#ifndef MOONWIRE_AUTH_JWK_SET_H
#define MOONWIRE_AUTH_JWK_SET_H

#include "auth/jwk.h"

VISIBILITY_PUSH

enum { JWK_SET_MAX = 100, JWK_FILE_MAX = 1 << 20 }; /* keys; bytes of a file */

struct jwk_set {
  struct jwk *keys;
  size_t count;
};

/* Reads the keys that are for verifying tokens, and ignores others (section 5). Returns 0,
 * MW_EINVAL with what is wrong (no key is left, for example), or MW_ENOMEM. */
int jwk_set_read(struct jwk_set *set, struct bytes json, unsigned allowed, struct mw_error *error);
void jwk_set_deinit(struct jwk_set *set);
/* Returns the key with that id for the algorithm. Without a kid (ptr NULL), returns the only key
 * for the algorithm, whatever its id. NULL: there is none, or more than one. */
const struct jwk *jwk_set_find(const struct jwk_set *set, struct bytes kid, enum jwk_algorithm algorithm);

/* A file that is read again when it changes. */
struct jwk_file {
  char *path; /* owned */
  /* what identified the version that was read or tried last */
  int64_t changed_s, changed_ns, size;
  uint64_t inode;
  uint64_t checked_ms;
};

/* Opens the file and reads it. Returns as jwk_set_read, or a negative errno. */
int jwk_file_init(struct jwk_file *file, const char *path, uint64_t now_ms, struct jwk_set *set, unsigned allowed,
                  struct mw_error *error);
void jwk_file_deinit(struct jwk_file *file);
/* Checks, at most once a second, whether the file has changed, and replaces the keys. If the new
 * version cannot be read, logs a warning and keeps the keys. Reads a small file and blocks
 * meanwhile. */
void jwk_file_refresh(struct jwk_file *file, uint64_t now_ms, struct jwk_set *set, unsigned allowed);

VISIBILITY_POP

#endif
