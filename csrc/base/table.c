#include "base/table.h"

#include <assert.h>

#include "base/memory.h"
#include "base/status.h"

enum { CAPACITY_MIN = 8 };

void table_init(struct table *table) {
  *table = (struct table){0};
  random_fill(table->seed, sizeof(table->seed));
}

void table_deinit(struct table *table) {
  memory_free(table->slots);
  table->slots = NULL;
  table->capacity = table->count = 0;
}

/* Returns the slot of the key, or the free slot where the search ends. The load factor leaves one
 * free. */
static struct table_slot *find_slot(const struct table *table, struct bytes key, uint64_t hash) {
  size_t mask = table->capacity - 1;
  for (size_t i = (size_t)hash & mask;; i = (i + 1) & mask) {
    struct table_slot *slot = &table->slots[i];
    if (!slot->key.ptr || (slot->hash == hash && bytes_equal(slot->key, key))) return slot;
  }
}

void *table_get(const struct table *table, struct bytes key) {
  if (table->count == 0) return NULL;
  return find_slot(table, key, hash_bytes(table->seed, key))->value;
}

static int resize(struct table *table, size_t capacity) {
  struct table_slot *slots = memory_calloc(capacity, sizeof(*slots));
  if (!slots) return MW_ENOMEM;
  struct table old = *table;
  table->slots = slots;
  table->capacity = capacity;
  for (size_t i = 0; i < old.capacity; i++) {
    if (old.slots[i].key.ptr) *find_slot(table, old.slots[i].key, old.slots[i].hash) = old.slots[i];
  }
  memory_free(old.slots);
  return 0;
}

int table_set(struct table *table, struct bytes key, void *value) {
  assert(value);
  uint64_t hash = hash_bytes(table->seed, key);
  struct table_slot *slot = table->capacity > 0 ? find_slot(table, key, hash) : NULL;
  if (!slot || (!slot->key.ptr && table->count + 1 > table->capacity / 4 * 3)) {
    int status = resize(table, table->capacity > 0 ? table->capacity * 2 : CAPACITY_MIN);
    if (status) return status;
    slot = find_slot(table, key, hash);
  }
  if (!slot->key.ptr) table->count++;
  *slot = (struct table_slot){.key = bytes_of(key.ptr ? key.ptr : "", key.len), .value = value, .hash = hash};
  return 0;
}

/* Frees a slot, and moves back the entries after it that a search could no longer reach. So there
 * are no tombstones. */
static void free_slot(struct table *table, struct table_slot *slot) {
  size_t mask = table->capacity - 1;
  size_t hole = (size_t)(slot - table->slots);
  for (size_t i = (hole + 1) & mask; table->slots[i].key.ptr; i = (i + 1) & mask) {
    size_t home = (size_t)table->slots[i].hash & mask;
    if (((i - home) & mask) < ((i - hole) & mask)) continue; /* its search begins after the hole */
    table->slots[hole] = table->slots[i];
    hole = i;
  }
  table->slots[hole] = (struct table_slot){0};
  table->count--;
}

void *table_remove(struct table *table, struct bytes key) {
  if (table->count == 0) return NULL;
  struct table_slot *slot = find_slot(table, key, hash_bytes(table->seed, key));
  void *value = slot->value;
  if (!value) return NULL;
  free_slot(table, slot);
  /* A table that has become small shrinks. If out of memory, it stays large, which is not an
   * error. */
  if (table->capacity > CAPACITY_MIN && table->count < table->capacity / 8) (void)resize(table, table->capacity / 2);
  return value;
}

void *table_next(const struct table *table, size_t *cursor) {
  while (*cursor < table->capacity) {
    const struct table_slot *slot = &table->slots[(*cursor)++];
    if (slot->key.ptr) return slot->value;
  }
  return NULL;
}

static uint64_t rotate(uint64_t x, int bits) { return x << bits | x >> (64 - bits); }

static void sip_round(uint64_t v[4]) {
  v[0] += v[1];
  v[2] += v[3];
  v[1] = rotate(v[1], 13) ^ v[0];
  v[3] = rotate(v[3], 16) ^ v[2];
  v[0] = rotate(v[0], 32);
  v[2] += v[1];
  v[0] += v[3];
  v[1] = rotate(v[1], 17) ^ v[2];
  v[3] = rotate(v[3], 21) ^ v[0];
  v[2] = rotate(v[2], 32);
}

/* Reads up to eight bytes as a little-endian number. */
static uint64_t read_word(const char *ptr, size_t len) {
  uint64_t word = 0;
  for (size_t i = 0; i < len; i++) word |= (uint64_t)(unsigned char)ptr[i] << (8 * i);
  return word;
}

static void sip_word(uint64_t v[4], uint64_t word) {
  v[3] ^= word;
  sip_round(v);
  v[0] ^= word;
}

uint64_t hash_bytes(const uint64_t seed[2], struct bytes bytes) {
  /* The initial state is "somepseudorandomlygeneratedbytes". */
  uint64_t v[4] = {
      seed[0] ^ UINT64_C(0x736f6d6570736575),
      seed[1] ^ UINT64_C(0x646f72616e646f6d),
      seed[0] ^ UINT64_C(0x6c7967656e657261),
      seed[1] ^ UINT64_C(0x7465646279746573),
  };
  size_t whole = bytes.len / 8 * 8;
  for (size_t i = 0; i < whole; i += 8) sip_word(v, read_word(bytes.ptr + i, 8));
  uint64_t last = bytes.len > whole ? read_word(bytes.ptr + whole, bytes.len - whole) : 0;
  sip_word(v, last | (uint64_t)bytes.len << 56);
  v[2] ^= 0xff;
  for (int i = 0; i < 3; i++) sip_round(v);
  return v[0] ^ v[1] ^ v[2] ^ v[3];
}
