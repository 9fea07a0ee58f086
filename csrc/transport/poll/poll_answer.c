#include "transport/poll/poll_answer.h"

#include "base/array.h"
#include "base/heap.h"
#include "base/memory.h"
#include "delivery/replay.h"
#include "delivery/subscriber.h"
#include "dialect/dialect.h"
#include "http/exchange.h"
#include "http/request.h"
#include "transport/poll/poll_client.h"

void poll_answer_init(struct poll_answer *answer) { *answer = (struct poll_answer){.blobs = NULL}; }

void poll_answer_deinit(struct poll_answer *answer) {
  for (size_t i = 0; i < answer->count; i++) blob_unref(answer->blobs[i]);
  memory_free(answer->blobs);
  memory_free(answer->gaps);
}

/* A single message goes into an answer regardless of its size. */
static bool answer_is_full(const struct poll_answer *answer, const struct mw_limits *limits, const struct blob *next) {
  return answer->count > 0 && (answer->count >= limits->replay || answer->bytes + next->len > poll_items_room(limits));
}

/* Returns 1 if added, 0 if there is no room (never with limits NULL), or MW_ENOMEM. */
static int add_blob(struct poll_answer *answer, const struct mw_limits *limits, struct blob *blob, uint64_t position) {
  if (!blob) return MW_ENOMEM;
  if (limits && answer_is_full(answer, limits, blob)) return 0;
  struct blob **grown = array_reserve(answer->blobs, sizeof *grown, &answer->capacity, answer->count + 1, UINT32_MAX);
  if (!grown) return MW_ENOMEM;
  answer->blobs = grown;
  answer->blobs[answer->count++] = blob_ref(blob);
  answer->bytes += blob->len;
  if (position > 0) answer->last = position;
  return 1;
}

/* ---- From the histories ---------------------------------------------------------------------- */

struct source {
  const struct hub *hub;
  struct channel *channel; /* NULL: it was left */
  struct stored *stored;   /* NULL: it keeps nothing */
  struct bytes name;
  uint32_t next; /* in its history */
  uint64_t ends; /* the position of its end, which is still to be sent; 0: more may come */
};

/* The next message, or NULL: messages after the end belong to the next life of the channel. */
static struct message *source_next(const struct source *source) {
  if (!source->stored || source->next >= history_end(&source->stored->history, source->hub->position)) return NULL;
  struct message *message = history_at(&source->stored->history, source->next);
  return source->ends == 0 || message->position <= source->ends ? message : NULL;
}

/* The position of the next message, or of the end after all of them; UINT64_MAX: nothing is
 * left. */
static uint64_t source_position(const struct source *source) {
  const struct message *message = source_next(source);
  if (message) return message->position;
  return source->ends > 0 ? source->ends : UINT64_MAX;
}

static uint64_t source_key(const void *source) { return source_position(source); }

void poll_answer_add_gap(struct poll_answer *answer, struct bytes channel) {
  struct bytes *grown = array_reserve(answer->gaps, sizeof *grown, &answer->gap_capacity, answer->gap_count + 1, UINT32_MAX);
  if (!grown) {
    answer->has_failed = true;
    return;
  }
  answer->gaps = grown;
  grown[answer->gap_count++] = channel;
}

/* Adds a channel that ended at that position (0: it has not), if it has something, to the heap that
 * is being built. */
static void look_at(struct poll_answer *answer, struct hub *hub, struct since since, struct source *heap, size_t *count,
                    struct source source) {
  uint64_t after = since.kind == SINCE_POSITION ? since.position : 0;
  if (source.ends > 0 && since.kind == SINCE_POSITION && after >= source.ends) return;
  answer->has_ended = false;
  enum store_has has = since.kind == SINCE_FOREIGN ? STORE_HAS_GAP : STORE_HAS_ALL;
  if (since.kind == SINCE_POSITION) has = source.stored ? store_complete(hub->store, source.stored, after) : STORE_HAS_GAP;
  if (has == STORE_MUST_FETCH && source.channel) {
    answer->lacks = source.channel;
    answer->lacks_until = source.stored->history.evicted;
  }
  bool gap = has == STORE_HAS_GAP || (has == STORE_MUST_FETCH && !source.channel);
  if (gap) poll_answer_add_gap(answer, source.name);
  if (source.stored) source.next = store_replay_from(hub->store, source.stored, since.kind != SINCE_NONE, after);
  if (source_position(&source) != UINT64_MAX) heap[(*count)++] = source;
}

