#include "session/snapshot.h"

#include "codec/json_scan.h"

/* Bytes of a page, at most. */
enum { PAGE_BYTES = 256 * 1024 };

void snapshot_share(const struct hub *hub, const struct kind *kind, struct bytes name, size_t *room, struct rope *out) {
  struct blob *snapshot = hub_snapshot(hub, name, kind->presence == MW_PRESENCE_COUNTS, *room);
  rope_share(out, snapshot);
  if (snapshot) *room -= snapshot->len < *room ? snapshot->len : *room;
  blob_unref(snapshot);
}

bool snapshot_write_page(const struct hub *hub, const struct kind *kind, const struct verb *verb, size_t room,
                         struct buffer *out) {
  struct rope count;
  bool is_known;
  if (kind->presence == MW_PRESENCE_COUNTS) {
    rope_init(&count);
    snapshot_share(hub, kind, verb->channel, &room, &count);
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
  is_known = !after.failed && hub_write_page(hub, verb->channel, &query, out);
  buffer_deinit(&after);
  return is_known && !out->failed;
}
