/* Who is in a channel, as a hub's subscribers were told: a replica that batches of changes keep up to date.
 *
 * The truth is elsewhere, once for the whole server. What it announces comes in one order with the messages, so that a snapshot taken
 * here is continued by just the announcements that its reader gets from then on. */
#ifndef MOONWIRE_HUB_ROSTER_H
#define MOONWIRE_HUB_ROSTER_H

#include "base/buffer.h"
#include "base/sorted.h"
#include "hub/message.h"

VISIBILITY_PUSH

/* What a member has become. */
struct roster_change {
  struct blob *key;     /* the user's id as a JSON string */
  struct blob *info;    /* JSON; NULL: null */
  uint32_t connections; /* 0: it lingers */
  bool left;
};

/* Changes of one channel that are announced together: immutable, refcounted, shared by all workers. */
struct roster_batch {
  atomic_uint refs;
  uint32_t kind;
  bool is_whole;           /* names all members: what was known before is forgotten */
  size_t count;            /* members after it */
  struct message *message; /* the announcement; NULL: there is nothing to tell */
  struct bytes channel;
  size_t change_count, mail_count;
  struct roster_change *changes;
  struct mail mails[]; /* one for each worker, in their order (mail.to); then the changes and the channel's name */
};

/* One reference, no message, room for `room` changes, which the caller adds before others see it, and mails for `mail_count` workers, which are
 * to be filled in. NULL if out of memory. */
struct roster_batch *roster_batch_new(struct bytes channel, size_t room, size_t mail_count);
/* The batch that a mail belongs to. */
static inline struct roster_batch *roster_batch_of_mail(struct mail *mail) {
  return container_of(mail - mail->to.worker, struct roster_batch, mails[0]);
}
/* Adds one, with references of its own. */
void roster_batch_add(struct roster_batch *batch, const struct roster_change *change);
struct roster_batch *roster_batch_ref(struct roster_batch *batch);
void roster_batch_unref(struct roster_batch *batch); /* NULL is allowed */
/* What it weighs in a queue, roughly: its members' texts are the server's already. */
size_t roster_batch_size(const struct roster_batch *batch);

/* The members in the order of their ids, compared byte by byte as they stand in JSON. */
struct roster {
  struct sorted members;
  size_t count;
  size_t members_len;    /* bytes of the members in a snapshot */
  struct blob *snapshot; /* as it is handed out, until something changes; NULL: not made yet */
};

/* A part of the members. */
struct roster_query {
  struct bytes after; /* the id after which it begins, as it stands in JSON, without quotes; empty: at the first */
  size_t limit;       /* at most so many members; 0: any number */
  size_t bytes;       /* and so many bytes; one member is written in any case */
};

/* NULL without memory. */
struct roster *roster_new(void);
void roster_free(struct roster *roster); /* NULL is allowed */
/* 0, or MW_ENOMEM: then it is incomplete. */
int roster_apply(struct roster *roster, const struct roster_batch *batch);
/* Returns a reference to {"count":n,"members":{"<id>":{"info":…,"connections":1}}}, which all callers share until something changes; with
 * counts_only to {"count":n}; or, if the first is larger than `most`, to {"count":n,"more":true}, without making it. A roster of NULL is empty.
 * NULL if out of memory. */
struct blob *roster_snapshot(struct roster *roster, bool counts_only, size_t most);
/* Appends a page: {"count":n,"members":{…},"more":false}, or "more":true,"after":"<id of the last member>". */
void roster_write_page(const struct roster *roster, const struct roster_query *query, struct buffer *out);

VISIBILITY_POP

#endif
