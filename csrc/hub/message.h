/* A published message: immutable once it is on the bus, reference-counted, and shared by all
 * workers. */
#ifndef MOONWIRE_HUB_MESSAGE_H
#define MOONWIRE_HUB_MESSAGE_H

#include "base/blob.h"
#include "base/list.h"
#include "base/mail.h"

VISIBILITY_PUSH

struct channel_policy;
struct stored;

struct form_class;
struct news;

/* A message as it is written to some streams, in the list of its forms. The class (delivery/form.h)
 * tells them apart. */
struct form {
  struct form *next;
  const struct form_class *class;
  struct blob *blob; /* a reference */
};

/* Takes the reference. NULL if out of memory, or if there is no blob. */
struct form *form_new(const struct form_class *class, struct blob *blob);
void form_free(struct form *form); /* NULL is allowed */

enum message_type {
  MESSAGE_EVENT,   /* published by the app or a client */
  MESSAGE_PRESENCE /* the server's own: what has changed of the channel's members */
};

struct message_parts {
  struct bytes channel; /* empty: for one client only */
  struct bytes event;   /* MESSAGE_EVENT */
  struct bytes data;    /* MESSAGE_EVENT: JSON, or any bytes if is_binary */
  union {
    struct bytes from; /* MESSAGE_EVENT: the user id of the client that sent it; empty: the app */
    struct news *news; /* MESSAGE_PRESENCE (hub/news.h); a message has a reference */
  };
  struct bytes except; /* the id of a client that does not receive it live; empty: none */
  /* for slow subscribers, which receive only the newest message for each key; may be empty */
  struct bytes key;
  uint8_t type; /* enum message_type */
  bool is_binary;
  bool is_final; /* the last message of its channel */
};

struct message {
  atomic_uint refs;
  const struct channel_policy *policy; /* of its channel, with a reference to its owner; or NULL */
  uint32_t mail_count;
  uint64_t position; /* 0: volatile, without an id */
  uint64_t after;    /* of a volatile one: messages up to this position were published before it */
  /* when it was published, in milliseconds since 1970; never less than that of an earlier
   * message */
  uint64_t time_ms;
  struct message_parts parts;
  /* the position of the message before it in its channel, or the floor that replaces it
   * (hub/marks.h); set by store_put */
  uint64_t before;
  /* the history that has reserved a place (store_promise), or NULL */
  struct stored *promised;
  _Atomic(struct form *) forms; /* those that it was encoded in so far: a list that only grows */
  /* where forms are counted that are encoded while a history keeps it, or NULL */
  _Atomic(atomic_size_t *) account;
  atomic_size_t late;  /* what was counted there */
  struct mail mails[]; /* one for each worker, in their order (mail.to); after them, the texts */
};

/* Returns a message with one reference, which the caller owns, or NULL if out of memory. Copies the
 * texts. `policy` is NULL if it is for no channel. */
struct message *message_new(const struct channel_policy *policy, const struct message_parts *parts);
/* Does the same for `mail_count` workers. The caller fills in their mails. */
struct message *message_new_mailed(const struct channel_policy *policy, const struct message_parts *parts, size_t mail_count);
/* Returns the message that contains the mail. */
static inline struct message *message_of_mail(struct mail *mail) {
  return container_of(mail - mail->to.worker, struct message, mails[0]);
}
struct message *message_ref(struct message *message);
void message_unref(struct message *message); /* NULL is allowed */
/* Returns the number of bytes of its texts, those of its news included. */
size_t message_len(const struct message *message);
/* Returns its approximate weight in a queue. */
size_t message_size(const struct message *message);
/* Returns its approximate weight with its encoded forms. */
size_t message_weight(struct message *message);

/* Returns the message in that form, or NULL. Borrowed. */
static inline struct blob *message_form(struct message *message, const struct form_class *class) {
  struct form *form = atomic_load_explicit(&message->forms, memory_order_acquire);
  while (form && form->class != class) form = form->next;
  return form ? form->blob : NULL;
}
/* Starts counting forms that are encoded later, while a history keeps it, or stops (NULL). If
 * several histories keep it, only the first one counts. */
void message_account(struct message *message, atomic_size_t *account);
/* Adds a form, which it takes. Of two of a class that come at the same time, the first stays:
 * returns the blob that counts. */
struct blob *message_add_form(struct message *message, struct form *form);

VISIBILITY_POP

#endif
