/* A published message: immutable once it is on the bus, reference-counted, and shared by all
 * workers. */
#ifndef MOONWIRE_HUB_MESSAGE_H
#define MOONWIRE_HUB_MESSAGE_H

#include "base/blob.h"
#include "base/list.h"
#include "base/mail.h"

VISIBILITY_PUSH

struct stored;

/* Room for encoded forms. The server defines each place (delivery/forms.h). */
enum { MESSAGE_FORMS = 7 };

struct message_parts {
  struct bytes channel; /* empty: for one client only */
  struct bytes event;
  struct bytes data;   /* JSON, or any bytes if is_binary */
  struct bytes from;   /* the user id of the client that sent it; empty: the app */
  struct bytes except; /* the id of a client that does not receive it live; empty: none */
  /* for slow subscribers, which receive only the newest message for each key; may be empty */
  struct bytes key;
  bool is_binary;
  bool is_final; /* the last message of its channel */
};

struct message {
  atomic_uint refs;
  uint32_t kind;
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
  _Atomic(struct blob *) forms[MESSAGE_FORMS]; /* NULL before they are encoded */
  /* where forms are counted that are encoded while a history keeps it, or NULL */
  atomic_size_t *account;
  atomic_size_t late;  /* what was counted there */
  struct mail mails[]; /* one for each worker, in their order (mail.to); after them, the texts */
};

/* Returns a message with one reference, which the caller owns, or NULL if out of memory. Copies the
 * texts. */
struct message *message_new(uint32_t kind, const struct message_parts *parts);
/* Does the same for `mail_count` workers. The caller fills in their mails. */
struct message *message_new_mailed(uint32_t kind, const struct message_parts *parts, size_t mail_count);
/* Returns the message that contains the mail. */
static inline struct message *message_of_mail(struct mail *mail) {
  return container_of(mail - mail->to.worker, struct message, mails[0]);
}
struct message *message_ref(struct message *message);
void message_unref(struct message *message); /* NULL is allowed */
/* Returns the number of bytes of its texts. */
size_t message_len(const struct message *message);
/* Returns its approximate weight in a queue. */
size_t message_size(const struct message *message);
/* Returns its approximate weight with its encoded forms. */
size_t message_weight(struct message *message);

/* Returns true for an event of the server itself ("moonwire:presence"). */
static inline bool message_is_own(const struct message *message) {
  return bytes_starts_with(message->parts.event, BYTES("moonwire:"));
}

/* Returns the encoded form, borrowed, or NULL. */
static inline struct blob *message_form(struct message *message, unsigned form) {
  return atomic_load_explicit(&message->forms[form], memory_order_acquire);
}
/* Starts counting forms that are encoded later, while a history keeps it, or stops (NULL). If
 * several histories keep it, only the first one counts. */
void message_account(struct message *message, atomic_size_t *account);
/* Sets an encoded form; takes the reference. If two threads set it at the same time, the first one
 * stays. Returns the one that stays, borrowed. */
struct blob *message_set_form(struct message *message, unsigned form, struct blob *blob);

VISIBILITY_POP

#endif
