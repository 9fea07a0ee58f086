/* Counts what each address and each client uses of shared limits, so that none of them uses up
 * everything.
 *
 * A party exists while it holds something, so these limits also bound the memory for parties. IPv6
 * addresses count by their /64, which is what one customer gets. Unix sockets and loopback do not
 * count as addresses: a proxy may connect from there on behalf of all clients. */
#ifndef MOONWIRE_APP_PARTY_H
#define MOONWIRE_APP_PARTY_H

#include "app/client.h"
#include "base/table.h"
#include "net/thread.h"

VISIBILITY_PUSH

enum party_good {
  PARTY_NAMES,    /* live channels that it has created */
  PARTY_OPEN,     /* such channels that are open to the app */
  PARTY_PRESENCE, /* such channels whose members the app knows */
  PARTY_POLLS,    /* clients that poll, and their channels */
  PARTY_GOODS
};

/* The text of a refusal over limits.address_polls. */
extern const char polls_refusal[];

struct parties {
  struct lock lock;
  struct table by_key;
};

struct party;

enum { PARTY_KEY_MAX = 256 };

/* Names a party. Empty: no party, without limits. */
struct party_key {
  size_t len;
  char text[PARTY_KEY_MAX];
};

/* Returns the party of a peer's address, as stream_remote and mw_client_remote write it. */
struct party_key party_key_of_address(const char *remote);
/* Returns the party of the user or, if anonymous, of the connection. NULL: no party. */
struct party_key party_key_of_client(const struct mw_client *client);

int parties_init(struct parties *parties);
void parties_deinit(struct parties *parties); /* All must have been given back. */
/* Returns how many parties there are. Any thread, as the others. */
size_t parties_count(struct parties *parties);

/* Lets a party hold `amount` more, up to `max` (0: no limit). *party receives the party to release
 * it from, or NULL. Returns 0; MW_ELIMIT or MW_ENOMEM: it does not hold more. */
int party_take(struct parties *parties, const struct party_key *key, enum party_good good, size_t amount, size_t max,
               struct party **party);
/* Releases what party_take took. NULL is allowed. The party may be freed. */
void party_release(struct parties *parties, struct party *party, enum party_good good, size_t amount);
/* Returns true if party_take would succeed within the limit. */
bool party_has_room(struct parties *parties, const struct party_key *key, enum party_good good, size_t amount, size_t max);

VISIBILITY_POP

#endif
