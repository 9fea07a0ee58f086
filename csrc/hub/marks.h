/* The marks of channels that the hub has freed: the position up to which the messages of each are
 * no longer kept.
 *
 * A client whose cursor is at or after the mark of a channel has missed nothing there. A channel
 * without a mark was never published to, or its mark was dropped. The number of marks is limited;
 * beyond it, the kind with the most marks drops its oldest. Each kind has a floor, the highest
 * position that it has dropped, which replaces every missing mark. So a kind with many channels
 * drops its own marks before those of the others.
 *
 * Instead of names, 64 bits of their keyed hashes are kept. Two names with the same hash share a
 * mark, the higher of the two: their clients may receive an unnecessary gap, and never miss a
 * necessary one. With a million marks, this happens to one in 2^44 names, and no client can choose
 * such names, because the key of the hash is random. */
#ifndef MOONWIRE_HUB_MARKS_H
#define MOONWIRE_HUB_MARKS_H

#include "base/table.h"

VISIBILITY_PUSH

/* Kinds with a list and a floor of their own. The last one is shared by all further kinds, which is
 * safe: it only raises their floor. */
enum { MARKS_KINDS = 512 };

struct marks_chunk;

/* Marks of one kind, in the order in which they were set. The oldest is dropped first. */
struct marks_kind {
  uint64_t floor;
  uint32_t oldest, newest, count;
};

struct marks {
  struct marks_chunk **chunks;
  uint32_t count, max;
  uint32_t power; /* the highest power of two up to count */
  uint32_t chunk_count, chunk_capacity;
  uint32_t kind_count; /* kinds that ever had a mark */
  uint64_t seed[2];
  uint64_t dropped; /* total: because of the limit, or a failed allocation */
  struct marks_kind kinds[MARKS_KINDS];
};

/* The state of a freed channel. */
struct mark {
  uint64_t position; /* of its last message; 0: nothing was published */
  bool is_final;     /* that message ended the channel */
  bool is_floor;     /* there is no mark, and the position is the floor of the kind */
};

/* Initializes marks. At most `max` are kept, of 32 bytes each. `floor` is the initial floor of
 * every kind. */
void marks_init(struct marks *marks, size_t max, uint64_t floor);
/* Replaces the maximum. Marks beyond it stay; no more are added. */
void marks_set_max(struct marks *marks, size_t max);
void marks_deinit(struct marks *marks);
/* Sets the mark of a channel, unless it has a higher one. If out of memory, raises the floor of the
 * kind. */
void marks_put(struct marks *marks, struct bytes name, uint32_t kind, uint64_t position, bool is_final);
struct mark marks_get(const struct marks *marks, struct bytes name, uint32_t kind);
/* Returns the highest position of the marks of this kind that were dropped. */
uint64_t marks_floor(const struct marks *marks, uint32_t kind);

VISIBILITY_POP

#endif
