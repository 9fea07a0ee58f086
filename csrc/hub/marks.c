#include "hub/marks.h"

#include <assert.h>

#include "base/array.h"
#include "base/memory.h"

enum { CHUNK = 256, KIND_BITS = 9 };
#define NONE UINT32_MAX

/* Entry i is also the head of bucket i: there are as many buckets as entries. Adding an entry
 * splits one bucket (linear hashing), so the table never moves as a whole. */
struct entry {
  uint64_t hash;
  uint64_t facts;        /* position << 10 | kind << 1 | is_final */
  uint32_t head;         /* of the bucket with the index of this entry */
  uint32_t next;         /* in the bucket of this entry */
  uint32_t older, newer; /* of the same kind */
};

struct marks_chunk {
  struct entry entries[CHUNK];
};

static_assert(sizeof(struct entry) == 32, "the size of a mark, as hub/marks.h and the documents give it");
static_assert(MARKS_KINDS == 1 << KIND_BITS, "kinds fill their bits");

void marks_set_max(struct marks *marks, size_t max) { marks->max = max < NONE ? (uint32_t)max : NONE - 1; }

void marks_init(struct marks *marks, size_t max, uint64_t floor) {
  *marks = (struct marks){.max = 0};
  marks_set_max(marks, max);
  for (size_t i = 0; i < MARKS_KINDS; i++) marks->kinds[i] = (struct marks_kind){.floor = floor, .oldest = NONE, .newest = NONE};
  random_fill(marks->seed, sizeof marks->seed);
}

void marks_deinit(struct marks *marks) {
  for (uint32_t i = 0; i < marks->chunk_count; i++) memory_free(marks->chunks[i]);
  memory_free(marks->chunks);
  marks->chunks = NULL;
  marks->count = marks->chunk_count = marks->chunk_capacity = 0;
}

static struct entry *entry_at(const struct marks *marks, uint32_t index) {
  return &marks->chunks[index / CHUNK]->entries[index % CHUNK];
}

static uint32_t kind_index(uint32_t kind) { return kind < MARKS_KINDS ? kind : MARKS_KINDS - 1; }
static struct marks_kind *kind_of(struct marks *marks, const struct entry *entry) {
  return &marks->kinds[entry->facts >> 1 & (MARKS_KINDS - 1)];
}
static uint64_t marks_position_of(const struct entry *entry) { return entry->facts >> (KIND_BITS + 1); }

static void raise_floor(struct marks_kind *kind, uint64_t position) {
  if (position > kind->floor) kind->floor = position;
}

/* ---- Buckets --------------------------------------------------------------------------------- */

/* Returns the bucket of a hash. There must be an entry. */
static uint32_t bucket_of(const struct marks *marks, uint64_t hash) {
  uint64_t bucket = hash & (2 * (uint64_t)marks->power - 1);
  return (uint32_t)(bucket < marks->count ? bucket : hash & (marks->power - 1));
}

static void link_entry(struct marks *marks, uint32_t index, uint32_t bucket) {
  struct entry *head = entry_at(marks, bucket);
  entry_at(marks, index)->next = head->head;
  head->head = index;
}

static void unlink_entry(struct marks *marks, uint32_t index) {
  struct entry *entry = entry_at(marks, index);
  uint32_t *at = &entry_at(marks, bucket_of(marks, entry->hash))->head;
  while (*at != index) at = &entry_at(marks, *at)->next;
  *at = entry->next;
}

static uint32_t marks_find(const struct marks *marks, uint64_t hash) {
  uint32_t index = marks->count > 0 ? entry_at(marks, bucket_of(marks, hash))->head : NONE;
  while (index != NONE && entry_at(marks, index)->hash != hash) index = entry_at(marks, index)->next;
  return index;
}

/* Adds a bucket, and moves its entries from the bucket that had them. */
static void marks_split(struct marks *marks) {
  uint32_t added = marks->count++;
  entry_at(marks, added)->head = NONE;
  if (added == 0) marks->power = 1;
  if (added == 0) return;
  struct entry *halved = entry_at(marks, added - marks->power);
  if (marks->count == 2 * marks->power) marks->power = marks->count;
  uint32_t index = halved->head;
  halved->head = NONE;
  while (index != NONE) {
    uint32_t next = entry_at(marks, index)->next;
    link_entry(marks, index, bucket_of(marks, entry_at(marks, index)->hash));
    index = next;
  }
}