/* Fills `heap` with the channels that have something, in any order. Returns how many. */
static size_t look_at_all(struct poll_answer *answer, struct subscriber *subscriber, struct since since,
                          const struct poll_client *client, struct source *heap) {
  struct hub *hub = http_of(subscriber)->delivery->hub;
  size_t count = 0;
  struct subscription *subscription = NULL;
  answer->has_ended = since.kind == SINCE_POSITION;
  while ((subscription = subscriber_next(subscriber, subscription))) {
    struct channel *channel = subscription->channel;
    look_at(answer, hub, since, heap, &count,
            (struct source){hub, channel, channel->stored, channel->name, 0, hub_ended(hub, channel)});
  }
  for (size_t i = 0; client && i < client->left_count; i++) {
    const struct poll_left *left = client->left[i];
    look_at(answer, hub, since, heap, &count,
            (struct source){hub, NULL, store_look(hub->store, left->name), left->name, 0, left->ended});
  }
  return count;
}

/* Adds the items that come before that position. Returns as add. */
static int add_items(struct poll_answer *answer, const struct mw_limits *limits, const struct poll_items *items,
                     uint64_t before) {
  int status = 1;
  while (status == 1 && answer->taken < items->count && items->items[answer->taken].after < before) {
    status = add_blob(answer, limits, items->items[answer->taken].blob, 0);
    if (status == 1) answer->taken++;
  }
  return status;
}

static int add_end(struct poll_answer *answer, const struct subscriber *subscriber, const struct source *source) {
  struct blob *end = poll_items_end(subscriber, source->name);
  int status = add_blob(answer, NULL, end, source->ends);
  blob_unref(end);
  return status;
}

/* Adds the source's next message, or its end. Sets *done if that was the last. Returns as add. */
static int add_next(struct poll_answer *answer, struct subscriber *subscriber, struct source *source, bool *done) {
  const struct http *http = http_of(subscriber);
  struct message *message = source_next(source);
  int status = 1;
  if (!message) {
    *done = true;
    return add_end(answer, subscriber, source);
  }
  if (!subscriber_is_excepted(subscriber, message)) {
    struct blob *blob = form_of(subscriber->sink->form, message, http->delivery->epoch);
    status = add_blob(answer, &http->app->config->options.limits, blob, message->position);
  }
  if (status == 1) source->next++;
  *done = source_position(source) == UINT64_MAX;
  return status;
}

/* Merges the sources. *next_position is the position of the first message without room, or 0.
 * Returns as add. */
static int merge_sources(struct poll_answer *answer, struct subscriber *subscriber, struct source *sources, size_t count,
                         const struct poll_items *items, uint64_t *next_position) {
  const struct mw_limits *limits = &http_of(subscriber)->app->config->options.limits;
  struct heap heap = {.items = sources, .size = sizeof *sources, .count = count, .key = source_key};
  heap_build(&heap);
  while (heap.count > 0) {
    bool done = false;
    *next_position = source_position(sources);
    int status = add_items(answer, limits, items, *next_position);
    if (status == 1) status = add_next(answer, subscriber, sources, &done);
    if (status != 1) return status;
    if (done) {
      heap_pop(&heap);
    } else {
      heap_settle(&heap);
    }
  }
  *next_position = 0;
  return add_items(answer, limits, items, UINT64_MAX);
}

int poll_answer_read(struct poll_answer *answer, struct subscriber *subscriber, struct since since,
                     const struct poll_client *client) {
  static const struct poll_items nothing = {.items = NULL};
  const struct http *http = http_of(subscriber);
  size_t channel_count = subscriber->subscription_count + (client ? client->left_count : 0);
  struct source *heap = memory_calloc(channel_count > 0 ? channel_count : 1, sizeof *heap);
  if (!heap) return MW_ENOMEM;
  uint64_t next_position = 0;
  store_lock(http->delivery->hub->store); /* as long as places in the histories are used */
  size_t count = look_at_all(answer, subscriber, since, client, heap);
  if (channel_count == 0) answer->has_ended = false;
  int status = merge_sources(answer, subscriber, heap, count, client ? &client->items : &nothing, &next_position);
  store_unlock(http->delivery->hub->store);
  memory_free(heap);
  answer->id = http->delivery->hub->position;
  if (since.kind == SINCE_POSITION && since.position > answer->id) answer->id = since.position;
  /* Not complete: continues from the last one that is in it. */
  if (next_position > 0) answer->id = answer->last > 0 ? answer->last : next_position - 1;
  answer->more = next_position > 0;
  if (answer->has_failed) return MW_ENOMEM;
  if (status < 0) return status;
  return answer->lacks ? MW_EUNAVAILABLE : 0;
}

/* ---- From what was collected ----------------------------------------------------------------- */

