/* Ids of messages: "<epoch>-<position>". Clients treat them as opaque.
 *
 * Positions are one increasing sequence for all channels. A position is at least the milliseconds
 * since 1970 times 2048, so it also tells when its message was published, and a sequence that is
 * continued after a restart goes on above what it was. */
#ifndef MOONWIRE_HUB_ID_H
#define MOONWIRE_HUB_ID_H

#include "base/bytes.h"

VISIBILITY_PUSH

enum {
  EPOCH_LEN = 8,
  /* a fixed width, so that a message can be encoded before its position is known */
  POSITION_DIGITS = 16,
  ID_LEN = EPOCH_LEN + 1 + POSITION_DIGITS
};

/* The highest position that has POSITION_DIGITS digits. */
#define POSITION_MAX UINT64_C(9999999999999999)

/* One life of the history. A random number tells it from all others. */
struct epoch {
  char text[EPOCH_LEN];
};

/* Draws a new epoch. */
void epoch_init(struct epoch *epoch);
/* Continues an epoch that epoch_init drew earlier. Returns false if the text cannot be one. */
bool epoch_read(struct epoch *epoch, struct bytes text);

/* Returns the position after `last` at that time, in milliseconds since 1970. Always above `last`,
 * also if the clock was set back. From the year 2124 on, where the digits end, it counts up by
 * one. */
uint64_t position_next(uint64_t last, uint64_t wall_ms);
/* Returns when a message with that position was published, in milliseconds since 1970. */
static inline uint64_t position_time_ms(uint64_t position) { return position >> 11; }

/* Writes ID_LEN bytes. */
void id_write(char *out, const struct epoch *epoch, uint64_t position);
/* Writes POSITION_DIGITS bytes over the digits of an id. */
void id_write_position(char *out, uint64_t position);

/* The cursor of a client. */
enum since_kind {
  SINCE_NONE,     /* none: a new subscriber */
  SINCE_ALL,      /* "0": all that is kept, without a gap */
  SINCE_POSITION, /* up to a position of this epoch */
  /* another epoch, a future position, or not an id: the missed messages are unknown, unless
   * since_judge finds otherwise */
  SINCE_FOREIGN
};

struct since {
  enum since_kind kind;
  struct epoch epoch; /* of the position; all zero: it was not an id */
  uint64_t position;
};

/* Reads an id of a client; an empty one is SINCE_NONE. The position is judged when it is used. */
struct since since_parse(struct bytes text, const struct epoch *epoch);
/* Returns the cursor of a position. */
struct since since_at(const struct epoch *epoch, uint64_t position);
/* Judges an id again, because an epoch may have begun in the meantime: one of another epoch, or above
 * the newest position, is SINCE_FOREIGN, because it was never assigned here, and any other is a
 * SINCE_POSITION. */
void since_judge(struct since *since, const struct epoch *epoch, uint64_t newest);

VISIBILITY_POP

#endif
