/* What is held while channels rejoin: messages of all channels, and the pages of those that rejoin.
 * When every page is here, it is delivered by position, as if nothing had been lost. */
#include "broker/node/node.h"

#include <stdlib.h>

#include "base/array.h"
#include "base/log_limit.h"

struct held {
  struct channel_link *channel; /* is not freed while something is held */
  uint64_t position;            /* where it is delivered: its own, or that of what came before it */
  uint32_t place;               /* in the order of arrival */
  bool is_end;                  /* the end of the channel's pages, after which it is LIVE */
  bool has_messages;            /* the last of these pages has */
  uint64_t last, gone;          /* of that page */
  struct push_message message;  /* its record is below */
  char record[];
};

void held_clear(struct broker *broker) {
  for (uint32_t i = 0; i < broker->held.count; i++) memory_free(broker->held.items[i]);
  memory_free(broker->held.items);
  broker->held = (struct held_items){0};
}

/* Returns NULL if there is no room: then nothing is held any more. */
static struct held *held_add(struct broker *broker, struct channel_link *channel, uint64_t position, struct bytes record) {
  struct held_items *held = &broker->held;
  size_t size = sizeof(struct held) + record.len;
  struct held *item = NULL;
  if (size <= broker->options.held_max - held->bytes) {
    struct held **items = array_reserve(held->items, sizeof(struct held *), &held->capacity, held->count + 1, UINT32_MAX);
    if (items) held->items = items;
    if (items) item = memory_alloc(size);
  }
  if (!item) {
    log_limited(MW_LOG_WARNING, "dropped the messages that were held while channels were fetched (bytes=%zu)", held->bytes);
    channels_give_up(broker);
    return NULL;
  }
  if (position == 0) position = held->count > 0 ? held->items[held->count - 1]->position : broker->position;
  *item = (struct held){.channel = channel, .position = position, .place = held->count};
  if (record.len > 0) memcpy(item->record, record.ptr, record.len);
  held->items[held->count++] = item;
  held->bytes += size;
  return item;
}

void held_message(struct broker *broker, struct channel_link *channel, const struct push_message *message) {
  struct held *item = held_add(broker, channel, message->position, message->record);
  if (!item) return;
  item->message = *message;
  item->message.record = bytes_of(item->record, message->record.len);
}

void held_page(struct broker *broker, struct channel_link *channel, const struct push_page *page, bool has_messages) {
  struct held *item = held_add(broker, channel, page->position, bytes_of(NULL, 0));
  if (!item) return;
  item->is_end = true;
  item->last = page->last;
  item->gone = page->gone;
  item->has_messages = has_messages;
  channel->has_page = true;
  if (--broker->lacking_count == 0) held_release(broker);
}

/* ---- Delivery --------------------------------------------------------------------------------- */

static int compare(const void *a, const void *b) {
  const struct held *first = *(struct held *const *)a, *second = *(struct held *const *)b;
  if (first->position != second->position) return first->position < second->position ? -1 : 1;
  /* The page of one channel states the position of the newest message of all channels. That message
   * may arrive later, in the page of its own channel. */
  if (first->is_end != second->is_end) return first->is_end ? 1 : -1;
  return first->place < second->place ? -1 : first->place > second->place;
}

static void release_message(struct broker *broker, struct held *item) {
  struct channel_link *channel = item->channel;
  const struct push_message *message = &item->message;
  struct broker_message delivered = {.record = message->record, .position = message->position, .before = message->before};
  if (message->position > 0) {
    if (message->position <= broker->position) return; /* by pub/sub, and in a page */
    if (message->before > channel->known) broker->sink->gap(broker->context, channel->name, message->before);
    channel->known = message->position;
    node_see(broker, message->position);
  }
  broker->sink->deliver(broker->context, channel->name, &delivered);
  node_reach(broker, message->position);
}

static void release_end(struct broker *broker, struct held *item) {
  struct channel_link *channel = item->channel;
  uint64_t known = channel->known, nowhere = item->has_messages ? item->last : item->gone;
  if (item->last > nowhere) nowhere = item->last;
  if (nowhere > known) broker->sink->gap(broker->context, channel->name, nowhere);
  node_reach(broker, item->position);
  channel_go_live(broker, channel, known > item->position ? known : item->position);
}

void held_release(struct broker *broker) {
  struct held_items held = broker->held;
  broker->held = (struct held_items){0};
  broker->is_holding = false;
  if (held.count > 0) qsort(held.items, held.count, sizeof(struct held *), compare);
  for (uint32_t i = 0; i < held.count; i++) {
    struct held *item = held.items[i];
    if (item->is_end) {
      release_end(broker, item);
    } else {
      release_message(broker, item);
    }
    memory_free(item);
  }
  memory_free(held.items);
}
