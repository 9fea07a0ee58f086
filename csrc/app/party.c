#include "app/party.h"

#include "base/memory.h"
#include "codec/proxy/address.h"

const char polls_refusal[] = "too many poll clients of this address, or channels of theirs: limits.address_polls";

struct party {
  size_t held[PARTY_GOODS];
  struct bytes key;
  char text[];
};

/* ---- Keys ------------------------------------------------------------------------------------ */

static struct party_key make_key(char kind, const void *bytes, size_t len) {
  struct party_key key = {.len = 1 + len};
  if (key.len > PARTY_KEY_MAX) key.len = PARTY_KEY_MAX;
  key.text[0] = kind;
  memcpy(key.text + 1, bytes, key.len - 1);
  return key;
}

static struct party_key key_of_ip(const unsigned char bytes[16]) {
  static const unsigned char mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}, loopback[16] = {[15] = 1};
  struct party_key nobody = {.len = 0};
  if (memcmp(bytes, loopback, sizeof loopback) == 0) return nobody;
  if (memcmp(bytes, mapped, sizeof mapped) == 0) return bytes[12] == 127 ? nobody : make_key('4', bytes + 12, 4);
  /* All hosts of a link have the same prefix there. */
  bool is_link_local = bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0x80;
  return make_key('6', bytes, is_link_local ? 16 : 8);
}

struct party_key party_key_of_address(const char *remote) {
  struct ip_address address;
  return ip_read(bytes_string(remote), &address) ? key_of_ip(address.bytes) : (struct party_key){.len = 0};
}

struct party_key party_key_of_client(const struct mw_client *client) {
  if (!client) return (struct party_key){.len = 0};
  struct bytes name = client_user_id(client);
  return make_key(client->user_id ? 'u' : 'c', name.ptr, name.len);
}

/* ---- Parties --------------------------------------------------------------------------------- */

int parties_init(struct parties *parties) {
  table_init(&parties->by_key);
  return lock_init(&parties->lock);
}

void parties_deinit(struct parties *parties) {
  table_deinit(&parties->by_key);
  lock_deinit(&parties->lock);
}

size_t parties_count(struct parties *parties) {
  lock_take(&parties->lock);
  size_t count = parties->by_key.count;
  lock_release(&parties->lock);
  return count;
}

static struct party *party_find(struct parties *parties, const struct party_key *key) {
  return table_get(&parties->by_key, bytes_of(key->text, key->len));
}

/* Returns a party that holds nothing yet, or NULL if out of memory. */
static struct party *party_make(struct parties *parties, const struct party_key *key) {
  struct party *party = memory_calloc(1, sizeof *party + key->len);
  if (!party) return NULL;
  memcpy(party->text, key->text, key->len);
  party->key = bytes_of(party->text, key->len);
  if (table_set(&parties->by_key, party->key, party) == 0) return party;
  memory_free(party);
  return NULL;
}

static bool is_within(size_t held, size_t amount, size_t max) { return amount <= max && held <= max - amount; }

int party_take(struct parties *parties, const struct party_key *key, enum party_good good, size_t amount, size_t max,
               struct party **party) {
  int status = 0;
  *party = NULL;
  if (key->len == 0 || max == 0 || amount == 0) return 0;
  lock_take(&parties->lock);
  struct party *found = party_find(parties, key);
  if (!is_within(found ? found->held[good] : 0, amount, max)) {
    status = MW_ELIMIT;
  } else {
    if (!found) found = party_make(parties, key);
    if (found) found->held[good] += amount;
    if (!found) status = MW_ENOMEM;
    *party = found;
  }
  lock_release(&parties->lock);
  return status;
}

void party_release(struct parties *parties, struct party *party, enum party_good good, size_t amount) {
  if (!party) return;
  size_t left = 0;
  lock_take(&parties->lock);
  party->held[good] -= amount;
  for (size_t i = 0; i < PARTY_GOODS; i++) left += party->held[i];
  if (left == 0) table_remove(&parties->by_key, party->key);
  lock_release(&parties->lock);
  if (left == 0) memory_free(party);
}

bool party_has_room(struct parties *parties, const struct party_key *key, enum party_good good, size_t amount, size_t max) {
  if (key->len == 0 || max == 0) return true;
  lock_take(&parties->lock);
  const struct party *party = party_find(parties, key);
  bool has_room = is_within(party ? party->held[good] : 0, amount, max);
  lock_release(&parties->lock);
  return has_room;
}
