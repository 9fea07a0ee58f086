/* The outbox of a subscriber and its sink (subscriber.h). */
#include "delivery/subscriber.h"

void subscriber_append(struct subscriber *subscriber, struct blob *blob, struct bytes part, struct message *message) {
  subscriber_mark(subscriber);
  if (subscriber->flags & SUBSCRIBER_BROKEN) return;
  uint64_t now_ms = subscriber->sink->delivery->clock->now_ms;
  if (!subscriber->outbox) subscriber->outbox = outbox_new();
  bool fine = subscriber->outbox && outbox_push(subscriber->outbox, blob, part, message, now_ms) == 0;
  if (!fine) subscriber->flags |= SUBSCRIBER_BROKEN;
}

/* The sink took only a part: it must hold the rest, or call subscriber_ready later. */
static void hold_rest(struct subscriber *subscriber) {
  struct outbox *outbox = subscriber->outbox;
  struct bytes slices[SINK_SLICES_MAX];
  size_t count = outbox_peek(outbox, slices, SINK_SLICES_MAX);
  for (size_t i = 0; i < count; i++) outbox->writing += slices[i].len;
  int status = subscriber->sink->ops->hold(subscriber, slices, count);
  if (status == 0) return;
  outbox->writing = 0;
  subscriber->flags |= status == HOLD_LATER ? SUBSCRIBER_BLOCKED : SUBSCRIBER_BROKEN;
}

void subscriber_offer(struct subscriber *subscriber) {
  struct outbox *outbox = subscriber->outbox;
  struct bytes slices[SINK_SLICES_MAX];
  if (!outbox || subscriber_waits(subscriber)) return;
  while (outbox->count > 0) {
    size_t count = outbox_peek(outbox, slices, SINK_SLICES_MAX), offered = 0;
    for (size_t i = 0; i < count; i++) offered += slices[i].len;
    ptrdiff_t written = subscriber->sink->ops->write(subscriber, slices, count);
    if (written < 0) {
      subscriber->flags |= SUBSCRIBER_BROKEN;
      return;
    }
    subscriber->sink->delivery->written += (size_t)written;
    outbox_consume(outbox, (size_t)written);
    if ((size_t)written < offered) {
      hold_rest(subscriber);
      return;
    }
  }
  outbox_free(outbox);
  subscriber->outbox = NULL;
  subscriber->sink->ops->drained(subscriber);
}

void subscriber_written(struct subscriber *subscriber, int status) {
  size_t written = subscriber->outbox->writing;
  subscriber->outbox->writing = 0;
  if (status < 0) {
    subscriber_break(subscriber);
    return;
  }
  outbox_consume(subscriber->outbox, written);
  subscriber_mark(subscriber);
}

void subscriber_ready(struct subscriber *subscriber) {
  subscriber->flags &= (uint16_t)~SUBSCRIBER_BLOCKED;
  subscriber_mark(subscriber);
}
