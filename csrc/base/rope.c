#include "base/rope.h"

#include "base/memory.h"

/* A blob smaller than this costs more as a part than as a copy. */
enum { SHARED_MIN = 1024 };

void rope_init(struct rope *rope) {
  *rope = (struct rope){.joints = NULL};
  buffer_init(&rope->text);
}

void rope_deinit(struct rope *rope) {
  for (size_t i = 0; i < rope->joint_count; i++) blob_unref(rope->joints[i].blob);
  memory_free(rope->joints);
  buffer_deinit(&rope->text);
  rope_init(rope);
}

size_t rope_len(const struct rope *rope) { return rope->text.len + rope->shared_len; }

void rope_share(struct rope *rope, struct blob *blob) {
  if (!blob) rope->text.failed = true;
  if (rope->text.failed) return;
  if (blob->len < SHARED_MIN) {
    buffer_append(&rope->text, blob_bytes(blob));
    return;
  }
  struct rope_joint *grown = memory_realloc(rope->joints, (rope->joint_count + 1) * sizeof *grown);
  if (!grown) {
    rope->text.failed = true;
    return;
  }
  rope->joints = grown;
  grown[rope->joint_count++] = (struct rope_joint){.at = rope->text.len, .blob = blob_ref(blob)};
  rope->shared_len += blob->len;
}

void rope_append(struct rope *rope, const struct rope *more) {
  size_t at = 0;
  if (more->text.failed) rope->text.failed = true;
  for (size_t i = 0; i < more->joint_count; i++) {
    size_t end = more->joints[i].at;
    /* A rope may begin with a blob, and have no text. */
    if (end > at) buffer_append(&rope->text, bytes_of(more->text.data + at, end - at));
    rope_share(rope, more->joints[i].blob);
    at = end;
  }
  if (more->text.len > at) buffer_append(&rope->text, bytes_of(more->text.data + at, more->text.len - at));
}

bool rope_next(const struct rope *rope, struct blob *own, struct rope_walk *walk, struct rope_part *part) {
  for (;;) {
    bool has_joint = walk->joint < rope->joint_count;
    size_t end = has_joint ? rope->joints[walk->joint].at : rope->text.len;
    if (walk->at < end) {
      *part = (struct rope_part){own, bytes_of(own->data + walk->at, end - walk->at)};
      walk->at = end;
      return true;
    }
    if (!has_joint) return false;
    struct blob *blob = rope->joints[walk->joint++].blob;
    *part = (struct rope_part){blob, blob_bytes(blob)};
    return true;
  }
}

static char *rope_put(char *to, const char *from, size_t len) {
  if (len > 0) memcpy(to, from, len);
  return to + len;
}

struct blob *rope_flatten(const struct rope *rope) {
  struct blob *flat = rope->text.failed ? NULL : blob_new(bytes_of(NULL, rope_len(rope)));
  if (!flat) return NULL;
  char *to = flat->data;
  size_t from = 0;
  for (size_t i = 0; i < rope->joint_count; i++) {
    const struct rope_joint *joint = &rope->joints[i];
    to = rope_put(to, rope->text.data + from, joint->at - from);
    to = rope_put(to, joint->blob->data, joint->blob->len);
    from = joint->at;
  }
  rope_put(to, rope->text.data + from, rope->text.len - from);
  return flat;
}
