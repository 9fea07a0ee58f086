#include "hub/message.h"

#include "base/memory.h"

static struct bytes place(char **at, struct bytes from) {
  if (from.len > 0) memcpy(*at, from.ptr, from.len);
  struct bytes copy = bytes_of(*at, from.len);
  *at += from.len;
  return copy;
}

static size_t length(const struct message_parts *parts) {
  return parts->channel.len + parts->event.len + parts->data.len + parts->from.len + parts->except.len + parts->key.len;
}

/* Returns the size without the texts. */
static size_t size_of(size_t mail_count) { return offsetof(struct message, mails) + mail_count * sizeof(struct mail); }

struct message *message_new_mailed(uint32_t kind, const struct message_parts *parts, size_t mail_count) {
  struct message *message = memory_alloc(size_of(mail_count) + length(parts));
  if (!message) return NULL;
  *message = (struct message){.kind = kind, .mail_count = (uint32_t)mail_count};
  atomic_init(&message->refs, 1);
  atomic_init(&message->late, 0);
  for (unsigned i = 0; i < MESSAGE_FORMS; i++) atomic_init(&message->forms[i], NULL);
  char *at = (char *)&message->mails[mail_count];
  message->parts = (struct message_parts){.channel = place(&at, parts->channel),
                                          .event = place(&at, parts->event),
                                          .data = place(&at, parts->data),
                                          .from = place(&at, parts->from),
                                          .except = place(&at, parts->except),
                                          .key = place(&at, parts->key),
                                          .is_binary = parts->is_binary,
                                          .is_final = parts->is_final};
  object_count(OBJECT_MESSAGE, 1);
  return message;
}

struct message *message_new(uint32_t kind, const struct message_parts *parts) {
  return message_new_mailed(kind, parts, 0);
}

struct message *message_ref(struct message *message) {
  atomic_fetch_add_explicit(&message->refs, 1, memory_order_relaxed);
  return message;
}

void message_unref(struct message *message) {
  if (!message || atomic_fetch_sub_explicit(&message->refs, 1, memory_order_acq_rel) != 1) return;
  for (unsigned i = 0; i < MESSAGE_FORMS; i++) blob_unref(message_form(message, i));
  object_count(OBJECT_MESSAGE, -1);
  memory_free(message);
}

size_t message_len(const struct message *message) { return length(&message->parts); }

size_t message_size(const struct message *message) { return size_of(message->mail_count) + length(&message->parts); }

size_t message_weight(struct message *message) {
  size_t weight = message_size(message);
  for (unsigned i = 0; i < MESSAGE_FORMS; i++) {
    const struct blob *blob = message_form(message, i);
    if (blob) weight += sizeof *blob + blob->len;
  }
  return weight;
}

void message_account(struct message *message, atomic_size_t *account) {
  if (account && message->account) return;
  if (message->account) atomic_fetch_sub(message->account, atomic_load(&message->late));
  atomic_store(&message->late, 0);
  message->account = account;
}

struct blob *message_set_form(struct message *message, unsigned form, struct blob *blob) {
  struct blob *none = NULL;
  if (atomic_compare_exchange_strong(&message->forms[form], &none, blob)) {
    if (message->account) {
      atomic_fetch_add(&message->late, sizeof *blob + blob->len);
      atomic_fetch_add(message->account, sizeof *blob + blob->len);
    }
    return blob;
  }
  blob_unref(blob);
  return none;
}
