#include "server/lag.h"

#include <assert.h>

#include "base/memory.h"
#include "codec/sse.h"
#include "server/conn.h"
#include "server/native.h"
#include "server/reply.h"
#include "server/server.h"
#include "server/session.h"

/* Bytes that are pushed at a time: enough for a good write, and little enough to hold for each of those who come back at once. */
enum { FEED_BYTES = 64 * 1024 };

static struct lag *lag_of(struct exchange *exchange) { return conn_of(exchange)->native->lag; }
static struct hub *hub_of(struct exchange *exchange) { return &exchange_worker(exchange)->hub; }

/* ---- State --------------------------------------------------------------------------------------------------------------- */

static struct lag *get(struct exchange *exchange) {
  if (exchange->flags & EXCHANGE_LAGS) return lag_of(exchange);
  struct lag *lag = memory_calloc(1, sizeof *lag);
  struct native *native = lag ? native_lend(exchange) : NULL;
  if (!native) {
    memory_free(lag);
    exchange_break(exchange);
    return NULL;
  }
  latest_init(&lag->latest);
  native->lag = lag;
  exchange->flags |= EXCHANGE_LAGS;
  worker_mark_dirty(exchange_worker(exchange), conn_of(exchange));
  return lag;
}

void lag_free(struct lag *lag) {
  if (!lag) return;
  latest_deinit(&lag->latest);
  memory_free(lag->sources);
  memory_free(lag);
}

static void end_lagging(struct exchange *exchange) {
  lag_free(lag_of(exchange));
  conn_of(exchange)->native->lag = NULL;
  exchange->flags &= (uint16_t)~EXCHANGE_LAGS;
  native_give_back(exchange);
}

static struct lag_source *find_source(struct lag *lag, const struct subscription *subscription) {
  for (size_t i = 0; i < lag->count; i++) {
    if (lag->sources[i].subscription == subscription) return &lag->sources[i];
  }
  return NULL;
}

static bool add_source(struct lag *lag, struct subscription *subscription, uint64_t after) {
  if (lag->count == lag->capacity) {
    size_t capacity = lag->capacity > 0 ? lag->capacity * 2 : 1;
    struct lag_source *grown = memory_realloc(lag->sources, capacity * sizeof *grown);
    if (!grown) return false;
    lag->sources = grown;
    lag->capacity = capacity;
  }
  lag->sources[lag->count++] = (struct lag_source){.subscription = subscription, .after = after};
  subscription->mark |= LAG_BEHIND;
  return true;
}

void lag_follow(struct exchange *exchange, struct subscription *subscription, uint64_t after) {
  struct lag *lag = get(exchange);
  if (lag && !add_source(lag, subscription, after)) exchange_break(exchange);
}

void lag_join(struct exchange *exchange, struct subscription *subscription, uint64_t after) {
  if (subscription->channel->policy.history.size > 0) {
    lag_follow(exchange, subscription, after);
  } else if (get(exchange)) {
    subscription->mark |= LAG_HELD;
  }
}

void lag_end(struct exchange *exchange) {
  struct lag *lag = get(exchange);
  if (lag) lag->ends = true;
  worker_mark_dirty(exchange_worker(exchange), conn_of(exchange));
}

void lag_leave(struct exchange *exchange, struct subscription *subscription) {
  struct lag *lag = lag_of(exchange);
  latest_forget(&lag->latest, subscription->channel->name);
  struct lag_source *source = find_source(lag, subscription);
  if (source) *source = lag->sources[--lag->count];
  subscription->mark = 0;
}

/* ---- Letting go ---------------------------------------------------------------------------------------------------------- */

struct letting_go {
  struct exchange *exchange;
  struct subscription *subscription; /* of the message before */
};

/* Where a message stands among those with a position: one without follows all that were published before it. */
static uint64_t place_of(const struct message *message) { return message->position > 0 ? message->position : message->after; }

/* What no history has. */
static void let_go_for_good(struct exchange *exchange, struct subscription *subscription, const struct message *message) {
  exchange_worker(exchange)->stats.slow_dropped++;
  if (message->position == 0 || !subscription) return;
  subscription->mark |= LAG_GAP;
  lag_of(exchange)->has_gap = true;
}

