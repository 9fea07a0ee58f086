/* Text that is put together of own bytes and of shared blobs, which are referred to and not copied. */
#ifndef MOONWIRE_BASE_ROPE_H
#define MOONWIRE_BASE_ROPE_H

#include "base/blob.h"
#include "base/buffer.h"

VISIBILITY_PUSH

/* A blob that comes after the first `at` bytes of the own text. */
struct rope_joint {
  size_t at;
  struct blob *blob; /* a reference */
};

struct rope {
  struct buffer text; /* own bytes: append to it. It has failed: the rope has */
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
/* Appends a blob; a small one is copied. A blob of NULL, or no memory: the rope has failed. */
void rope_share(struct rope *rope, struct blob *blob);
/* Appends all of another rope. */
void rope_append(struct rope *rope, const struct rope *more);
/* All of it in one blob; NULL if out of memory, or if it has failed. */
struct blob *rope_flatten(const struct rope *rope);

/* Walks the parts: `own` is a blob of the own text, and the walk starts with a zeroed rope_walk. False at the end. No part is empty. */
struct rope_walk {
  size_t joint, at;
};
bool rope_next(const struct rope *rope, struct blob *own, struct rope_walk *walk, struct rope_part *part);

VISIBILITY_POP

#endif
