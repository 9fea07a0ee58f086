#include "hub/roster.h"

#include "base/memory.h"
#include "base/status.h"

/* ---- Batches -------------------------------------------------------------------------------------------------------------- */

struct roster_batch *roster_batch_new(struct bytes channel, size_t room) {
  struct roster_batch *batch = memory_calloc(1, sizeof *batch + room * sizeof *batch->changes + channel.len);
  if (!batch) return NULL;
  char *text = (char *)&batch->changes[room];
  memcpy(text, channel.ptr, channel.len);
  batch->channel = bytes_of(text, channel.len);
  atomic_init(&batch->refs, 1);
  return batch;
}

void roster_batch_add(struct roster_batch *batch, const struct roster_change *change) {
  struct roster_change *copy = &batch->changes[batch->change_count++];
  *copy = *change;
  blob_ref(copy->key);
  blob_ref(copy->info);
}

struct roster_batch *roster_batch_ref(struct roster_batch *batch) {
  atomic_fetch_add_explicit(&batch->refs, 1, memory_order_relaxed);
  return batch;
}

void roster_batch_unref(struct roster_batch *batch) {
  if (!batch || atomic_fetch_sub_explicit(&batch->refs, 1, memory_order_acq_rel) != 1) return;
  for (size_t i = 0; i < batch->change_count; i++) {
    blob_unref(batch->changes[i].key);
    blob_unref(batch->changes[i].info);
  }
  message_unref(batch->message);
  memory_free(batch);
}

size_t roster_batch_size(const struct roster_batch *batch) {
  size_t message_len = batch->message ? message_size(batch->message) : 0;
  return sizeof *batch + batch->change_count * sizeof *batch->changes + batch->channel.len + message_len;
}

/* ---- The replica ---------------------------------------------------------------------------------------------------------- */

struct member {
  struct blob *key, *info;
  uint32_t connections;
};

struct roster *roster_new(void) {
  struct roster *roster = memory_calloc(1, sizeof *roster);
  if (roster) table_init(&roster->members);
  return roster;
}

static void free_member(struct member *member) {
  blob_unref(member->key);
  blob_unref(member->info);
  memory_free(member);
}

static void clear(struct roster *roster) {
  size_t cursor = 0;
  struct member *member;
  while ((member = table_next(&roster->members, &cursor))) free_member(member);
  table_deinit(&roster->members);
}

void roster_free(struct roster *roster) {
  if (!roster) return;
  clear(roster);
  blob_unref(roster->snapshot);
  memory_free(roster);
}

static void drop(struct roster *roster, struct bytes key) {
  struct member *member = table_remove(&roster->members, key);
  if (member) free_member(member);
}

static int put(struct roster *roster, const struct roster_change *change) {
  struct member *member = table_get(&roster->members, blob_bytes(change->key));
  if (!member) {
    member = memory_calloc(1, sizeof *member);
    if (!member) return MW_ENOMEM;
    if (table_set(&roster->members, blob_bytes(change->key), member) < 0) {
      memory_free(member);
      return MW_ENOMEM;
    }
    /* The table borrows its key from here. */
    member->key = blob_ref(change->key);
  }
  struct blob *before = member->info;
  member->info = blob_ref(change->info);
  member->connections = change->connections;
  blob_unref(before);
  return 0;
}

int roster_apply(struct roster *roster, const struct roster_batch *batch) {
  int status = 0;
  blob_unref(roster->snapshot);
  roster->snapshot = NULL;
  if (batch->is_whole) clear(roster);
  roster->count = batch->count;
  for (size_t i = 0; i < batch->change_count; i++) {
    const struct roster_change *change = &batch->changes[i];
    if (change->left) {
      drop(roster, blob_bytes(change->key));
    } else if (put(roster, change) < 0) {
      status = MW_ENOMEM;
    }
  }
  return status;
}

static void write_members(struct buffer *out, const struct roster *roster) {
  size_t cursor = 0;
  const struct member *member;
  char before = '{';
  buffer_append_string(out, ",\"members\":");
  while ((member = table_next(&roster->members, &cursor))) {
    buffer_append_char(out, before);
    buffer_append(out, blob_bytes(member->key));
    buffer_append_string(out, ":{\"info\":");
    buffer_append(out, member->info ? blob_bytes(member->info) : BYTES("null"));
    buffer_append_string(out, ",\"connections\":");
    buffer_append_u64(out, member->connections);
    buffer_append_char(out, '}');
    before = ',';
  }
  buffer_append_string(out, before == '{' ? "{}" : "}");
}

static struct blob *render(const struct roster *roster, bool counts_only) {
  struct buffer out;
  buffer_init(&out);
  buffer_append_string(&out, "{\"count\":");
  buffer_append_u64(&out, roster->count);
  if (!counts_only) write_members(&out, roster);
  buffer_append_char(&out, '}');
  struct blob *blob = out.failed ? NULL : blob_new(buffer_bytes(&out));
  buffer_deinit(&out);
  return blob;
}

bool roster_write(struct roster *roster, bool counts_only, struct buffer *out) {
  if (!roster) {
    buffer_append_string(out, counts_only ? "{\"count\":0}" : "{\"count\":0,\"members\":{}}");
    return !out->failed;
  }
  if (!roster->snapshot) roster->snapshot = render(roster, counts_only);
  buffer_append(out, blob_bytes(roster->snapshot));
  return roster->snapshot && !out->failed;
}