/* Keeps it until it can be pushed. Of a channel that is only held up by a replay, its own or that of others, all are kept, as long as there
 * is room; beyond that, a volatile message that follows the replay of its own channel is dropped, because a replay is no slowness. */
static void hold(struct exchange *exchange, struct subscription *subscription, struct message *message) {
  struct lag *lag = lag_of(exchange);
  const struct channel_policy *policy = &subscription->channel->policy;
  uint64_t position = place_of(message);
  bool is_full = lag->latest.bytes + message_len(message) + LATEST_PLACE > policy->outbox;
  bool follows_replay = subscription->mark & LAG_BEHIND && policy->slow != SLOW_LATEST;
  if (is_full && (follows_replay || policy->slow == SLOW_DROP)) {
    /* The gap is told before everything that is held: what is older than what is missing goes as well. */
    if (message->position > 0)
      exchange_worker(exchange)->stats.slow_dropped += latest_forget(&lag->latest, subscription->channel->name);
    let_go_for_good(exchange, subscription, message);
    return;
  }
  bool replaced = false, by_key = policy->slow == SLOW_LATEST && (lag->stalled || is_full);
  int status = by_key ? latest_put(&lag->latest, message, position, &replaced) : latest_append(&lag->latest, message, position);
  if (status < 0) exchange_break(exchange);
  if (replaced) exchange_worker(exchange)->stats.slow_replaced++;
  if (lag->latest.bytes <= policy->outbox) return;
  exchange->flags |= EXCHANGE_SLOW;
  worker_mark_dirty(exchange_worker(exchange), conn_of(exchange));
}

static void let_go(void *context, struct message *message) {
  struct letting_go *letting_go = context;
  struct exchange *exchange = letting_go->exchange;
  struct subscription *subscription = letting_go->subscription;
  if (!subscription || !bytes_equal(subscription->channel->name, message->parts.channel)) {
    subscription = session_find(&exchange->session, message->parts.channel);
    letting_go->subscription = subscription;
  }
  if (subscription && subscription->mark & LAG_BEHIND && message->position > 0) {
    struct lag_source *source = find_source(lag_of(exchange), subscription);
    if (message->position <= source->after) source->after = message->position - 1;
  } else if (subscription && subscription->channel->policy.slow == SLOW_LATEST) {
    hold(exchange, subscription, message);
  } else {
    let_go_for_good(exchange, subscription, message);
  }
}

/* All channels that can be are read from their histories from now on. False if one of the others has to be written as it comes. */
static bool follow_all(struct exchange *exchange, struct lag *lag) {
  struct subscription *subscription = NULL;
  while ((subscription = session_next(&exchange->session, subscription))) {
    enum slow slow = subscription->channel->policy.slow;
    if (slow == SLOW_CLOSE) return false;
    if (slow != SLOW_CATCHUP || subscription->mark & LAG_BEHIND) continue;
    if (!add_source(lag, subscription, hub_of(exchange)->position)) return false;
  }
  return true;
}

/* The app is told once each time. Nothing depends on it, and it may fail. */
static void tell_app(struct exchange *exchange, const struct channel *channel) {
  struct mw_server *server = exchange_worker(exchange)->server;
  const struct kind *kind = &server->config->kinds[channel->policy.kind];
  struct errand_channel about = {.name = channel->name, .kind = kind};
  struct mw_client *client = kind->hooks & MW_HOOK_SLOW ? native_client(exchange) : NULL;
  struct errand *errand = client ? errand_new(ERRAND_SLOW, server->config, client, NULL, &about, 1) : NULL;
  if (!errand) return;
  errand->asker = worker_ref(exchange_worker(exchange), exchange->slot);
  errand->step = STEP_SLOW;
  script_post(server, exchange_worker(exchange), errand);
}

void lag_stall(struct exchange *exchange, struct subscription *subscription, struct message *message) {
  struct worker *worker = exchange_worker(exchange);
  struct lag *lag = get(exchange);
  if (!lag) return;
  if (!lag->stalled) {
    worker->stats.slow++;
    tell_app(exchange, subscription->channel);
  }
  lag->stalled = true;
  if (!follow_all(exchange, lag)) {
    exchange->flags |= EXCHANGE_SLOW;
    return;
  }
  struct letting_go letting_go = {.exchange = exchange, .subscription = subscription};
  outbox_let_go(exchange->outbox, let_go, &letting_go);
  let_go(&letting_go, message);
}

