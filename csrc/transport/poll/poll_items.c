#include "transport/poll/poll_items.h"

#include "base/array.h"
#include "base/memory.h"
#include "delivery/outbox.h"
#include "dialect/dialect.h"
#include "http/budget.h"
#include "http/http.h"
#include "session/session.h"

size_t poll_items_room(const struct mw_limits *limits) {
  return limits->replay_bytes < BUDGET_ANSWER ? limits->replay_bytes : BUDGET_ANSWER;
}

size_t poll_items_weight(size_t len) { return len + OUTBOX_OWN; }

bool poll_items_add(struct poll_items *items, struct blob *blob, uint64_t position, uint64_t after) {
  struct poll_item *grown = NULL;
  if (blob) grown = array_reserve(items->items, sizeof *grown, &items->capacity, items->count + 1, UINT32_MAX);
  if (!grown) {
    items->lost = true;
    return false;
  }
  items->items = grown;
  items->items[items->count++] = (struct poll_item){.blob = blob_ref(blob), .position = position, .after = after};
  items->bytes += blob->len;
  if (position == 0) items->own_bytes += poll_items_weight(blob->len);
  return true;
}

struct blob *poll_items_end(const struct subscriber *subscriber, struct bytes channel) {
  const struct dialect *dialect = session_dialect(subscriber);
  struct rope text;
  rope_init(&text);
  dialect->event(dialect, &text, &(struct event){.type = EVENT_END, .channel = channel});
  struct blob *blob = rope_flatten(&text);
  rope_deinit(&text);
  return blob;
}

/* After the last message of a channel. */
static void deliver_end(struct poll_items *items, const struct subscriber *subscriber, const struct message *message) {
  struct blob *end = poll_items_end(subscriber, message->parts.channel);
  poll_items_add(items, end, message->position, message->position);
  blob_unref(end);
}

void poll_items_deliver(struct poll_items *items, struct subscriber *subscriber, struct message *message, bool is_excepted) {
  struct http *http = http_of(subscriber);
  if (items->full && (!message || message->position > 0)) return;
  if (!is_excepted) {
    struct blob *blob = message ? form_of(subscriber->sink->form, message, http->delivery->epoch) : NULL;
    if (!poll_items_add(items, blob, message ? message->position : 0, http->delivery->hub->position)) return;
  }
  if (message && message->parts.is_final) deliver_end(items, subscriber, message);
  const struct mw_limits *limits = &http->app->config->options.limits;
  if (items->full || (items->count < limits->replay && items->bytes < poll_items_room(limits))) return;
  items->full = true;
  items->cut = items->count;
}

void poll_items_consume(struct poll_items *items, size_t count) {
  struct poll_items kept = {.items = items->items, .capacity = items->capacity};
  for (size_t i = 0; i < items->count; i++) {
    struct poll_item item = items->items[i];
    if (i < count || item.position > 0) {
      blob_unref(item.blob);
    } else {
      kept.items[kept.count++] = item;
      kept.bytes += item.blob->len;
      kept.own_bytes += poll_items_weight(item.blob->len);
    }
  }
  if (kept.count == 0) {
    memory_free(kept.items);
    kept.items = NULL;
    kept.capacity = 0;
  }
  *items = kept;
}

void poll_items_drop_kept(struct poll_items *items) {
  bool lost = items->lost;
  poll_items_consume(items, 0);
  items->lost = lost;
}

void poll_items_deinit(struct poll_items *items) { poll_items_consume(items, items->count); }
