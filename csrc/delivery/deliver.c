/* From the hub to the subscriber: marks messages, or puts them into the outbox (subscriber.h). */
#include "base/rope.h"
#include "delivery/catchup.h"
#include "delivery/compress.h"
#include "delivery/subscriber.h"

/* Returns the message in the subscriber's form, as part of a blob that the caller owns. If out of
 * memory, ptr is NULL and the subscriber is broken. */
static struct bytes encode(struct subscriber *subscriber, struct message *message, struct blob **blob) {
  *blob = compress_message(subscriber, message);
  if (*blob) return form_slice(*blob, subscriber->sink->framing);
  subscriber_break(subscriber);
  return bytes_of(NULL, 0);
}

bool subscriber_is_excepted(const struct subscriber *subscriber, const struct message *message) {
  struct bytes except = message->parts.except;
  return except.len > 0 && bytes_equal(except, subscriber->sink->ops->identity(subscriber));
}

/* Appends everything after the first `skip` bytes, which are written. A part of a message is never
 * dropped, and neither is a message that later ones refer to. */
static void deliver_append(struct subscriber *subscriber, struct message *message, size_t skip) {
  struct blob *blob;
  struct bytes part = encode(subscriber, message, &blob);
  if (!part.ptr) return;
  bool is_whole = skip == 0 && !subscriber->sink->form->is_own;
  subscriber_append(subscriber, blob, bytes_of(part.ptr + skip, part.len - skip), is_whole ? message : NULL);
  if (skip > 0 && subscriber->outbox) subscriber->outbox->is_begun = true;
  blob_unref(blob);
}

void subscriber_replay(struct subscriber *subscriber, struct message *message) {
  if (!subscriber_is_excepted(subscriber, message)) deliver_append(subscriber, message, 0);
}

/* ---- Limits ---------------------------------------------------------------------------------- */

/* Returns true if this message would exceed the outbox limit, or if the oldest one has waited for
 * too long. */
static bool exceeds_policy(const struct subscriber *subscriber, const struct channel_policy *policy,
                           const struct message *message) {
  const struct outbox *outbox = subscriber->outbox;
  size_t waiting = subscriber->sink->form->is_own ? outbox_own_size(outbox) : outbox_messages_size(outbox);
  if (waiting == 0) return false;
  uint64_t now_ms = subscriber->sink->delivery->clock->now_ms;
  return waiting + message_len(message) > policy->outbox ||
         (policy->age_ms > 0 && outbox_age_ms(outbox, now_ms) > policy->age_ms);
}

/* ---- For this subscriber only ---------------------------------------------------------------- */

/* Returns true if `len` more bytes would exceed the limit on everything but the messages of
 * channels. */
static bool exceeds_limit(const struct subscriber *subscriber, size_t len) {
  size_t waiting = outbox_own_size(subscriber->outbox);
  return waiting > 0 && waiting + len > subscriber->sink->ops->limit(subscriber);
}

/* Writes before it checks the limit. Returns false if the subscriber is slow now. */
static bool make_room(struct subscriber *subscriber, size_t len) {
  subscriber_settle(subscriber, 0);
  if (exceeds_limit(subscriber, len)) subscriber_offer(subscriber);
  if (!exceeds_limit(subscriber, len)) return true;
  subscriber->flags |= SUBSCRIBER_SLOW;
  subscriber_mark(subscriber);
  return false;
}

void subscriber_push(struct subscriber *subscriber, struct blob *blob, struct bytes part) {
  if (subscriber->flags & SUBSCRIBER_COLLECTS) {
    subscriber->sink->ops->collect_push(subscriber, blob, part);
    return;
  }
  if (make_room(subscriber, part.len)) subscriber_append(subscriber, blob, part, NULL);
}

void subscriber_push_rope(struct subscriber *subscriber, const struct rope *rope) {
  if (rope->text.failed) {
    subscriber_break(subscriber);
    return;
  }
  if (subscriber->flags & SUBSCRIBER_COLLECTS) {
    struct blob *blob = rope_flatten(rope);
    if (blob) subscriber_push(subscriber, blob, blob_bytes(blob));
    if (!blob) subscriber_break(subscriber);
    blob_unref(blob);
    return;
  }
  if (!make_room(subscriber, rope_len(rope))) return;
  struct blob *own = blob_new(buffer_bytes(&rope->text));
  struct rope_walk walk = {0};
  struct rope_part part;
  if (!own) subscriber_break(subscriber);
  for (bool is_first = true; own && rope_next(rope, own, &walk, &part); is_first = false) {
    if (!is_first && subscriber->outbox) outbox_continue(subscriber->outbox);
    subscriber_append(subscriber, part.blob, part.bytes, NULL);
  }
  blob_unref(own);
}

/* ---- Delivering ------------------------------------------------------------------------------ */

static void push_own(struct subscriber *subscriber, struct message *message) {
  struct blob *blob;
  struct bytes part = encode(subscriber, message, &blob);
  if (!part.ptr) return;
  subscriber_push(subscriber, blob, part);
  blob_unref(blob);
}

static void push_message(struct subscriber *subscriber, struct subscription *subscription, struct message *message, size_t skip) {
  const struct channel_policy *policy = subscription->channel->policy;
  if (message->parts.type == MESSAGE_PRESENCE && skip == 0) {
    push_own(subscriber, message);
    return;
  }
  if (skip == 0 && exceeds_policy(subscriber, policy, message)) subscriber_offer(subscriber);
  if (skip == 0 && exceeds_policy(subscriber, policy, message)) {
    catchup_stall(subscriber, subscription, message);
  } else {
    deliver_append(subscriber, message, skip);
  }
}

