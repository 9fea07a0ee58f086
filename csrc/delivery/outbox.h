/* What is still to be written to one peer: references to shared bytes, in order, counted. Exists only while there is something. */
#ifndef MOONWIRE_DELIVERY_OUTBOX_H
#define MOONWIRE_DELIVERY_OUTBOX_H

#include "hub/message.h"

VISIBILITY_PUSH

struct outbox_slice {
  struct blob *blob;       /* a reference */
  struct message *message; /* a reference to what it is all of; NULL: it is no message of a channel, and never let go */
  uint32_t at, len;
  uint32_t pushed_ms; /* the low bits of the time */
};

struct outbox {
  struct outbox_slice *slices; /* a ring, its capacity a power of two */
  uint32_t capacity, first, count;
  size_t bytes;
  size_t message_bytes; /* those of them that can be let go */
  uint32_t message_count;
  size_t writing;    /* bytes that a stream_write has taken; they stay until it is over */
  size_t seen_bytes; /* what of that was unsent when progress was last looked at */
};

/* What a slice costs besides its bytes: of a message, whose bytes are shared, and of what is there for this peer alone. */
enum { OUTBOX_PLACE = 40, OUTBOX_OWN = 112 };

struct outbox *outbox_new(void);         /* NULL without memory */
void outbox_free(struct outbox *outbox); /* NULL is allowed */
/* Appends a part of a blob, keeping a reference of its own; likewise of the message, which may be NULL. 0 or MW_ENOMEM. */
int outbox_push(struct outbox *outbox, struct blob *blob, struct bytes part, struct message *message, uint64_t now_ms);
/* The first slices, up to `max`; returns how many. */
size_t outbox_peek(const struct outbox *outbox, struct bytes *slices, size_t max);
/* Drops the first `len` bytes. */
void outbox_consume(struct outbox *outbox, size_t len);
/* What is held for the messages that can be let go, and for all else. NULL is allowed. */
size_t outbox_messages_size(const struct outbox *outbox);
size_t outbox_own_size(const struct outbox *outbox);
/* How long the oldest message waits; 0 if there is none. */
uint64_t outbox_age_ms(const struct outbox *outbox, uint64_t now_ms);
/* Lets all messages go that no stream_write has taken, and hands each, in order, to `on_let_go`. */
void outbox_let_go(struct outbox *outbox, void (*on_let_go)(void *context, struct message *message), void *context);
/* Drops all that no stream_write has taken. */
void outbox_drop(struct outbox *outbox);

VISIBILITY_POP

#endif
