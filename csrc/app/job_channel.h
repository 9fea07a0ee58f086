/* One of the channels that a client joins: the request and its result. */
#ifndef MOONWIRE_APP_JOB_CHANNEL_H
#define MOONWIRE_APP_JOB_CHANNEL_H

#include <stdbool.h>

#include "base/blob.h"
#include "hub/id.h"

VISIBILITY_PUSH

struct kind;
struct membership;

struct job_channel {
  struct bytes name;
  const struct kind *kind;
  struct since since; /* the cursor with which its history is read; for orderer->fetch */
  bool reads_page;    /* a page of the history is read, without joining; as struct history_query: */
  struct since before;
  size_t limit;
  bool reads_members; /* the app reads who its members are, whatever subscribers are told */
  struct blob *data;  /* the answer to JOIN; NULL: none */
  struct blob *info;  /* the app's info on the member, until it is counted */
  bool is_new;        /* the channel was not live at the time of the request */
  bool is_due;        /* of a poll: its client must still join */
  bool is_followed;   /* there is an interest in it (app/order.h), which no subscription has yet */
  bool informed;      /* the app was asked for `info` */
  /* the undo record; NULL: there is nothing to undo, or it was moved elsewhere */
  struct membership *membership;
};

VISIBILITY_POP

#endif
