/* One of the channels that a client joins: what is asked for, and what comes of it. */
#ifndef MOONWIRE_APP_JOB_CHANNEL_H
#define MOONWIRE_APP_JOB_CHANNEL_H

#include <stdbool.h>

#include "base/blob.h"

VISIBILITY_PUSH

struct kind;
struct membership;

struct job_channel {
  struct bytes name;
  const struct kind *kind;
  struct blob *data;             /* what JOIN gave; NULL: nothing */
  struct blob *info;             /* what the app tells of the member, until it is counted */
  bool is_new;                   /* it was not live when it was asked for */
  bool is_due;                   /* a poll's: its client is still to be asked in */
  bool informed;                 /* the app was asked for `info` */
  struct membership *membership; /* what is to be undone; NULL: nothing can be, or somebody else has taken it */
};

VISIBILITY_POP

#endif
