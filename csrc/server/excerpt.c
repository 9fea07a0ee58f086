#include "server/excerpt.h"

#include "base/status.h"
#include "delivery/form.h"
#include "dialect/native_forms.h"

enum { LIMIT = 100 };

struct excerpt excerpt_of(struct hub *hub, struct bytes name, const struct excerpt_wish *wish) {
  const struct stored *stored = store_look(hub->store, name);
  if (!stored) return (struct excerpt){.history = NULL};
  const struct history *history = &stored->history;
  bool from_first = wish->since.kind != SINCE_NONE;
  uint32_t first = wish->since.kind == SINCE_POSITION ? history_seek(history, wish->since.position) : 0;
  uint32_t end = history_end(history, hub->position);
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
    const struct blob *blob = form_of(&native_poll, history_at(excerpt->history, at), epoch);
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
    const struct blob *blob = form_of(&native_poll, history_at(excerpt->history, excerpt->first + i), epoch);
    if (i > 0) buffer_append_char(out, ',');
    if (blob) buffer_append(out, blob_bytes(blob));
    if (!blob) out->failed = true;
  }
  buffer_append_string(out, excerpt->more ? "],\"more\":true}" : "],\"more\":false}");
}
