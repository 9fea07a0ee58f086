#include "app/member.h"

#include "base/memory.h"
#include "codec/json_scan.h"

/* Returns the sort key: the text between the quotes, so that a prefix comes first. */
static struct bytes inside(const struct blob *key) { return bytes_of(key->data + 1, key->len - 2); }

static struct member *member_of(struct sorted_node *node) { return node ? container_of(node, struct member, node) : NULL; }

struct blob *member_key(struct bytes user_id) {
  struct buffer text;
  buffer_init(&text);
  json_write_string(&text, user_id);
  struct blob *key = text.failed ? NULL : blob_new(buffer_bytes(&text));
  buffer_deinit(&text);
  return key;
}

struct member *member_new(struct sorted *members, struct bytes user_id, struct blob *key, struct blob *info) {
  struct member *member = key ? memory_calloc(1, sizeof *member + user_id.len) : NULL;
  if (!member) {
    blob_unref(key);
    return NULL;
  }
  list_init(&member->in_leaving);
  list_init(&member->in_changed);
  memcpy(member->text, user_id.ptr, user_id.len);
  member->user_id = bytes_of(member->text, user_id.len);
  member->key = key;
  member->info = blob_ref(info);
  sorted_add(members, &member->node, inside(key));
  return member;
}

void member_remove(struct sorted *members, struct member *member) {
  sorted_remove(members, &member->node);
  list_remove(&member->in_leaving);
  list_remove(&member->in_changed);
  blob_unref(member->key);
  blob_unref(member->info);
  memory_free(member);
}

struct member *member_at(const struct sorted *members, const struct blob *key) {
  return key ? member_of(sorted_find(members, inside(key))) : NULL;
}

struct member *member_first(const struct sorted *members) {
  return member_of(sorted_first(members));
}

struct member *member_next(const struct sorted *members, const struct member *member) {
  return member_of(sorted_after(members, member->node.key));
}

struct member *member_after(const struct sorted *members, const struct blob *key) {
  return member_of(sorted_after(members, inside(key)));
}
