#include "server/snapshot.h"

#include "codec/json_scan.h"
#include "server/conn.h"
#include "server/native.h"
#include "server/poll_client.h"
#include "server/server.h"

/* Bytes of a page, at most. */
enum { PAGE_BYTES = 256 * 1024 };

/* What waits for the session besides the messages of channels. */
static size_t waiting(struct exchange *exchange) {
  if (exchange->wire == WIRE_POLL) return conn_of(exchange)->native->poll->items.own_bytes;
  return outbox_own_size(exchange->outbox);
}

size_t snapshot_room_of_answer(const struct worker *worker) { return worker->server->config->options.limits.outbox / 2; }

size_t snapshot_room(struct exchange *exchange) {
  size_t room = snapshot_room_of_answer(exchange_worker(exchange)), taken = waiting(exchange);
  return taken < room ? room - taken : 0;
}

void snapshot_share(const struct worker *worker, const struct kind *kind, struct bytes name, size_t *room, struct rope *out) {
  struct blob *snapshot = hub_snapshot(&worker->hub, name, kind->presence == MW_PRESENCE_COUNTS, *room);
  rope_share(out, snapshot);
  if (snapshot) *room -= snapshot->len < *room ? snapshot->len : *room;
  blob_unref(snapshot);
}

bool snapshot_write_page(const struct worker *worker, const struct kind *kind, const struct verb *verb, size_t room,
                         struct buffer *out) {
  struct rope count;
  bool is_known;
  if (kind->presence == MW_PRESENCE_COUNTS) {
    rope_init(&count);
    snapshot_share(worker, kind, verb->channel, &room, &count);
    is_known = !count.text.failed;
    buffer_append(out, buffer_bytes(&count.text));
    rope_deinit(&count);
    return is_known;
  }
  struct roster_query query = {.limit = verb->limit, .bytes = room < PAGE_BYTES ? room : PAGE_BYTES};
  struct buffer after;
  buffer_init(&after);
  if (verb->after.len > 0) {
    json_write_string(&after, verb->after);
    query.after = bytes_of(after.data + 1, after.len - 2);
  }
  is_known = !after.failed && hub_write_page(&worker->hub, verb->channel, &query, out);
  buffer_deinit(&after);
  return is_known && !out->failed;
}
