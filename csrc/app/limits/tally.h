/* Counts what addresses and users hold of a limit that many share, such as connections.
 *
 * A count is 16 bytes, and exists while it is not 0, so that the table is bounded by what is
 * counted. A key is a 64-bit hash with a secret seed, so that two counts do not share one in
 * practice. Any thread. */
#ifndef MOONWIRE_APP_LIMITS_TALLY_H
#define MOONWIRE_APP_LIMITS_TALLY_H

#include "base/bytes.h"
#include "net/thread.h"

VISIBILITY_PUSH

struct tally_slot {
  uint64_t key; /* 0: the slot is free */
  uint64_t count;
};

struct tally {
  struct lock lock;
  struct tally_slot *slots;
  size_t capacity, used; /* a power of two, and slots that are not free */
  uint64_t seed[2];
};

int tally_init(struct tally *tally);
void tally_deinit(struct tally *tally);
/* Returns the key of an address or a user; not 0. */
uint64_t tally_key(const struct tally *tally, struct bytes who);
/* Counts one more, up to `max`. Returns 0, MW_ELIMIT, or MW_ENOMEM. */
int tally_take(struct tally *tally, uint64_t key, size_t max);
/* Counts one less of what tally_take has counted. */
void tally_release(struct tally *tally, uint64_t key);
size_t tally_count(struct tally *tally, uint64_t key);
/* Returns how many keys have a count. */
size_t tally_used(struct tally *tally);

VISIBILITY_POP

#endif
