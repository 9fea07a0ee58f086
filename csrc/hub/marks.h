/* Marks of channels that the hub has forgotten: up to which position each one's messages are gone.
 *
 * A client whose cursor is at or after the mark of a channel has missed nothing there. A channel without a mark was never published to, or
 * its mark was dropped: marks are bounded, and beyond the bound the kind with the most marks drops its oldest. Each kind has a floor,
 * the highest position that it has dropped, which stands in for every mark that is not there. So a kind that names many channels
 * drops its own marks before those of the others.
 *
 * Names are not kept, but 64 bits of their keyed hash. Two names with the same hash share a mark, which is the higher of the two: their
 * clients may be told of a gap that is none, and are never left without one. Where there are a million marks, one in 2^44 names is taken
 * for another, and nobody outside can choose such names, because the key of the hash is random. */
#ifndef MOONWIRE_HUB_MARKS_H
#define MOONWIRE_HUB_MARKS_H

#include "base/table.h"

VISIBILITY_PUSH

/* Kinds with a list and a floor of their own. All from the last one on share these, which is safe: it only raises their floor. */
enum { MARKS_KINDS = 512 };

struct marks_chunk;

/* Marks of one kind in the order in which they were set; the oldest is dropped first. */
struct marks_kind {
  uint64_t floor;
  uint32_t oldest, newest, count;
};

struct marks {
  struct marks_chunk **chunks;
  uint32_t count, max;
  uint32_t power; /* the highest power of two up to count */
  uint32_t chunk_count, chunk_capacity;
  uint32_t kind_count; /* kinds that have had a mark */
  uint64_t seed[2];
  uint64_t dropped; /* so far: over the bound, or for lack of memory */
  struct marks_kind kinds[MARKS_KINDS];
};

/* What is known of a forgotten channel. */
struct mark {
  uint64_t position; /* of its last message; 0: nothing was published to it */
  bool is_final;     /* that message ended it */
  bool is_floor;     /* the mark is not there, and the position is the floor of the kind */
};

/* `max`: how many marks may be kept; they take 32 bytes each. `floor`: where the floor of every kind begins. */
void marks_init(struct marks *marks, size_t max, uint64_t floor);
void marks_deinit(struct marks *marks);
/* Sets the mark of a channel, unless it has a higher one. If out of memory, raises the floor of the kind. */
void marks_put(struct marks *marks, struct bytes name, uint32_t kind, uint64_t position, bool is_final);
struct mark marks_get(const struct marks *marks, struct bytes name, uint32_t kind);
/* The highest position of a mark of this kind that was dropped. */
uint64_t marks_floor(const struct marks *marks, uint32_t kind);

VISIBILITY_POP

#endif
