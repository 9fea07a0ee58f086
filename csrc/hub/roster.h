/* The members of a channel that the subscribers of a hub know: a replica, updated by batches of
 * changes.
 *
 * The script has the original, once for the server. Its announcements are ordered with the
 * messages. So exactly those announcements follow a snapshot that its reader receives from then
 * on. */
#ifndef MOONWIRE_HUB_ROSTER_H
#define MOONWIRE_HUB_ROSTER_H

#include "base/buffer.h"
#include "base/sorted.h"
#include "hub/message.h"

VISIBILITY_PUSH

/* The new state of a member. */
struct roster_change {
  struct blob *key;     /* the user id as a JSON string */
  struct blob *info;    /* JSON; NULL: null */
  uint32_t connections; /* 0: it lingers */
  bool left;
};

/* Changes of one channel that are announced together: immutable, reference-counted, and shared by
 * all workers. */
struct roster_batch {
  atomic_uint refs;
  const struct channel_policy *policy; /* with a reference to its owner; set by who makes it */
  bool is_whole;                       /* it lists all members; forget those known before */
  size_t count;                        /* members after it */
  struct message *message;             /* the announcement; NULL if there is none */
  struct bytes channel;
  size_t change_count, mail_count;
  struct roster_change *changes;
  /* one for each worker, in their order (mail.to); after them, the changes and the name of the
   * channel */
  struct mail mails[];
};

/* Returns a batch with one reference, or NULL if out of memory. It has no message, and room for
 * `room` changes, which the caller adds before it shares the batch, and for `mail_count` mails,
 * which the caller fills in. */
struct roster_batch *roster_batch_new(struct bytes channel, size_t room, size_t mail_count);
/* Returns the batch that contains the mail. */
static inline struct roster_batch *roster_batch_of_mail(struct mail *mail) {
  return container_of(mail - mail->to.worker, struct roster_batch, mails[0]);
}
/* Adds a change, with its own references. */
void roster_batch_add(struct roster_batch *batch, const struct roster_change *change);
struct roster_batch *roster_batch_ref(struct roster_batch *batch);
void roster_batch_unref(struct roster_batch *batch); /* NULL is allowed */
/* Returns its approximate weight in a queue. The texts of members belong to the server already. */
size_t roster_batch_size(const struct roster_batch *batch);

/* The members in the order of their ids, which are compared byte by byte as they are in JSON. */
struct roster {
  struct sorted members;
  size_t count;
  size_t texts_len;   /* bytes of the members' keys, infos, and numbers in decimal */
  struct blob *text;  /* what `writer` wrote of it, until something changes; NULL: nothing */
  const void *writer; /* who; compared only */
};

/* A member, for those who write it. Valid until something changes. */
struct roster_member {
  struct bytes id;   /* the user id as in JSON, without quotes */
  struct bytes key;  /* the same with quotes */
  struct bytes info; /* JSON */
  uint32_t connections;
};

/* A part of the members. */
struct roster_query {
  /* the id after which it begins, as in JSON without quotes; empty: at the first */
  struct bytes after;
  size_t limit; /* most members; 0: no limit */
  size_t bytes; /* most bytes; at least one member is written */
};

/* Returns an empty roster, or NULL if out of memory. */
struct roster *roster_new(void);
void roster_free(struct roster *roster); /* NULL is allowed */
/* Applies a batch. Returns 0, or MW_ENOMEM: then the roster is incomplete. */
int roster_apply(struct roster *roster, const struct roster_batch *batch);
/* Finds the first member after that id (NULL: of all). False if there is none. A roster of NULL is
 * empty. */
bool roster_next(const struct roster *roster, const struct bytes *after, struct roster_member *out);
/* Returns what was kept for that writer, borrowed, or NULL if something has changed since. */
struct blob *roster_text(const struct roster *roster, const void *writer);
/* Keeps a text, with a reference of its own, so that all who need the same share it. One text at a
 * time is kept. */
void roster_keep_text(struct roster *roster, const void *writer, struct blob *text);

VISIBILITY_POP

#endif
