/* Who holds how much of what all share: counts for each address and each client, so that none of them takes everything.
 *
 * A party is known for as long as it holds something, so what is held bounds the memory of this, too. IPv6 addresses count by their /64, which
 * is what one customer gets. Unix sockets and loopback are not addresses of anybody: a proxy may stand there, and all come from it. */
#ifndef MOONWIRE_APP_PARTY_H
#define MOONWIRE_APP_PARTY_H

#include "app/client.h"
#include "base/table.h"
#include "net/thread.h"

VISIBILITY_PUSH

enum party_good {
  PARTY_NAMES,    /* live channels that it has brought into being */
  PARTY_OPEN,     /* the same of those that are open to the app */
  PARTY_PRESENCE, /* and of those whose members are known to the app */
  PARTY_POLLS,    /* clients that poll, and the channels that they are in */
  PARTY_GOODS
};

struct parties {
  struct lock lock;
  struct table by_key;
};

struct party;

enum { PARTY_KEY_MAX = 256 };

/* Names a party. Empty: nobody, who may hold anything. */
struct party_key {
  size_t len;
  char text[PARTY_KEY_MAX];
};

/* By the address of a peer, as stream_remote and mw_client_remote say it. */
struct party_key party_key_of_address(const char *remote);
/* By the user, or, of the anonymous, by the connection. NULL: nobody. */
struct party_key party_key_of_client(const struct mw_client *client);

int parties_init(struct parties *parties);
void parties_deinit(struct parties *parties); /* nobody holds anything */
/* How many parties are known. Any thread, likewise the others. */
size_t parties_count(struct parties *parties);

/* Lets a party hold `amount` more, and at most `max` (0: any number). *party, which is to give it back, is NULL if it need not. 0; MW_ELIMIT or
 * MW_ENOMEM: it does not hold more. */
int party_take(struct parties *parties, const struct party_key *key, enum party_good good, size_t amount, size_t max,
               struct party **party);
/* The opposite; NULL is allowed. The party may be gone afterwards. */
void party_give_back(struct parties *parties, struct party *party, enum party_good good, size_t amount);
/* True if party_take would not find it over its limit. */
bool party_has_room(struct parties *parties, const struct party_key *key, enum party_good good, size_t amount, size_t max);

VISIBILITY_POP

#endif
