/* Messages for tests. */
#ifndef MOONWIRE_TEST_SUPPORT_MESSAGE_H
#define MOONWIRE_TEST_SUPPORT_MESSAGE_H

#include "hub/message.h"

static inline struct message *message_of(const struct channel_policy *policy, struct bytes channel, struct bytes event,
                                         struct bytes data) {
  struct message_parts parts = {.channel = channel, .event = event, .data = data};
  return message_new(policy, &parts);
}

/* Classes of forms for what looks at their addresses only. */
static inline const struct form_class *class_of(unsigned n) {
  static const char classes[8];
  return (const struct form_class *)(const void *)&classes[n];
}
static inline struct blob *add_form(struct message *message, unsigned n, struct blob *blob) {
  return message_add_form(message, form_new(class_of(n), blob));
}

#endif
