/* A published message: immutable once it is on the bus, refcounted, shared by all workers. */
#ifndef MOONWIRE_HUB_MESSAGE_H
#define MOONWIRE_HUB_MESSAGE_H

#include "base/blob.h"

VISIBILITY_PUSH

/* Room for encoded forms; what each place means is the server's affair (server/wire.h). */
enum { MESSAGE_WIRES = 4 };

struct message {
  atomic_uint refs;
  uint32_t kind;
  uint64_t position; /* 0: volatile, has no id */
  uint64_t time_ms;  /* when it was published, by the monotonic clock */
  struct bytes channel, event, data;
  _Atomic(struct blob *) wires[MESSAGE_WIRES]; /* NULL until encoded */
  char text[];
};

/* One reference, owned by the caller; copies the texts. NULL without memory. */
struct message *message_new(uint32_t kind, struct bytes channel, struct bytes event, struct bytes data);
struct message *message_ref(struct message *message);
void message_unref(struct message *message); /* NULL is allowed */
/* What it weighs in a queue or a ring, roughly. */
size_t message_size(const struct message *message);

/* The encoded form of that place, or NULL. */
static inline struct blob *message_wire(struct message *message, unsigned wire) {
  return atomic_load_explicit(&message->wires[wire], memory_order_acquire);
}
/* Gives it an encoded form; takes the reference. Of two that come at once the first stays: returns the one that counts. */
struct blob *message_set_wire(struct message *message, unsigned wire, struct blob *blob);

VISIBILITY_POP

#endif
