/* A published message: immutable once it is on the bus, refcounted, shared by all workers. */
#ifndef MOONWIRE_HUB_MESSAGE_H
#define MOONWIRE_HUB_MESSAGE_H

#include "base/blob.h"
#include "base/list.h"
#include "base/mail.h"

VISIBILITY_PUSH

struct stored;

/* Room for encoded forms; what each place means is the server's affair (delivery/forms.h). */
enum { MESSAGE_FORMS = 7 };

struct message_parts {
  struct bytes channel; /* empty: to one client alone */
  struct bytes event;
  struct bytes data;   /* JSON, or any bytes if is_binary */
  struct bytes from;   /* user id of the client that sent it; empty: the app did */
  struct bytes except; /* id of a client that does not get it live; empty: none */
  struct bytes
      key; /* what it is about: of those that a slow subscriber has not got yet, the newest by key counts; may be empty */
  bool is_binary;
  bool is_final; /* the last of its channel */
};

struct message {
  atomic_uint refs;
  uint32_t kind;
  uint32_t mail_count;
  uint64_t position; /* 0: volatile, has no id */
  uint64_t after;    /* of a volatile one: what has a position up to here was published before it */
  uint64_t time_ms;  /* when it was published, in milliseconds since 1970; never less than that of an earlier message */
  struct message_parts parts;
  uint64_t
      before; /* the position of the message before it in its channel, or what is left of it (hub/marks.h); set by store_put */
  struct stored *promised;                     /* whose history has room for it (store_promise); NULL: none was promised */
  _Atomic(struct blob *) forms[MESSAGE_FORMS]; /* NULL until encoded */
  atomic_size_t *account; /* where forms are counted that are encoded while a history keeps it; NULL: nowhere */
  atomic_size_t late;     /* what was counted there */
  struct mail mails[];    /* one for each worker, in their order (mail.to); then the texts */
};

/* One reference, owned by the caller; copies the texts. NULL without memory. */
struct message *message_new(uint32_t kind, const struct message_parts *parts);
/* The same for one that goes to `mail_count` workers: their mails are to be filled in. */
struct message *message_new_mailed(uint32_t kind, const struct message_parts *parts, size_t mail_count);
/* The message that a mail belongs to. */
static inline struct message *message_of_mail(struct mail *mail) {
  return container_of(mail - mail->to.worker, struct message, mails[0]);
}
struct message *message_ref(struct message *message);
void message_unref(struct message *message); /* NULL is allowed */
/* The bytes of its texts. */
size_t message_len(const struct message *message);
/* What it weighs in a queue, roughly. */
size_t message_size(const struct message *message);
/* What it holds with its encoded forms, roughly. */
size_t message_weight(struct message *message);

/* True if the server itself says it ("moonwire:presence"). */
static inline bool message_is_own(const struct message *message) {
  return bytes_starts_with(message->parts.event, BYTES("moonwire:"));
}

/* The encoded form of that place, or NULL. */
static inline struct blob *message_form(struct message *message, unsigned form) {
  return atomic_load_explicit(&message->forms[form], memory_order_acquire);
}
/* A history keeps it, and counts what it will hold beyond its weight; or does so no longer. One at a time: of several histories the first. */
void message_account(struct message *message, atomic_size_t *account);
/* Gives it an encoded form; takes the reference. Of two that come at once the first stays: returns the one that counts. */
struct blob *message_set_form(struct message *message, unsigned form, struct blob *blob);

VISIBILITY_POP

#endif
