/* Addresses of names, by the system's resolver on the thread pool of libuv. Those who ask for the
 * same name share one lookup, and answers are kept for a short time. */
#ifndef MOONWIRE_NET_LOOKUP_H
#define MOONWIRE_NET_LOOKUP_H

#include <netinet/in.h>

#include "base/bytes.h"
#include "net/loop.h"

VISIBILITY_PUSH

enum { LOOKUP_NAME_MAX = 253, LOOKUP_NAMES_MAX = 256, LOOKUP_KEPT_MS = 10000 };

struct host_addresses {
  size_t count;
  struct sockaddr_storage items[8]; /* without ports */
};

struct lookups {
  struct loop *loop;
  struct list names; /* the least recently used first */
  size_t count;
  uint64_t begun_count; /* lookups that the system was asked for */
  bool closed;
};

/* Part of the struct that asks. Zeroed by the caller. */
struct lookup {
  struct list link;
  /* Called once, not within lookup_start. `addresses` is valid during the call, NULL after a
   * failure: MW_ECLOSED, or a status of libuv. */
  void (*on_found)(struct lookup *lookup, int status, const struct host_addresses *addresses);
};

void lookups_init(struct lookups *lookups, struct loop *loop);
/* Ends all lookups. Those that the system carries out are counted among the handles of the loop. */
void lookups_close(struct lookups *lookups);

/* Reads an address as text, or finds a name whose answer is kept, and returns 0 with `addresses`.
 * Otherwise returns MW_PENDING, and calls on_found later. MW_EINVAL: not a name. MW_EUNAVAILABLE:
 * too many names are being looked up. MW_ENOMEM, MW_ECLOSED, a status of libuv. */
int lookup_start(struct lookup *lookup, struct lookups *lookups, struct bytes name, struct host_addresses *addresses);
/* on_found will not be called. Has no effect if it was called, or never started. */
void lookup_cancel(struct lookup *lookup);

VISIBILITY_POP

#endif
