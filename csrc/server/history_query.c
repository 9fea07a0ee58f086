/* mw_channel_history: reads a channel's history for the app. */

#include "base/error.h"
#include "base/memory.h"
#include "delivery/history_page.h"
#include "server/server.h"

static struct mw_bytes expose(struct bytes bytes) { return (struct mw_bytes){bytes.ptr, bytes.len}; }

static int read_id(const char *text, const char *name, const struct epoch *epoch, struct since *since, struct mw_error *error) {
  *since = since_parse(bytes_string(text), epoch);
  if (!text || since->kind == SINCE_ALL || since->kind == SINCE_POSITION || strlen(text) == ID_LEN) return 0;
  return error_set(error, MW_EINVAL, "%s is not a message id: \"%.40s\"", name, text);
}

/* Keeps the messages of the page, without the lock: what is called with them may take its time, or
 * not return. Then they are released by the next who reads. */
static int keep_page(struct mw_server *server, struct bytes channel, const struct history_query *query, bool *more) {
  struct history_reading *reading = &server->reading;
  server_end_reading(reading);
  server_catch_up(server);
  store_lock(&server->store);
  struct history_page page = history_page_until(&server->store, UINT64_MAX, channel, query);
  reading->messages = memory_calloc(page.count > 0 ? page.count : 1, sizeof *reading->messages);
  for (uint32_t i = 0; reading->messages && i < page.count; i++)
    reading->messages[reading->count++] = message_ref(history_at(page.history, page.first + i));
  store_unlock(&server->store);
  *more = page.more;
  return reading->messages ? 0 : MW_ENOMEM;
}

int mw_channel_history(struct mw_server *server, const char *name, size_t name_len, const struct mw_history_query *query,
                       void (*on_message)(void *context, const struct mw_kept *message), void *context, bool *more,
                       struct mw_error *error) {
  struct epoch now = bus_epoch(&server->bus);
  const struct epoch *epoch = &now;
  struct history_query wish = {.limit = query->limit};
  int status = read_id(query->since, "since", epoch, &wish.since, error);
  if (status == 0) status = read_id(query->before, "before", epoch, &wish.before, error);
  if (status < 0) return status;
  uint64_t now_ms = server->loop.clock.wall_ms;
  bool has_more;
  status = keep_page(server, bytes_of(name, name_len), &wish, &has_more);
  if (status < 0) error_set(error, status, "out of memory");
  for (size_t i = 0; i < server->reading.count; i++) {
    const struct message *message = server->reading.messages[i];
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
  server_end_reading(&server->reading);
  if (more) *more = status == 0 && has_more;
  return status;
}