/* A message that is not pushed now is read from the history, if its channel is read from there, or can be while its session is slow: also one
 * that was published before that began and comes from a turn list only now. */
static void read_later(struct exchange *exchange, struct subscription *subscription, const struct message *message) {
  struct lag *lag = lag_of(exchange);
  if (message->position == 0) return;
  if (subscription->mark & LAG_BEHIND) {
    struct lag_source *source = find_source(lag, subscription);
    if (message->position <= source->after) source->after = message->position - 1;
  } else if (lag->stalled && subscription->channel->policy.slow == SLOW_CATCHUP) {
    lag_follow(exchange, subscription, message->position - 1);
  }
}

bool lag_take(struct exchange *exchange, struct subscription *subscription, struct message *message) {
  const struct lag *lag = lag_of(exchange);
  if (message_is_own(message)) return false;
  read_later(exchange, subscription, message);
  if (subscription->mark & LAG_BEHIND && message->position > 0) return true;
  bool is_held = subscription->mark & LAG_HELD || (subscription->mark & LAG_BEHIND && !lag->stalled);
  if (!lag->stalled && !is_held) return false;
  if (is_held || subscription->channel->policy.slow == SLOW_LATEST) {
    hold(exchange, subscription, message);
  } else if (subscription->channel->policy.slow == SLOW_CLOSE) {
    return false;
  } else {
    let_go_for_good(exchange, subscription, message);
  }
  return true;
}

/* ---- Feeding ------------------------------------------------------------------------------------------------------------- */

static uint64_t position_of(const struct lag_source *source) {
  return history_at(&source->subscription->channel->history, source->next)->position;
}

static bool has_more(const struct lag_source *source) { return source->next < source->subscription->channel->history.count; }

/* Moves the source at `i` down to its place in the heap whose top has the lowest position. */
static void sift(struct lag_source *heap, size_t count, size_t i) {
  for (;;) {
    size_t least = i;
    for (size_t child = 2 * i + 1; child <= 2 * i + 2 && child < count; child++) {
      if (position_of(&heap[child]) < position_of(&heap[least])) least = child;
    }
    if (least == i) return;
    struct lag_source moved = heap[i];
    heap[i] = heap[least];
    heap[least] = moved;
    i = least;
  }
}

/* Finds where each source goes on; those that have more come first, as a heap. Returns how many. */
static size_t seek(struct exchange *exchange, struct lag *lag) {
  size_t count = 0;
  for (size_t i = 0; i < lag->count; i++) {
    struct lag_source *source = &lag->sources[i];
    struct channel *channel = source->subscription->channel;
    if (!hub_complete(hub_of(exchange), channel, source->after)) {
      source->after = channel->history.evicted;
      source->subscription->mark |= LAG_GAP;
      lag->has_gap = true;
    }
    source->next = history_seek(&channel->history, source->after);
    if (!has_more(source)) continue;
    struct lag_source moved = lag->sources[count];
    lag->sources[count++] = *source;
    if (&lag->sources[count - 1] != source) *source = moved;
  }
  for (size_t i = count / 2; i-- > 0;) sift(lag->sources, count, i);
  return count;
}

/* Before anything of a later position: whoever is cut behind it, returns with that position. */
static void tell_gaps(struct exchange *exchange, struct lag *lag) {
  struct subscription *subscription = NULL;
  while (lag->has_gap && (subscription = session_next(&exchange->session, subscription))) {
    if (!(subscription->mark & LAG_GAP)) continue;
    subscription->mark &= (uint32_t)~LAG_GAP;
    exchange_worker(exchange)->stats.gaps++;
    reply_channel_event(exchange, BYTES("moonwire:gap"), subscription->channel->name, bytes_of(NULL, 0));
  }
  lag->has_gap = false;
}

/* So little that none of the session's channels takes what is fed for slowness. */
static size_t feed_bytes(struct exchange *exchange) {
  size_t bytes = FEED_BYTES;
  struct subscription *subscription = NULL;
  while ((subscription = session_next(&exchange->session, subscription))) {
    size_t limit = subscription->channel->policy.outbox;
    if (limit / 2 < bytes) bytes = limit / 2;
  }
  return bytes;
}

static bool is_fed(const struct exchange *exchange, size_t bytes) {
  return exchange->flags & (EXCHANGE_SLOW | EXCHANGE_BROKEN) || (exchange->outbox && exchange->outbox->bytes >= bytes);
}

