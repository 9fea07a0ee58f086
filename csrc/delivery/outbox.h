/* Unsent data of one subscriber: references to shared bytes, in order. Exists only while something
 * is unsent. */
#ifndef MOONWIRE_DELIVERY_OUTBOX_H
#define MOONWIRE_DELIVERY_OUTBOX_H

#include "hub/message.h"

VISIBILITY_PUSH

struct outbox_slice {
  struct blob *blob; /* a reference */
  /* a reference to the message that the slice is all of; NULL: the slice is never dropped */
  struct message *message;
  uint32_t at, len;
  uint32_t pushed_ms; /* the low bits of the time */
  bool continues;     /* the next slice is more of the same */
};

struct outbox {
  struct outbox_slice *slices; /* a ring, its capacity a power of two */
  uint32_t capacity, first, count;
  size_t bytes;
  size_t message_bytes; /* of slices that can be dropped */
  uint32_t message_count;
  bool is_begun;     /* part of the first slice, or what it continues, is written */
  size_t writing;    /* bytes that the sink holds; they stay until it has written them */
  size_t seen_bytes; /* for the sink: how much of that was unsent when it last checked progress */
};

/* The weight of a slice besides its bytes: of a message, whose bytes are shared, and of data
 * for this peer alone. */
enum { OUTBOX_PLACE = 40, OUTBOX_OWN = 112 };

struct outbox *outbox_new(void);         /* NULL if out of memory */
void outbox_free(struct outbox *outbox); /* NULL is allowed */
/* Appends a part of a blob, keeping a reference to it and to the message, which may be NULL. 0 or
 * MW_ENOMEM. */
int outbox_push(struct outbox *outbox, struct blob *blob, struct bytes part, struct message *message, uint64_t now_ms);
/* The next slice that is pushed continues the last one: when one was begun, the other is not
 * dropped. */
void outbox_continue(struct outbox *outbox);
/* The first slices, up to `max`; returns how many. */
size_t outbox_peek(const struct outbox *outbox, struct bytes *slices, size_t max);
/* Drops the first `len` bytes. */
void outbox_consume(struct outbox *outbox, size_t len);
/* Return the weight of the messages that can be dropped, and of everything else. NULL is
 * allowed. */
size_t outbox_messages_size(const struct outbox *outbox);
size_t outbox_own_size(const struct outbox *outbox);
/* Returns how long the oldest message has waited; 0 if there is none. */
uint64_t outbox_age_ms(const struct outbox *outbox, uint64_t now_ms);
/* Drops the messages that the sink does not hold and has not begun, and hands each, in order, to
 * `on_drop`. */
void outbox_drop_messages(struct outbox *outbox, void (*on_drop)(void *context, struct message *message), void *context);
/* Drops everything that the sink does not hold and has not begun. */
void outbox_drop_all(struct outbox *outbox);

VISIBILITY_POP

#endif
