/* mw_channel_history: reads a channel's history for the app. */
#include <stdio.h>

#include "delivery/history_page.h"
#include "server/server.h"

static struct mw_bytes expose(struct bytes bytes) { return (struct mw_bytes){bytes.ptr, bytes.len}; }

static int read_id(const char *text, const char *name, const struct epoch *epoch, struct since *since, struct mw_error *error) {
  *since = since_parse(bytes_string(text), epoch);
  if (!text || since->kind == SINCE_ALL || since->kind == SINCE_POSITION || strlen(text) == ID_LEN) return 0;
  if (error) snprintf(error->text, sizeof error->text, "%s is not a message id: \"%.40s\"", name, text);
  return MW_EINVAL;
}

int mw_channel_history(struct mw_server *server, const char *name, size_t name_len, const struct mw_history_query *query,
                       void (*on_message)(void *context, const struct mw_kept *message), void *context, bool *more,
                       struct mw_error *error) {
  struct worker *worker = &server->workers[0];
  const struct epoch *epoch = &server->workers[0].epoch;
  struct history_query wish = {.limit = query->limit};
  int status = read_id(query->since, "since", epoch, &wish.since, error);
  if (status == 0) status = read_id(query->before, "before", epoch, &wish.before, error);
  if (status < 0) return status;
  uint64_t now_ms = server->loop.clock.wall_ms;
  worker_drain(worker);
  if (worker->delivery.dirty) loop_wake(&server->loop);
  struct history_page page = history_page_of(&worker->hub, bytes_of(name, name_len), &wish);
  for (uint32_t i = 0; i < page.count; i++) {
    const struct message *message = history_at(page.history, page.first + i);
    char id[ID_LEN];
    id_write(id, epoch, message->position);
    struct mw_kept kept = {.id = {id, ID_LEN},
                           .event = expose(message->parts.event),
                           .data = expose(message->parts.data),
                           .from = expose(message->parts.from),
                           .key = expose(message->parts.key),
                           .is_binary = message->parts.is_binary,
                           .age_ms = now_ms > message->time_ms ? now_ms - message->time_ms : 0};
    on_message(context, &kept);
  }
  if (more) *more = page.more;
  return 0;
}