/* True if nothing is left. */
static bool push_next(struct exchange *exchange, struct lag *lag, size_t *count) {
  uint64_t position = 0;
  struct message *message = latest_first(&lag->latest, &position);
  /* One without a position stands behind the one whose position it has. */
  if (*count > 0 && (!message || position_of(lag->sources) <= position)) {
    struct lag_source *source = lag->sources;
    source->after = position_of(source);
    session_replay(exchange, history_at(&source->subscription->channel->history, source->next++));
    if (!has_more(source)) {
      struct lag_source done = *source;
      *source = lag->sources[--*count];
      lag->sources[*count] = done;
    }
    sift(lag->sources, *count, 0);
  } else if (message) {
    session_replay(exchange, message);
    latest_drop_first(&lag->latest);
  } else {
    return true;
  }
  return false;
}

/* An id that no event brings. */
static void tell_cursor(struct exchange *exchange, struct bytes id) {
  struct buffer block;
  buffer_init(&block);
  if (exchange->wire == FORM_ENVELOPE) form_write_event(&block, FORM_ENVELOPE, BYTES("moonwire:ping"), bytes_of(NULL, 0));
  if (exchange->wire == FORM_SSE) buffer_append_char(&block, '\n');
  sse_add_id(&block, id);
  if (block.failed) {
    exchange_break(exchange);
  } else {
    exchange_push_text(exchange, buffer_bytes(&block));
  }
  buffer_deinit(&block);
}

static bool is_untold(const struct subscription *subscription) {
  return subscription->channel->ended > 0 && !(subscription->mark & LAG_ENDED);
}

/* How many ends were not told; *all: nothing more can come of any channel. */
static size_t count_untold(struct exchange *exchange, bool *all) {
  size_t count = 0;
  struct subscription *subscription = NULL;
  *all = true;
  while ((subscription = session_next(&exchange->session, subscription))) {
    if (subscription->channel->ended == 0) *all = false;
    count += is_untold(subscription);
  }
  return count;
}

/* The subscribers of a channel that has ended are told. A WebSocket leaves it: its client has a cursor for each channel, and returns to it.
 * An event stream returns with one id for all its channels, which the others move on: so it stays subscribed, in case the channel restarts,
 * and ends when all of its channels have. The last end has the newest id: where a gap was told there may be no message whose id says that
 * its client has seen the end, and it would reconnect without end. */
static void tell_ends(struct exchange *exchange) {
  char id_text[ID_LEN];
  bool all, leaves = form_is_ws(exchange->wire);
  size_t left = count_untold(exchange, &all);
  bool is_over = all && !leaves, has_id = is_over && (exchange->wire == FORM_SSE || exchange->wire == FORM_ENVELOPE);
  struct bytes none = bytes_of(NULL, 0), id = bytes_of(id_text, ID_LEN);
  id_write(id_text, &exchange_worker(exchange)->server->bus.epoch, hub_of(exchange)->position);
  if (has_id && left == 0) tell_cursor(exchange, id);
  struct subscription *subscription = session_next(&exchange->session, NULL);
  while (subscription) {
    struct subscription *next = session_next(&exchange->session, subscription);
    struct channel *channel = subscription->channel;
    if (is_untold(subscription)) {
      subscription->mark |= LAG_ENDED;
      reply_channel_event(exchange, BYTES("moonwire:end"), channel->name, has_id && --left == 0 ? id : none);
      if (leaves) native_unsubscribe(exchange, channel->name, NULL, NULL);
    }
    subscription = next;
  }
  if (is_over) exchange_end_stream(exchange);
}

void lag_feed(struct exchange *exchange) {
  struct lag *lag = lag_of(exchange);
  size_t count = seek(exchange, lag);
  tell_gaps(exchange, lag);
  bool over = false;
  size_t bytes = feed_bytes(exchange);
  while (!over && !is_fed(exchange, bytes)) over = push_next(exchange, lag, &count);
  if (!over) return;
  struct subscription *subscription = NULL;
  while ((subscription = session_next(&exchange->session, subscription))) subscription->mark &= LAG_ENDED;
  bool ends = lag->ends;
  end_lagging(exchange);
  if (ends) tell_ends(exchange);
}
