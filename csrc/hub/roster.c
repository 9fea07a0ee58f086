#include "hub/roster.h"

#include "base/list.h"
#include "base/memory.h"
#include "base/status.h"
#include "hub/policy.h"

/* ---- Batches --------------------------------------------------------------------------------- */

/* Returns the size without the changes and the name of the channel. */
static size_t size_of(size_t mail_count) { return offsetof(struct roster_batch, mails) + mail_count * sizeof(struct mail); }

struct roster_batch *roster_batch_new(struct bytes channel, size_t room, size_t mail_count) {
  struct roster_batch *batch = memory_calloc(1, size_of(mail_count) + room * sizeof *batch->changes + channel.len);
  if (!batch) return NULL;
  batch->mail_count = mail_count;
  batch->changes = (struct roster_change *)(void *)&batch->mails[mail_count];
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
  policy_unref(batch->policy);
  memory_free(batch);
}

size_t roster_batch_size(const struct roster_batch *batch) {
  size_t message_len = batch->message ? message_size(batch->message) : 0;
  return size_of(batch->mail_count) + batch->change_count * sizeof *batch->changes + batch->channel.len + message_len;
}

/* ---- The replica ----------------------------------------------------------------------------- */

struct member {
  struct sorted_node node;
  struct blob *key, *info;
  uint32_t connections;
};

static struct member *member_of(struct sorted_node *node) { return node ? container_of(node, struct member, node) : NULL; }

/* Returns the sort key: the text between the quotes, so that a prefix comes first. */
static struct bytes inside(const struct blob *key) { return bytes_of(key->data + 1, key->len - 2); }

struct roster *roster_new(void) {
  struct roster *roster = memory_calloc(1, sizeof *roster);
  if (roster) sorted_init(&roster->members);
  return roster;
}

static void roster_write_member(struct buffer *out, const struct member *member) {
  buffer_append(out, blob_bytes(member->key));
  buffer_append_string(out, ":{\"info\":");
  buffer_append(out, member->info ? blob_bytes(member->info) : BYTES("null"));
  buffer_append_string(out, ",\"connections\":");
  buffer_append_u64(out, member->connections);
  buffer_append_char(out, '}');
}

/* Returns how many bytes a member takes, with the comma before it. */
static size_t member_len(const struct member *member) {
  size_t digits = 1;
  for (uint32_t rest = member->connections; rest >= 10; rest /= 10) digits++;
  return member->key->len + (member->info ? member->info->len : 4) + digits + strlen(",:{\"info\":,\"connections\":}");
}

static void free_member(struct member *member) {
  blob_unref(member->key);
  blob_unref(member->info);
  memory_free(member);
}

static void roster_drop(struct roster *roster, struct member *member) {
  roster->members_len -= member_len(member);
  sorted_remove(&roster->members, &member->node);
  free_member(member);
}

static void clear(struct roster *roster) {
  while (roster->members.root) roster_drop(roster, member_of(roster->members.root));
}

void roster_free(struct roster *roster) {
  if (!roster) return;
  clear(roster);
  blob_unref(roster->snapshot);
  memory_free(roster);
}

static int roster_put(struct roster *roster, const struct roster_change *change) {
  struct member *member = member_of(sorted_find(&roster->members, inside(change->key)));
  if (member) {
    roster->members_len -= member_len(member);
  } else {
    member = memory_calloc(1, sizeof *member);
    if (!member) return MW_ENOMEM;
    member->key = blob_ref(change->key);
    sorted_add(&roster->members, &member->node, inside(member->key));
  }
  struct blob *before = member->info;
  member->info = blob_ref(change->info);
  member->connections = change->connections;
  roster->members_len += member_len(member);
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
      struct member *member = member_of(sorted_find(&roster->members, inside(change->key)));
      if (member) roster_drop(roster, member);
    } else if (roster_put(roster, change) < 0) {
      status = MW_ENOMEM;
    }
  }
  return status;
}

/* ---- Snapshots and pages --------------------------------------------------------------------- */

static void write_count(struct buffer *out, const struct roster *roster) {
  buffer_append_string(out, "{\"count\":");
  buffer_append_u64(out, roster ? roster->count : 0);
}

/* Writes the members after `after` that fit into the query. Returns the last one, or NULL if there
 * are none. *more: others follow. */
static const struct member *write_members(struct buffer *out, const struct roster *roster, const struct roster_query *query,
                                          bool *more) {
  const struct member *last = NULL;
  struct sorted_node *node = NULL;
  if (roster) node = query->after.len > 0 ? sorted_after(&roster->members, query->after) : sorted_first(&roster->members);
  size_t start = out->len, count = 0;
  buffer_append_string(out, ",\"members\":{");
  for (; node && !out->failed; node = sorted_after(&roster->members, node->key)) {
    const struct member *member = member_of(node);
    bool is_full = query->limit > 0 && count >= query->limit;
    if (count > 0 && (is_full || out->len - start + member_len(member) > query->bytes)) break;
    if (count++ > 0) buffer_append_char(out, ',');
    roster_write_member(out, member);
    last = member;
  }
  buffer_append_char(out, '}');
  *more = node != NULL;
  return last;
}

static struct blob *take(struct buffer *out) {
  struct blob *blob = out->failed ? NULL : blob_new(buffer_bytes(out));
  buffer_deinit(out);
  return blob;
}

/* {"count":,"members":{}} with the digits of any count. */
enum { SNAPSHOT_FRAME = 44 };

struct blob *roster_snapshot(struct roster *roster, bool counts_only, size_t most) {
  static const struct roster_query all = {.bytes = SIZE_MAX};
  if (roster && roster->snapshot && roster->snapshot->len <= most) return blob_ref(roster->snapshot);
  struct buffer out;
  bool more = !counts_only && roster && roster->members_len + SNAPSHOT_FRAME > most;
  buffer_init(&out);
  write_count(&out, roster);
  if (more) {
    buffer_append_string(&out, ",\"more\":true}");
    return take(&out);
  }
  if (!counts_only) write_members(&out, roster, &all, &more);
  buffer_append_char(&out, '}');
  struct blob *blob = take(&out);
  if (roster && !roster->snapshot) roster->snapshot = blob_ref(blob);
  return blob;
}

void roster_write_page(const struct roster *roster, const struct roster_query *query, struct buffer *out) {
  bool more;
  write_count(out, roster);
  const struct member *last = write_members(out, roster, query, &more);
  buffer_append_string(out, more ? ",\"more\":true" : ",\"more\":false");
  if (more && last) {
    buffer_append_string(out, ",\"after\":");
    buffer_append(out, blob_bytes(last->key));
  }
  buffer_append_char(out, '}');
}