/* ---- Order ----------------------------------------------------------------------------------- */

static void marks_take_out(struct marks *marks, uint32_t index) {
  struct entry *entry = entry_at(marks, index);
  struct marks_kind *kind = kind_of(marks, entry);
  *(entry->older == NONE ? &kind->oldest : &entry_at(marks, entry->older)->newer) = entry->newer;
  *(entry->newer == NONE ? &kind->newest : &entry_at(marks, entry->newer)->older) = entry->older;
  kind->count--;
}

static void put_last(struct marks *marks, uint32_t index, uint64_t facts) {
  struct entry *entry = entry_at(marks, index);
  entry->facts = facts;
  struct marks_kind *kind = kind_of(marks, entry);
  entry->older = kind->newest;
  entry->newer = NONE;
  *(kind->newest == NONE ? &kind->oldest : &entry_at(marks, kind->newest)->newer) = index;
  kind->newest = index;
  kind->count++;
}

/* Drops the oldest mark of the kind with the most marks, or of `kind` if none has more. There must
 * be a mark. */
static uint32_t drop_oldest(struct marks *marks, uint32_t kind) {
  struct marks_kind *most = &marks->kinds[kind];
  for (uint32_t i = 0; i < marks->kind_count; i++) {
    if (marks->kinds[i].count > most->count) most = &marks->kinds[i];
  }
  uint32_t index = most->oldest;
  raise_floor(most, marks_position_of(entry_at(marks, index)));
  marks_take_out(marks, index);
  unlink_entry(marks, index);
  marks->dropped++;
  return index;
}

/* ---- Marks ----------------------------------------------------------------------------------- */

static bool make_room(struct marks *marks) {
  if (marks->count < marks->chunk_count * CHUNK) return true;
  struct marks_chunk **grown =
      array_reserve(marks->chunks, sizeof *grown, &marks->chunk_capacity, (size_t)marks->chunk_count + 1, UINT32_MAX);
  if (!grown) return false;
  marks->chunks = grown;
  struct marks_chunk *chunk = memory_alloc(sizeof *chunk);
  if (!chunk) return false;
  marks->chunks[marks->chunk_count++] = chunk;
  return true;
}

/* Returns an entry that is in no bucket and no list, or NONE if out of memory. */
static uint32_t take_entry(struct marks *marks, uint32_t kind) {
  if (marks->count < marks->max && make_room(marks)) {
    marks_split(marks);
    return marks->count - 1;
  }
  return marks->count > 0 ? drop_oldest(marks, kind) : NONE;
}

void marks_put(struct marks *marks, struct bytes name, uint32_t kind, uint64_t position, bool is_final) {
  assert(position > 0 && position < UINT64_C(1) << (63 - KIND_BITS));
  uint64_t hash = hash_bytes(marks->seed, name);
  uint32_t index = marks_find(marks, hash);
  kind = kind_index(kind);
  if (index != NONE) {
    if (marks_position_of(entry_at(marks, index)) >= position) return;
    marks_take_out(marks, index);
  } else {
    index = take_entry(marks, kind);
    if (index == NONE) {
      raise_floor(&marks->kinds[kind], position);
      marks->dropped++;
      return;
    }
    entry_at(marks, index)->hash = hash;
    link_entry(marks, index, bucket_of(marks, hash));
  }
  put_last(marks, index, position << (KIND_BITS + 1) | (uint64_t)kind << 1 | is_final);
  if (kind >= marks->kind_count) marks->kind_count = kind + 1;
}

struct mark marks_get(const struct marks *marks, struct bytes name, uint32_t kind) {
  uint32_t index = marks_find(marks, hash_bytes(marks->seed, name));
  if (index == NONE) return (struct mark){.position = marks_floor(marks, kind), .is_floor = true};
  const struct entry *entry = entry_at(marks, index);
  return (struct mark){.position = marks_position_of(entry), .is_final = entry->facts & 1};
}

uint64_t marks_floor(const struct marks *marks, uint32_t kind) { return marks->kinds[kind_index(kind)].floor; }
