#include "hub/message.h"

#include "base/memory.h"
#include "base/refs.h"
#include "hub/news.h"
#include "hub/policy.h"

static struct bytes message_place(char **at, struct bytes from) {
  if (from.len > 0) memcpy(*at, from.ptr, from.len);
  struct bytes copy = bytes_of(*at, from.len);
  *at += from.len;
  return copy;
}

/* Returns how many bytes are stored with the message. */
static size_t length(const struct message_parts *parts) {
  return parts->channel.len + parts->event.len + parts->data.len + parts->except.len + parts->key.len +
         (parts->type == MESSAGE_EVENT ? parts->from.len : 0);
}

/* Returns the size without the texts. */
static size_t size_of(size_t mail_count) { return offsetof(struct message, mails) + mail_count * sizeof(struct mail); }

struct message *message_new_mailed(const struct channel_policy *policy, const struct message_parts *parts, size_t mail_count) {
  struct message *message = memory_alloc(size_of(mail_count) + length(parts));
  if (!message) return NULL;
  *message = (struct message){.policy = policy_ref(policy), .mail_count = (uint32_t)mail_count};
  atomic_init(&message->refs, 1);
  atomic_init(&message->late, 0);
  atomic_init(&message->forms, NULL);
  char *at = (char *)&message->mails[mail_count];
  message->parts = (struct message_parts){.channel = message_place(&at, parts->channel),
                                          .event = message_place(&at, parts->event),
                                          .data = message_place(&at, parts->data),
                                          .except = message_place(&at, parts->except),
                                          .key = message_place(&at, parts->key),
                                          .type = parts->type,
                                          .is_binary = parts->is_binary,
                                          .is_final = parts->is_final};
  if (parts->type == MESSAGE_PRESENCE) {
    message->parts.news = news_ref(parts->news);
  } else {
    message->parts.from = message_place(&at, parts->from);
  }
  object_count(OBJECT_MESSAGE, 1);
  return message;
}

struct message *message_new(const struct channel_policy *policy, const struct message_parts *parts) {
  return message_new_mailed(policy, parts, 0);
}

struct message *message_ref(struct message *message) {
  refs_add(&message->refs);
  return message;
}

void message_unref(struct message *message) {
  if (!message || !refs_remove(&message->refs)) return;
  for (struct form *form = atomic_load(&message->forms), *next; form; form = next) {
    next = form->next;
    form_free(form);
  }
  object_count(OBJECT_MESSAGE, -1);
  if (message->parts.type == MESSAGE_PRESENCE) news_unref(message->parts.news);
  policy_unref(message->policy);
  memory_free(message);
}

size_t message_len(const struct message *message) {
  return length(&message->parts) + (message->parts.type == MESSAGE_PRESENCE ? message->parts.news->texts_len : 0);
}

size_t message_size(const struct message *message) { return size_of(message->mail_count) + message_len(message); }

static size_t form_size(const struct form *form) { return sizeof *form + sizeof *form->blob + form->blob->len; }

size_t message_weight(struct message *message) {
  size_t weight = message_size(message);
  for (const struct form *form = atomic_load(&message->forms); form; form = form->next) weight += form_size(form);
  return weight;
}

void message_account(struct message *message, atomic_size_t *account) {
  if (account && message->account) return;
  atomic_size_t *before = atomic_exchange(&message->account, account);
  if (before) atomic_fetch_sub(before, atomic_exchange(&message->late, 0));
}

struct form *form_new(const struct form_class *class, struct blob *blob) {
  struct form *form = blob ? memory_alloc(sizeof *form) : NULL;
  if (form) *form = (struct form){.class = class, .blob = blob};
  if (!form) blob_unref(blob);
  return form;
}

void form_free(struct form *form) {
  if (!form) return;
  blob_unref(form->blob);
  memory_free(form);
}

struct blob *message_add_form(struct message *message, struct form *form) {
  struct form *first = atomic_load(&message->forms);
  do {
    struct blob *blob = message_form(message, form->class);
    if (blob) {
      form_free(form);
      return blob;
    }
    form->next = first;
  } while (!atomic_compare_exchange_weak(&message->forms, &first, form));
  atomic_size_t *account = atomic_load(&message->account);
  if (!account) return form->blob;
  atomic_fetch_add(account, form_size(form));
  atomic_fetch_add(&message->late, form_size(form));
  /* If the history has dropped it in the meantime, it may have read `late` too early. Of two that
   * take what was counted, one gets it. */
  if (!atomic_load(&message->account)) atomic_fetch_sub(account, atomic_exchange(&message->late, 0));
  return form->blob;
}