int poll_answer_take(struct poll_answer *answer, struct subscriber *subscriber, uint64_t seen, const struct poll_items *items,
                     bool only_kept) {
  const struct mw_limits *limits = &http_of(subscriber)->app->config->options.limits;
  size_t count = items->full ? items->cut : items->count;
  answer->id = http_of(subscriber)->delivery->hub->position;
  if (seen > answer->id) answer->id = seen;
  for (size_t i = 0; i < count; i++) {
    const struct poll_item *item = &items->items[i];
    if (only_kept && item->position == 0) continue;
    /* The end shares the position of the last message, from which the client continues. */
    bool is_end = item->position > 0 && item->position == answer->last;
    int status = add_blob(answer, is_end ? NULL : limits, item->blob, item->position);
    if (status < 0) return status;
    if (status == 0) {
      answer->more = true;
      answer->id = answer->last > 0 ? answer->last : seen;
      return 0;
    }
    if (!only_kept) answer->taken++;
  }
  if (items->full) answer->id = answer->last > 0 ? answer->last : seen;
  answer->more = items->full && answer->id < http_of(subscriber)->delivery->hub->position;
  return answer->has_failed ? MW_ENOMEM : 0;
}

/* ---- Sending --------------------------------------------------------------------------------- */

/* Everything before the messages. */
static void write_answer_beginning(struct rope *out, const struct poll_answer *answer, const struct poll *poll) {
  char id[ID_LEN];
  id_write(id, exchange_delivery(poll->exchange)->epoch, answer->id);
  struct polled polled = {.id = bytes_of(id, ID_LEN),
                          .more = answer->more,
                          .since = poll->since,
                          .gaps = answer->gaps,
                          .gap_count = answer->gap_count,
                          .joined = &poll->joined};
  if (poll->client) polled.client = bytes_of(poll->client->session.client->id, CLIENT_ID_LEN);
  session_dialect(&poll->subscriber)->poll(out, &polled);
}

/* What the dialect has between the messages, and after them: parts of one small blob. */
static struct blob *make_rest(const struct dialect *dialect) {
  struct bytes between = dialect->poll_between, end = dialect->poll_end;
  struct blob *rest = blob_new(bytes_of(NULL, between.len + end.len));
  if (!rest) return NULL;
  memcpy(rest->data, between.ptr, between.len);
  memcpy(rest->data + between.len, end.ptr, end.len);
  return rest;
}

static void push_all(struct exchange *exchange, const struct poll_answer *answer, const struct rope *beginning, struct blob *rest,
                     size_t between_len) {
  exchange_push_rope(exchange, beginning);
  for (size_t i = 0; i < answer->count; i++) {
    if (i > 0) exchange_push(exchange, rest, bytes_of(rest->data, between_len));
    exchange_push(exchange, answer->blobs[i], blob_bytes(answer->blobs[i]));
  }
  exchange_push(exchange, rest, bytes_of(rest->data + between_len, rest->len - between_len));
}

bool poll_answer_send(struct poll_answer *answer, struct poll *poll) {
  struct exchange *exchange = poll->exchange;
  struct http *http = exchange_http(exchange);
  const struct dialect *dialect = session_dialect(&poll->subscriber);
  struct http_fields fields;
  struct rope beginning;
  http_fields_init(&fields);
  rope_init(&beginning);
  http_fields_add(&fields, BYTES("Cache-Control"), BYTES("no-store"));
  http_fields_add(&fields, BYTES("Content-Type"), BYTES("application/json"));
  http_fields_add(&fields, BYTES("X-Content-Type-Options"), BYTES("nosniff"));
  write_answer_beginning(&beginning, answer, poll);
  bool fine = !fields.text.failed && !beginning.text.failed;
  struct blob *rest = fine ? make_rest(dialect) : NULL;
  fine = rest != NULL;
  if (fine) {
    size_t between_len = dialect->poll_between.len, betweens = answer->count > 0 ? answer->count - 1 : 0;
    http->stats->polls++;
    http->stats->gaps += answer->gap_count;
    budget_charge(&exchange->subscriber, rope_len(&beginning) + answer->bytes + answer->count * BUDGET_PART);
    exchange_begin(exchange, 200, &fields, rope_len(&beginning) + answer->bytes + betweens * between_len + dialect->poll_end.len);
    if (!(exchange_request(exchange)->is_head)) push_all(exchange, answer, &beginning, rest, between_len);
    exchange_complete(exchange);
  } else {
    exchange_refuse(exchange, 503, "unavailable", "out of memory", bytes_of(NULL, 0));
  }
  blob_unref(rest);
  http_fields_deinit(&fields);
  rope_deinit(&beginning);
  return fine;
}
