/* Text that consists of its own bytes and of shared blobs. A rope refers to a blob and does not
 * copy it. */
#ifndef MOONWIRE_BASE_ROPE_H
#define MOONWIRE_BASE_ROPE_H

#include "base/blob.h"
#include "base/buffer.h"

VISIBILITY_PUSH

/* A blob that follows the first `at` bytes of the rope's own text. */
struct rope_joint {
  size_t at;
  struct blob *blob; /* one reference */
};

struct rope {
  /* the rope's own bytes; append to it. If it has failed, the rope has failed */
  struct buffer text;
  struct rope_joint *joints;
  size_t joint_count;
  size_t shared_len;
};

struct rope_part {
  struct blob *blob; /* borrowed */
  struct bytes bytes;
};

void rope_init(struct rope *rope);
void rope_deinit(struct rope *rope);
size_t rope_len(const struct rope *rope);
/* Appends a blob; a small one is copied. If `blob` is NULL or out of memory, the rope has
 * failed. */
void rope_share(struct rope *rope, struct blob *blob);
/* Appends all parts of another rope. */
void rope_append(struct rope *rope, const struct rope *more);
/* Returns a blob with all the bytes, owned by the caller. Returns NULL if out of memory or if the
 * rope has failed. */
struct blob *rope_flatten(const struct rope *rope);

/* Walks the parts. `own` is a blob with the rope's own text, and `walk` starts zeroed. Returns
 * false at the end. No part is empty. */
struct rope_walk {
  size_t joint, at;
};
bool rope_next(const struct rope *rope, struct blob *own, struct rope_walk *walk, struct rope_part *part);

VISIBILITY_POP

#endif
