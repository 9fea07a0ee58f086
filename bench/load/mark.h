/* The payload of a published message. It begins with a mark, by which a receiver knows which message
 * it is and when it was due, and it ends in a filler that shows every changed byte. All bytes are
 * safe in JSON, in event streams, and in URLs. */
#ifndef MOONWIRE_BENCH_LOAD_MARK_H
#define MOONWIRE_BENCH_LOAD_MARK_H

#include "base/buffer.h"

struct mark {
  uint32_t channel;
  uint32_t sequence; /* counts the messages of the channel */
  uint64_t due_ns;   /* when it was to be published, by now_ns() */
  size_t size;       /* bytes of the payload */
};

enum { MARK_SIZE_MIN = 48, MARK_SIZE_MAX = 1 << 20 };

/* Sets which run the marks of this process belong to, so that those of another are not counted. */
void mark_init(uint32_t run);
/* Appends mark->size bytes. */
void mark_write(struct buffer *out, const struct mark *mark);

enum mark_found {
  MARK_NONE,    /* there is no further mark in the text */
  MARK_INTACT,  /* *mark is set */
  MARK_ALTERED, /* a payload is incomplete, or a byte of it has changed */
  MARK_FOREIGN, /* of another run */
};
/* Finds the next payload in *text, and moves *text past it. */
enum mark_found mark_next(struct bytes *text, struct mark *mark);

#endif
