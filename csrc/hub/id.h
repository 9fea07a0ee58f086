/* Ids of messages: "<epoch>-<position>". Clients treat them as opaque. */
#ifndef MOONWIRE_HUB_ID_H
#define MOONWIRE_HUB_ID_H

#include "base/bytes.h"

VISIBILITY_PUSH

enum {
  EPOCH_LEN = 8,
  POSITION_DIGITS = 16, /* a fixed width, so that a message can be encoded before its position is known */
  ID_LEN = EPOCH_LEN + 1 + POSITION_DIGITS
};

/* One life of the history, told from all others by chance. */
struct epoch {
  char text[EPOCH_LEN];
};

void epoch_init(struct epoch *epoch);
/* Writes ID_LEN bytes. */
void id_write(char *out, const struct epoch *epoch, uint64_t position);
/* Writes POSITION_DIGITS bytes over the digits of an id. */
void id_write_position(char *out, uint64_t position);

/* What a client says it has seen. */
enum since_kind {
  SINCE_NONE,     /* nothing was said: a newcomer */
  SINCE_ALL,      /* "0": everything that is kept, and that is no gap */
  SINCE_POSITION, /* everything up to a position of this epoch */
  SINCE_FOREIGN   /* of another epoch, of the future, or rubbish: whatever came since is not known */
};

struct since {
  enum since_kind kind;
  uint64_t position;
};

/* Reads an id as clients send it back; an empty one is SINCE_NONE. Whether the position lies in the future the caller must see. */
struct since since_parse(struct bytes text, const struct epoch *epoch);

VISIBILITY_POP

#endif
