#include "delivery/collect.h"

ptrdiff_t collect_no_write(struct subscriber *subscriber, const struct bytes *slices, size_t count) {
  (void)subscriber;
  (void)slices;
  (void)count;
  return MW_ECLOSED;
}

int collect_no_hold(struct subscriber *subscriber, const struct bytes *slices, size_t count) {
  (void)subscriber;
  (void)slices;
  (void)count;
  return MW_ECLOSED;
}

void collect_no_drained(struct subscriber *subscriber) { (void)subscriber; }

void collect_no_event(struct subscriber *subscriber, enum event_type type, struct bytes channel, struct bytes id) {
  (void)subscriber;
  (void)type;
  (void)channel;
  (void)id;
}

void collect_no_slow(struct subscriber *subscriber, const struct channel *channel) {
  (void)subscriber;
  (void)channel;
}

void collect_no_finish(struct subscriber *subscriber) { (void)subscriber; }

struct bytes collect_no_identity(const struct subscriber *subscriber) {
  (void)subscriber;
  return bytes_of(NULL, 0);
}

size_t collect_no_limit(const struct subscriber *subscriber) {
  (void)subscriber;
  return SIZE_MAX;
}

/* A message is never lost silently. */
void collect_nothing(struct subscriber *subscriber, struct message *message) {
  (void)message;
  subscriber_break(subscriber);
}

void collect_no_push(struct subscriber *subscriber, struct blob *blob, struct bytes part) {
  (void)blob;
  (void)part;
  subscriber_break(subscriber);
}

size_t collect_none(const struct subscriber *subscriber) {
  (void)subscriber;
  return 0;
}
