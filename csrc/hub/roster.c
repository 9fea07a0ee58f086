#include "hub/roster.h"

#include "base/list.h"
#include "base/memory.h"
#include "base/refs.h"
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
  refs_add(&batch->refs);
  return batch;
}

void roster_batch_unref(struct roster_batch *batch) {
  if (!batch || !refs_remove(&batch->refs)) return;
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

static struct bytes info_of(const struct member *member) { return member->info ? blob_bytes(member->info) : BYTES("null"); }

/* Returns how many bytes its texts and its number take. */
static size_t texts_len(const struct member *member) {
  size_t digits = 1;
  for (uint32_t rest = member->connections; rest >= 10; rest /= 10) digits++;
  return member->key->len + info_of(member).len + digits;
}

static void free_member(struct member *member) {
  blob_unref(member->key);
  blob_unref(member->info);
  memory_free(member);
}

static void roster_drop(struct roster *roster, struct member *member) {
  roster->texts_len -= texts_len(member);
  sorted_remove(&roster->members, &member->node);
  free_member(member);
}

static void clear(struct roster *roster) {
  while (roster->members.root) roster_drop(roster, member_of(roster->members.root));
}

void roster_free(struct roster *roster) {
  if (!roster) return;
  clear(roster);
  blob_unref(roster->text);
  memory_free(roster);
}

static int roster_put(struct roster *roster, const struct roster_change *change) {
  struct member *member = member_of(sorted_find(&roster->members, inside(change->key)));
  if (member) {
    roster->texts_len -= texts_len(member);
  } else {
    member = memory_calloc(1, sizeof *member);
    if (!member) return MW_ENOMEM;
    member->key = blob_ref(change->key);
    sorted_add(&roster->members, &member->node, inside(member->key));
  }
  struct blob *before = member->info;
  member->info = blob_ref(change->info);
  member->connections = change->connections;
  roster->texts_len += texts_len(member);
  blob_unref(before);
  return 0;
}

int roster_apply(struct roster *roster, const struct roster_batch *batch) {
  int status = 0;
  roster_keep_text(roster, NULL, NULL);
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

/* ---- Reading --------------------------------------------------------------------------------- */

bool roster_next(const struct roster *roster, const struct bytes *after, struct roster_member *out) {
  const struct sorted_node *node = NULL;
  if (roster) node = after ? sorted_after(&roster->members, *after) : sorted_first(&roster->members);
  if (!node) return false;
  const struct member *member = container_of(node, struct member, node);
  *out = (struct roster_member){
      .id = node->key, .key = blob_bytes(member->key), .info = info_of(member), .connections = member->connections};
  return true;
}

struct blob *roster_text(const struct roster *roster, const void *writer) {
  return roster && roster->writer == writer ? roster->text : NULL;
}

void roster_keep_text(struct roster *roster, const void *writer, struct blob *text) {
  if (!roster) return;
  blob_unref(roster->text);
  roster->text = blob_ref(text);
  roster->writer = writer;
}
