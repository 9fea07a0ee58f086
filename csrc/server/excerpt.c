#include "server/excerpt.h"

#include <stdio.h>

#include "server/server.h"
#include "server/wire.h"

enum { LIMIT = 100 };

struct excerpt excerpt_of(struct hub *hub, struct bytes name, const struct excerpt_wish *wish) {
  const struct channel *channel = hub_look(hub, name);
  if (!channel) return (struct excerpt){.history = NULL};
  const struct history *history = &channel->history;
  bool from_first = wish->since.kind != SINCE_NONE;
  uint32_t first = wish->since.kind == SINCE_POSITION ? history_seek(history, wish->since.position) : 0;
  uint32_t end = history->count;
  /* What is no position of ours lies before all that is kept. */
  uint64_t before = wish->before.kind == SINCE_POSITION ? wish->before.position : 0;
  if (wish->before.kind != SINCE_NONE) end = before > 0 ? history_seek(history, before - 1) : 0;
  if (end < first) end = first;
  size_t limit = wish->limit > 0 ? wish->limit : LIMIT;
  struct excerpt excerpt = {.history = history, .first = first, .count = end - first, .from_first = from_first};
  if (excerpt.count > limit) {
    if (!from_first) excerpt.first = end - (uint32_t)limit;
    excerpt.count = (uint32_t)limit;
    excerpt.more = true;
  }
  return excerpt;
}

int excerpt_fit(struct excerpt *excerpt, const struct epoch *epoch, size_t bytes) {
  uint32_t end = excerpt->first + excerpt->count, count = 0;
  excerpt->bytes = 0;
  while (count < excerpt->count) {
    uint32_t at = excerpt->from_first ? excerpt->first + count : end - count - 1;
    const struct blob *blob = wire_of(WIRE_POLL, history_at(excerpt->history, at), epoch);
    if (!blob) return MW_ENOMEM;
    if (count > 0 && excerpt->bytes + blob->len > bytes) break;
    excerpt->bytes += blob->len;
    count++;
  }
  if (count == excerpt->count) return 0;
  if (!excerpt->from_first) excerpt->first = end - count;
  excerpt->count = count;
  excerpt->more = true;
  return 0;
}

void excerpt_write(struct buffer *out, const struct excerpt *excerpt, const struct epoch *epoch) {
  buffer_append_string(out, "{\"messages\":[");
  for (uint32_t i = 0; i < excerpt->count; i++) {
    const struct blob *blob = wire_of(WIRE_POLL, history_at(excerpt->history, excerpt->first + i), epoch);
    if (i > 0) buffer_append_char(out, ',');
    if (blob) buffer_append(out, blob_bytes(blob));
    if (!blob) out->failed = true;
  }
  buffer_append_string(out, excerpt->more ? "],\"more\":true}" : "],\"more\":false}");
}

/* ---- The app's call -------------------------------------------------------------------------------------------------------- */

static struct mw_bytes expose(struct bytes bytes) { return (struct mw_bytes){bytes.ptr, bytes.len}; }

static int read_id(const char *text, const char *name, const struct epoch *epoch, struct since *since, struct mw_error *error) {
  *since = since_parse(bytes_string(text), epoch);
  if (!text || since->kind == SINCE_ALL || since->kind == SINCE_POSITION || strlen(text) == ID_LEN) return 0;
  if (error) snprintf(error->text, sizeof error->text, "%s is no id: %.40s", name, text);
  return MW_EINVAL;
}

int mw_channel_history(struct mw_server *server, const char *name, size_t name_len, const struct mw_history_query *query,
                       void (*on_message)(void *context, const struct mw_kept *message), void *context, bool *more,
                       struct mw_error *error) {
  struct worker *worker = &server->workers[0];
  const struct epoch *epoch = &server->bus.epoch;
  struct excerpt_wish wish = {.limit = query->limit};
  int status = read_id(query->since, "since", epoch, &wish.since, error);
  if (status == 0) status = read_id(query->before, "before", epoch, &wish.before, error);
  if (status < 0) return status;
  worker_drain(worker);
  if (worker->dirty) loop_wake(&server->loop);
  struct excerpt excerpt = excerpt_of(&worker->hub, bytes_of(name, name_len), &wish);
  for (uint32_t i = 0; i < excerpt.count; i++) {
    const struct message *message = history_at(excerpt.history, excerpt.first + i);
    char id[ID_LEN];
    id_write(id, epoch, message->position);
    struct mw_kept kept = {.id = {id, ID_LEN},
                           .event = expose(message->parts.event),
                           .data = expose(message->parts.data),
                           .from = expose(message->parts.from),
                           .key = expose(message->parts.key),
                           .is_binary = message->parts.is_binary,
                           .age_ms = worker->loop->clock.now_ms - message->time_ms};
    on_message(context, &kept);
  }
  if (more) *more = excerpt.more;
  return 0;
}