static bool is_taken(struct subscriber *subscriber, struct subscription *subscription, struct message *message) {
  return subscriber->flags & SUBSCRIBER_BEHIND && catchup_take(subscriber, subscription, message);
}

/* Settles messages of a turn list. The first *skip bytes are written, and are counted down. */
static void settle_range(struct subscriber *subscriber, struct subscription *subscription, uint32_t start, uint32_t end,
                         size_t *skip) {
  const struct channel *channel = subscription->channel;
  for (uint32_t i = start; i < end; i++) {
    struct blob *blob = message_form(channel->turn[i], subscriber->sink->form);
    size_t len = blob ? form_slice(blob, subscriber->sink->framing).len : 0;
    if (blob && *skip >= len) {
      *skip -= len;
      continue;
    }
    if (*skip > 0 || !is_taken(subscriber, subscription, channel->turn[i]))
      push_message(subscriber, subscription, channel->turn[i], *skip);
    *skip = 0;
  }
}

/* Settles a part and all that precede it. Whoever leaves a channel has settled before. */
static void settle_parts(struct subscriber *subscriber, uint16_t last, size_t *skip) {
  if (last == 0) return;
  struct turn_part part = subscriber->sink->delivery->views.parts[last - 1];
  struct subscription *subscription = &subscriber->first;
  while (subscription->channel != part.channel) subscription = subscription->next;
  settle_parts(subscriber, part.before, skip);
  settle_range(subscriber, subscription, part.start, part.end, skip);
}

/* Settles everything up to the message `end` of the turn list. */
static void settle_until(struct subscriber *subscriber, uint32_t end, size_t skip) {
  struct subscription *subscription = subscriber->turn;
  uint16_t before = subscriber->turn_before;
  uint32_t start = subscriber->turn_start;
  subscriber_forget_turn(subscriber);
  settle_parts(subscriber, before, &skip);
  settle_range(subscriber, subscription, start, end, &skip);
}

void subscriber_settle(struct subscriber *subscriber, size_t skip) {
  if (subscriber->turn) settle_until(subscriber, subscriber->turn->channel->turn_count, skip);
}

/* Starts with the last message of a channel's turn list. Returns false if that is too long. */
static bool begin_turn(struct subscriber *subscriber, struct subscription *subscription, uint16_t before) {
  uint32_t start = subscription->channel->turn_count - 1;
  if (start > UINT16_MAX) return false;
  subscriber->turn = subscription;
  subscriber->turn_start = (uint16_t)start;
  subscriber->turn_before = before;
  return true;
}

/* Goes on with the turn list of another channel. Returns false if the messages so far must be
 * settled. */
static bool continue_turn(struct subscriber *subscriber, struct subscription *subscription) {
  if (!subscriber->turn || subscriber->flags & SUBSCRIBER_BEHIND) return false;
  struct channel *channel = subscriber->turn->channel;
  uint16_t part = turn_part_get(&subscriber->sink->delivery->views, subscriber->turn_before, channel, subscriber->turn_start,
                                channel->turn_count);
  return part > 0 && begin_turn(subscriber, subscription, part);
}

void subscriber_deliver(struct subscription *subscription, struct message *message) {
  struct subscriber *subscriber = subscription_owner(subscription);
  const struct channel *channel = subscription->channel;
  /* The channel has restarted. */
  if (subscription->mark & CATCHUP_ENDED && message && message->position > 0) subscription->mark &= (uint32_t)~CATCHUP_ENDED;
  bool is_plain = message && message->parts.except.len == 0 && !message->parts.is_final;
  /* The turn list that is not written yet has it. */
  if (is_plain && subscriber->turn == subscription && !(subscriber->flags & (SUBSCRIBER_COLLECTS | SUBSCRIBER_BEHIND))) return;
  if (subscriber->flags & SUBSCRIBER_COLLECTS) {
    subscriber->sink->ops->collect(subscriber, message);
    return;
  }
  if (!message) {
    subscriber_break(subscriber);
    return;
  }
  if (!is_plain && subscriber_is_excepted(subscriber, message)) {
    /* The turn list continues without this message: the messages before it are moved out of the
     * list. */
    if (subscriber->turn == subscription) settle_until(subscriber, channel->turn_count - 1, 0);
    if (message->parts.is_final) catchup_note_end(subscriber);
    return;
  }
  if (!is_plain && message->parts.is_final) catchup_note_end(subscriber);
  if (subscriber->turn == subscription) {
    if (!(subscriber->flags & SUBSCRIBER_BEHIND)) return;
    /* This message may have to be read later, so the list must not bring it. */
    settle_until(subscriber, channel->turn_count - 1, 0);
  }
  if (is_taken(subscriber, subscription, message)) return;
  bool is_first = !subscriber->turn && !subscriber->outbox && !subscriber->sink->form->is_own;
  bool is_listed = is_first ? begin_turn(subscriber, subscription, 0) : is_plain && continue_turn(subscriber, subscription);
  if (!is_listed) {
    /* Settling may make the subscriber slow. */
    subscriber_settle(subscriber, 0);
    if (!is_taken(subscriber, subscription, message)) push_message(subscriber, subscription, message, 0);
  }
  subscriber_mark(subscriber);
}

void subscriber_gap(struct subscription *subscription) {
  struct subscriber *subscriber = subscription_owner(subscription);
  if (subscriber->flags & SUBSCRIBER_COLLECTS) {
    subscriber->sink->ops->collect(subscriber, NULL);
    return;
  }
  /* Catching up finds it in the history. */
  if (subscription->mark & CATCHUP_BEHIND) return;
  subscriber->sink->delivery->stats->gaps++;
  subscriber->sink->ops->event(subscriber, EVENT_GAP, subscription->channel->name, bytes_of(NULL, 0));
}
