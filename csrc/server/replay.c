#include "server/replay.h"

#include "base/memory.h"
#include "server/lag.h"
#include "server/server.h"
#include "server/session.h"

/* Where a replay of that channel begins, for whoever has seen what is in `since`. */
static void look_into(struct replay_source *source, struct worker *worker, struct since since) {
  const struct mw_limits *limits = &worker->server->config->options.limits;
  struct channel *channel = source->subscription->channel;
  const struct history *history = &channel->history;
  bool has_since = since.kind != SINCE_NONE;
  uint64_t position = since.kind == SINCE_POSITION ? since.position : 0;
  source->gap = since.kind == SINCE_FOREIGN || (since.kind == SINCE_POSITION && !hub_complete(&worker->hub, channel, position));
  uint32_t next = hub_replay_from(&worker->hub, channel, has_since, position);
  uint32_t tail =
      history_tail(history, limits->replay > UINT32_MAX ? UINT32_MAX : (uint32_t)limits->replay, limits->replay_bytes);
  if (next < tail) {
    next = tail;
    if (since.kind == SINCE_POSITION) source->gap = true;
  }
  source->after = next < history->count ? history_at(history, next)->position - 1 : worker->hub.position;
}

int replay_init(struct replay *replay, struct exchange *exchange, struct since since, struct subscription *only) {
  struct worker *worker = exchange_worker(exchange);
  *replay = (struct replay){.cursor = worker->hub.position};
  replay->sources = memory_calloc(exchange->session.subscription_count, sizeof *replay->sources);
  if (!replay->sources) return MW_ENOMEM;
  /* A position that was never given out is of no history of ours. */
  if (since.kind == SINCE_POSITION && since.position > worker->hub.position) since.kind = SINCE_FOREIGN;
  struct subscription *subscription = NULL;
  while ((subscription = session_next(&exchange->session, subscription))) {
    if (only && subscription != only) continue;
    struct replay_source *source = &replay->sources[replay->count++];
    source->subscription = subscription;
    look_into(source, worker, since);
    if (source->gap) replay->gap_count++;
    if (source->after < replay->cursor) replay->cursor = source->after;
  }
  if (since.kind == SINCE_POSITION) replay->cursor = since.position;
  return 0;
}

void replay_start(const struct replay *replay, struct exchange *exchange) {
  uint64_t position = exchange_worker(exchange)->hub.position;
  bool together = exchange->flags & EXCHANGE_LAGS;
  for (size_t i = 0; i < replay->count; i++) together = together || replay->sources[i].after < position;
  if (form_is_ws(exchange->wire)) together = false; /* its client keeps one cursor a channel */
  for (size_t i = 0; i < replay->count; i++) {
    const struct replay_source *source = &replay->sources[i];
    if (together) {
      lag_join(exchange, source->subscription, source->after);
    } else if (source->after < position) {
      lag_follow(exchange, source->subscription, source->after);
    }
    if (source->subscription->channel->ended > 0) lag_end(exchange);
  }
}

void replay_deinit(struct replay *replay) { memory_free(replay->sources); }
