/* The token buckets of all clients, addresses, and channels, in one table.
 *
 * A bucket is 16 bytes, and exists while it is not full: a client that sends nothing has none. A
 * key is a 64-bit hash with a secret seed, so that two buckets do not share one in practice. The
 * table is bounded by RATES_MAX. Any thread. */
#ifndef MOONWIRE_APP_LIMITS_RATES_H
#define MOONWIRE_APP_LIMITS_RATES_H

#include "base/bytes.h"
#include "base/rate.h"
#include "net/thread.h"

VISIBILITY_PUSH

/* Buckets that are not full. Beyond it, operations that would need another one are refused. */
enum { RATES_MAX = 1 << 20 };

struct rates_slot {
  uint64_t key;     /* 0: the slot is free */
  uint64_t full_ns; /* when the bucket is full again */
};

struct rates {
  struct lock lock;
  struct rates_slot *slots; /* NULL: there are none */
  size_t capacity, used;    /* a power of two, and slots that are not free */
  uint64_t full_until_ns;   /* there is no room for another bucket before this time */
  size_t swept, live;       /* of the sweep in progress: slots visited, and buckets found not full */
  uint64_t seed[2];
};

/* One token of a bucket. */
struct rates_token {
  uint64_t key;
  struct rate rate;
};

int rates_init(struct rates *rates);
void rates_deinit(struct rates *rates);
/* Returns the key of a bucket that belongs to `who` (a client, an address; may be empty), `what` (a
 * channel; may be empty), and a number for what is counted. */
uint64_t rates_key(const struct rates *rates, struct bytes who, struct bytes what, uint64_t number);
/* Takes all of the tokens, or none. Returns 0, or the nanoseconds after which it may succeed;
 * *refused receives the index of the token that takes longest. Tokens without a limit are always
 * there. */
uint64_t rates_take(struct rates *rates, const struct rates_token *tokens, size_t count, uint64_t now_ns, size_t *refused);
/* Takes a token even if there is none: a debt, which is paid before the next token. Returns 0, or
 * the nanoseconds after which there is a token. */
uint64_t rates_charge(struct rates *rates, const struct rates_token *token, uint64_t now_ns);
/* Called once a second. Frees memory that buckets do not need any more. */
void rates_second(struct rates *rates, uint64_t now_ns);
/* Returns the bytes of the table. */
size_t rates_bytes(struct rates *rates);

VISIBILITY_POP

#endif
