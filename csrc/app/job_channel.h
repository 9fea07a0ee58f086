/* One of the channels that a client joins: what is asked for, and what comes of it. */
#ifndef MOONWIRE_APP_JOB_CHANNEL_H
#define MOONWIRE_APP_JOB_CHANNEL_H

#include <stdbool.h>

#include "base/blob.h"

VISIBILITY_PUSH

struct kind;

struct job_channel {
  struct bytes name;
  const struct kind *kind;
  struct blob *data;   /* what JOIN gave; NULL: nothing */
  bool is_new;         /* it was not live when it was asked for */
  bool opened, joined; /* to be undone, as is: */
  struct blob *member; /* the key under which its user is counted as a member; NULL: it is not */
  struct blob *info;   /* what the app tells of the member, until it is counted */
  bool informed;       /* the app was asked for it */
};

/* True if there is something to undo when the client leaves. */
static inline bool job_channel_is_membership(const struct job_channel *channel) {
  return channel->opened || channel->joined || channel->member;
}

VISIBILITY_POP

#endif
